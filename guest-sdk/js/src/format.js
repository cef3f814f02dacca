// Values as a person reads them in a log.

import { mapped } from "./trace.js";

const DEPTH_MAX = 4;

/** As the Console standard does it: `%s`, `%d`, `%i`, `%f`, `%j`, `%o` and `%O` in the first text, the rest after it. */
export function format(values) {
  let rest = values;
  let text = "";
  if (typeof values[0] === "string") {
    rest = values.slice(1);
    text = values[0].replace(/%[sdifjoOc%]/g, (directive) => {
      if (directive === "%%") return "%";
      if (rest.length === 0) return directive;
      const [value] = rest.splice(0, 1);
      if (directive === "%s") return typeof value === "string" ? value : show(value);
      if (directive === "%d" || directive === "%f") return String(Number(value));
      if (directive === "%i") return String(Math.trunc(Number(value)));
      if (directive === "%c") return "";
      return show(value);
    });
  } else if (values.length === 0) {
    return "";
  } else {
    rest = values.slice(1);
    text = show(values[0]);
  }
  return [text, ...rest.map((value) => (typeof value === "string" ? value : show(value)))].join(" ");
}

export function show(value, depth = 0, above = []) {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `[function ${value.name || "(anonymous)"}]`;
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Error) return mapped(value);
  if (above.includes(value)) return "[circular]";
  if (depth >= DEPTH_MAX) return Array.isArray(value) ? "[…]" : "{…}";
  const inner = (one) => show(one, depth + 1, [...above, value]);
  if (Array.isArray(value)) return `[${value.map(inner).join(", ")}]`;
  if (value instanceof Date || value instanceof RegExp) return String(value);
  if (value instanceof Map) return `Map {${Array.from(value, ([key, one]) => `${inner(key)} => ${inner(one)}`).join(", ")}}`;
  if (value instanceof Set) return `Set {${Array.from(value, inner).join(", ")}}`;
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.length ?? value.byteLength})`;
  const fields = Object.entries(value).map(([name, one]) => `${/^[\w$]+$/.test(name) ? name : JSON.stringify(name)}: ${inner(one)}`);
  const name = value.constructor && value.constructor !== Object ? `${value.constructor.name} ` : "";
  return fields.length ? `${name}{ ${fields.join(", ")} }` : `${name}{}`;
}
