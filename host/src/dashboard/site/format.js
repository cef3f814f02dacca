// Numbers as people read them; the report writes them the same way.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export const grouped = (count) => whole.format(count);

export const counted = (count, one) => `${grouped(count)} ${one}${count === 1 ? "" : "s"}`;

// `12.3`, and more digits of what is small.
export function number(value) {
  if (value >= 100) return grouped(Math.round(value));
  return value >= 1 || value === 0 ? value.toFixed(1) : value.toFixed(3);
}

export const rate = (value) => (value == null ? "–" : number(value));

// 100 % only where it is all.
export function percent(share) {
  const shown = share * 100;
  return `${(share < 1 ? Math.min(shown, 99.9) : shown).toFixed(1)} %`;
}

// `3.2 s`, `4 min 5 s`, `2 h 3 min`, `5 d 2 h`.
export function time(ms) {
  const seconds = Math.round(ms / 1000);
  const two = (large, unit, small, smallUnit) => (small ? `${large} ${unit} ${small} ${smallUnit}` : `${large} ${unit}`);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return two(Math.floor(seconds / 60), "min", seconds % 60, "s");
  if (seconds < 86400) return two(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min");
  return two(Math.floor(seconds / 86400), "d", Math.floor((seconds % 86400) / 3600), "h");
}

// Of millionths of a dollar.
export function money(micro) {
  const dollars = micro / 1e6;
  return dollars === 0 || dollars >= 1 ? `$${dollars.toFixed(2)}` : `$${dollars.toFixed(dollars >= 0.01 ? 4 : 6)}`;
}

export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit + 1 < units.length) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit ? bytes.toFixed(1) : bytes} ${units[unit]}`;
}

const clockLong = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const clockShort = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit" });

export const clock = (ms) => clockLong.format(ms);
export const hour = (ms) => clockShort.format(ms);
export const at = (ms) => `${day.format(ms)} ${clockLong.format(ms)}`;
