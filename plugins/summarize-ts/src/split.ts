// Splits a text where a reader would pause. Lengths are in bytes of UTF-8, of which a model's tokens are made.

/** Ends of what is kept together, the best first. */
const PAUSES = ["\n\n", "\n", ". ", "; ", " "];
const BYTES_MIN = 200;

/** Parts of at most `share` of the text each, as even as its pauses allow. One part: it cannot be split. */
export function halvesOrMore(text: string, share: number): string[] {
  const bytesMax = Math.max(Math.floor(byteLength(text) * share), BYTES_MIN);
  const parts: string[] = [];
  let rest = text;
  while (byteLength(rest) > bytesMax) {
    const end = pause(rest, bytesMax);
    parts.push(rest.slice(0, end));
    rest = rest.slice(end);
  }
  parts.push(rest);
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

/** The last good place to pause before `bytesMax`, in the second half of what fits. */
function pause(text: string, bytesMax: number): number {
  const end = lettersIn(text, bytesMax);
  const fits = text.slice(0, end);
  const half = Math.floor(byteLength(fits) / 2);
  for (const mark of PAUSES) {
    const at = fits.lastIndexOf(mark);
    if (at >= 0 && byteLength(fits.slice(0, at)) + mark.length > half) return at + mark.length;
  }
  return end;
}

/** How much of the text, in units of UTF-16, has at most so many bytes; whole characters only. */
function lettersIn(text: string, bytesMax: number): number {
  let bytes = 0;
  let at = 0;
  for (const letter of text) {
    bytes += letterBytes(letter.codePointAt(0) ?? 0);
    if (bytes > bytesMax) break;
    at += letter.length;
  }
  return at;
}

function byteLength(text: string): number {
  let bytes = 0;
  for (const letter of text) bytes += letterBytes(letter.codePointAt(0) ?? 0);
  return bytes;
}

function letterBytes(code: number): number {
  return code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
}
