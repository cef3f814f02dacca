// One pass over a text. Everything that is looked for is ASCII; all else is a letter, as far as this goes.

// Groups of digits that are looked at together, and the lengths of the numbers (ISO/IEC 7812 for cards, E.164 for phones).
const GROUPS_MAX = 8;
const isCardLength = (length) => length >= 13 && length <= 19;
const isPhoneLength = (length) => length >= 8 && length <= 15;

const STARTS = /[@0-9+(]/g;
const LOCAL = /[A-Za-z0-9._%+-]/;
const DOMAIN = /[A-Za-z0-9.-]*/y;
const TOP = /^[A-Za-z]{2,}$/;
const DIGITS = /[0-9]+/y;
const WORD = /[A-Za-z0-9_\u0080-\uffff]/;

/** The text without what was found, which is counted. */
export function redact(text, kinds, counts) {
  let clean = "";
  // Up to where the text has been taken over.
  let kept = 0;
  let at = 0;
  while ((at = search(STARTS, text, at)) >= 0) {
    const found = look(text, at, kept, kinds);
    if (found.kind === undefined) {
      at = found.next;
      continue;
    }
    clean += `${text.slice(kept, found.start)}[${found.kind.toUpperCase()}]`;
    counts[found.kind] += 1;
    kept = at = found.end;
  }
  return clean + text.slice(kept);
}

function look(text, at, kept, kinds) {
  if (text[at] === "@") return (kinds.has("email") && email(text, at, kept)) || { next: at + 1 };
  if ((kinds.has("phone") || kinds.has("card")) && startsNumber(text, at)) return number(text, at, kinds);
  return { next: at + 1 };
}

/** Around an `@`; not before `begin`. */
function email(text, at, begin) {
  let start = at;
  while (start > begin && LOCAL.test(text[start - 1])) start -= 1;
  while (start < at && text[start] === ".") start += 1;
  const host = match(DOMAIN, text, at + 1).replace(/[.-]+$/, "");
  const dot = host.lastIndexOf(".");
  if (start === at || dot <= 0 || !TOP.test(host.slice(dot + 1))) return undefined;
  return { kind: "email", start, end: at + 1 + host.length };
}

/** A number does not start in the middle of a word or of another number. */
function startsNumber(text, at) {
  if (at === 0) return true;
  const before = text[at - 1];
  const joined = ".-/:,".includes(before) && at >= 2 && /[0-9]/.test(text[at - 2]);
  return !(WORD.test(before) || before === "+" || joined);
}

/** Groups of digits from a place on, with start and end of each. */
function groups(text, start) {
  const plus = text[start] === "+";
  let parenthesis = false;
  const spans = [];
  let at = start + Number(plus);
  while (spans.length < GROUPS_MAX) {
    const opened = text[at] === "(";
    const begin = at + Number(opened);
    const digits = match(DIGITS, text, begin);
    if (digits === "") break;
    let end = begin + digits.length;
    if (opened) {
      if (text[end] !== ")") break;
      end += 1;
      parenthesis ||= spans.length <= Number(plus);
    }
    spans.push([begin, begin + digits.length]);
    at = end;
    const after = text[at];
    if (after !== undefined && " -./".includes(after)) at += 1;
    else if (after !== "(" && !opened) break;
  }
  return { plus, parenthesis, spans };
}

/** The longest run of groups that is a card or a phone number; else from where to look on. */
function number(text, start, kinds) {
  const found = groups(text, start);
  if (found.spans.length === 0) return { next: start + 1 };
  for (let count = found.spans.length; count > 0; count--) {
    const spans = found.spans.slice(0, count);
    const end = spans[count - 1][1];
    if (end < text.length && WORD.test(text[end])) continue;
    if (kinds.has("card") && !found.plus && !found.parenthesis && isCard(text, spans)) return { kind: "card", start, end };
    if (kinds.has("phone") && isPhone(text, spans, found)) return { kind: "phone", start, end };
  }
  return { next: found.spans[0][1] };
}

function isCard(text, spans) {
  const separatorsFit = spans.slice(1).every(([start], index) => {
    const end = spans[index][1];
    return " -".includes(text[end]) && start === end + 1;
  });
  // Printed in groups of three to seven, or in one.
  const groupsFit = spans.length === 1 || spans.every(([start, end]) => end - start >= 3 && end - start <= 7);
  const digits = spans.map(([start, end]) => text.slice(start, end)).join("");
  return separatorsFit && groupsFit && isCardLength(digits.length) && digits[0] !== "0" && luhn(digits);
}

function luhn(digits) {
  const values = Array.from(digits, Number).reverse();
  const sum = values.reduce((total, digit, index) => {
    return total + (index % 2 === 0 ? digit : Math.floor((digit * 2) / 10) + ((digit * 2) % 10));
  }, 0);
  return sum % 10 === 0;
}

/**
 * With a `+`, or with its area in parentheses, or in the groups in which numbers are written; so that dates, addresses of the
 * Internet and order numbers stay.
 */
function isPhone(text, spans, { plus, parenthesis }) {
  const lengths = spans.map(([start, end]) => end - start);
  const digits = lengths.reduce((total, length) => total + length, 0);
  if (plus || parenthesis) return isPhoneLength(digits) && (plus || spans.length > 1);
  const first = text[spans[0][0]];
  const shape = lengths.join(" ");
  const northAmerican = shape === "3 3 4" || (shape === "1 3 3 4" && first === "1");
  const national = first === "0" && lengths[0] >= 3 && spans.length > 1 && digits >= 9 && digits <= 12;
  return northAmerican || national;
}

/** Where the pattern, which is global, is found next; -1 if nowhere. */
function search(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text)?.index ?? -1;
}

/** What the pattern, which is sticky, finds right there. */
function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}
