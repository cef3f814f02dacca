// The few parts of the web that QuickJS lacks and that libraries ask for while they are being loaded: UTF-8 and a console.

import { format } from "./format.js";
import { host } from "./host.js";

export function decodeUtf8(bytes, fatal = false) {
  let text = "";
  let at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  while (at < bytes.length) {
    const first = bytes[at];
    const length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : (first & 0xf0) === 0xe0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
    let code = length === 1 ? first : first & (0x7f >> length);
    let taken = 1;
    while (taken < length && continues(bytes, at, taken)) code = (code << 6) | (bytes[at + taken++] & 0x3f);
    if (length === 0 || taken < length) {
      if (fatal) throw new TypeError("the bytes are not UTF-8");
      code = 0xfffd;
    }
    text += String.fromCodePoint(code);
    at += taken;
  }
  return text;
}

/** Whether a byte goes on with the character begun at `at`. The second byte excludes what is too long, too large, or a surrogate. */
function continues(bytes, at, taken) {
  const byte = bytes[at + taken];
  if ((byte & 0xc0) !== 0x80) return false;
  if (taken > 1) return true;
  const first = bytes[at];
  if (first === 0xe0) return byte >= 0xa0;
  if (first === 0xed) return byte < 0xa0;
  if (first === 0xf0) return byte >= 0x90;
  return first !== 0xf4 || byte < 0x90;
}

export function encodeUtf8(text) {
  const bytes = [];
  for (const letter of String(text).toWellFormed()) {
    const code = letter.codePointAt(0);
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
    else bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 0x3f), 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f));
  }
  return Uint8Array.from(bytes);
}

class TextEncoder {
  encoding = "utf-8";

  encode(text = "") {
    return encodeUtf8(text);
  }
}

class TextDecoder {
  encoding = "utf-8";

  constructor(label = "utf-8", { fatal = false } = {}) {
    if (!/^\s*utf-?8\s*$/i.test(label)) throw new RangeError(`this TextDecoder knows utf-8 only, not ${label}`);
    this.fatal = fatal;
  }

  decode(bytes = new Uint8Array()) {
    const view = ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
    return decodeUtf8(view, this.fatal);
  }
}

const line = (level) => (...values) => host().log(level, format(values), {});

const console = {
  log: line("info"),
  info: line("info"),
  debug: line("debug"),
  warn: line("warn"),
  error: line("error"),
  trace: line("trace"),
  dir: line("info"),
  assert(holds, ...values) {
    if (!holds) host().log("error", `Assertion failed${values.length ? ": " : ""}${format(values)}`, {});
  },
};

/** In a component, before the plugin is loaded. */
export function provide() {
  for (const [name, value] of Object.entries({ TextEncoder, TextDecoder, console })) {
    globalThis[name] ??= value;
  }
}
