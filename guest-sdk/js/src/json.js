// JSON that loses nothing: integers that no number holds (beyond 2^53) are BigInts, and go out as they came.

const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

export function parse(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  // What is not JSON is told of the text as it stands, not as it is rewritten below.
  const plain = JSON.parse(text);
  const mark = unused(text);
  let found = false;
  const marked = text.replace(TOKENS, (token) => {
    if (token[0] === '"' || /[.eE]/.test(token) || Number.isSafeInteger(Number(token))) return token;
    found = true;
    return `"${mark}${token}"`;
  });
  if (!found) return plain;
  return JSON.parse(marked, (_, value) =>
    typeof value === "string" && value.startsWith(mark) ? BigInt(value.slice(mark.length)) : value,
  );
}

/** Throws a TypeError for what has no JSON form: undefined, a function, a cycle. */
export function write(value) {
  let big = false;
  const text = JSON.stringify(value, (_, inner) => {
    if (typeof inner === "bigint") big = true;
    if (typeof inner === "number" && !Number.isFinite(inner)) throw new TypeError(`${inner} has no JSON form`);
    return typeof inner === "bigint" ? String(inner) : inner;
  });
  if (text === undefined) throw new TypeError(`${typeof value} has no JSON form`);
  if (!big) return text;
  const mark = unused(text);
  const marked = JSON.stringify(value, (_, inner) => (typeof inner === "bigint" ? mark + inner : inner));
  return marked.replace(new RegExp(`"${mark}(-?\\d+)"`, "g"), "$1");
}

/** A beginning that no string of the text has. */
function unused(text) {
  let mark = "big:";
  while (text.includes(mark)) mark = `_${mark}`;
  return mark;
}

/** For strings of the contract, which are UTF-8: half of a surrogate pair has no form in it. */
export function wellFormed(text) {
  return String(text).toWellFormed();
}
