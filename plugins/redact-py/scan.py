"""One pass over a text. Everything that is looked for is ASCII; all else is a letter, as far as this goes."""

import re
from dataclasses import dataclass

# Groups of digits that are looked at together, and the lengths of the numbers (ISO/IEC 7812 for cards, E.164 for phones).
GROUPS_MAX = 8
CARD_DIGITS = range(13, 20)
PHONE_DIGITS = range(8, 16)

_STARTS = re.compile(r"[@0-9+(]")
_DOMAIN = re.compile(r"[A-Za-z0-9.-]*")
_TOP = re.compile(r"[A-Za-z]{2,}")
_DIGITS = re.compile(r"[0-9]+")
_WORD = re.compile(r"[A-Za-z0-9_\u0080-\U0010ffff]")


@dataclass
class Counts:
    email: int = 0
    phone: int = 0
    card: int = 0


@dataclass
class Groups:
    """Groups of digits from a place on."""

    plus: bool
    parenthesis: bool
    # Start and end of each.
    spans: list[tuple[int, int]]


def redact(text: str, kinds: frozenset[str], counts: Counts) -> str:
    """The text without what was found."""
    clean: list[str] = []
    # Up to where the text has been taken over.
    kept = 0
    at = 0
    while start := _STARTS.search(text, at):
        at = start.start()
        if text[at] == "@":
            found = email(text, at, kept) if "email" in kinds else None
            kind, after = "email", at + 1
        elif kinds & {"phone", "card"} and starts_number(text, at):
            kind, found, after = number(text, at, kinds)
        else:
            found, after = None, at + 1
        if found is None:
            at = after
            continue
        clean += (text[kept : found[0]], f"[{kind.upper()}]")
        setattr(counts, kind, getattr(counts, kind) + 1)
        kept = at = found[1]
    return "".join(clean) + text[kept:]


def email(text: str, at: int, begin: int) -> tuple[int, int] | None:
    """Around an `@`; not before `begin`."""
    start = at
    while start > begin and (text[start - 1].isascii() and (text[start - 1].isalnum() or text[start - 1] in "._%+-")):
        start -= 1
    while start < at and text[start] == ".":
        start += 1
    host = _DOMAIN.match(text, at + 1).group().rstrip(".-")
    name, dot, top = host.rpartition(".")
    if start == at or not dot or not name or not _TOP.fullmatch(top):
        return None
    return start, at + 1 + len(host)


def starts_number(text: str, at: int) -> bool:
    """A number does not start in the middle of a word or of another number."""
    if at == 0:
        return True
    before = text[at - 1]
    joined = before in ".-/:," and at >= 2 and text[at - 2] in "0123456789"
    return not (_WORD.match(before) or before == "+" or joined)


def groups(text: str, start: int) -> Groups:
    plus = text[start] == "+"
    at = start + plus
    found = Groups(plus, False, [])
    while len(found.spans) < GROUPS_MAX:
        opened = text[at : at + 1] == "("
        digits = _DIGITS.match(text, at + opened)
        if digits is None:
            break
        end = digits.end()
        if opened:
            if text[end : end + 1] != ")":
                break
            end += 1
            found.parenthesis |= len(found.spans) <= plus
        found.spans.append(digits.span())
        at = end
        after = text[at : at + 1]
        if after and after in " -./":
            at += 1
        elif after != "(" and not opened:
            break
    return found


def number(text: str, start: int, kinds: frozenset[str]) -> tuple[str, tuple[int, int] | None, int]:
    """The longest run of groups that is a card or a phone number; else from where to look on."""
    found = groups(text, start)
    if not found.spans:
        return "", None, start + 1
    for count in range(len(found.spans), 0, -1):
        spans = found.spans[:count]
        end = spans[-1][1]
        if _WORD.match(text, end):
            continue
        if "card" in kinds and not found.plus and not found.parenthesis and is_card(text, spans):
            return "card", (start, end), end
        if "phone" in kinds and is_phone(text, spans, found):
            return "phone", (start, end), end
    return "", None, found.spans[0][1]


def is_card(text: str, spans: list[tuple[int, int]]) -> bool:
    separators_fit = all(
        text[end] in " -" and start == end + 1 for (_, end), (start, _) in zip(spans, spans[1:])
    )
    # Printed in groups of three to seven, or in one.
    groups_fit = len(spans) == 1 or all(3 <= end - start <= 7 for start, end in spans)
    digits = "".join(text[start:end] for start, end in spans)
    return separators_fit and groups_fit and len(digits) in CARD_DIGITS and digits[0] != "0" and luhn(digits)


def luhn(digits: str) -> bool:
    doubled = (digit if index % 2 == 0 else digit * 2 // 10 + digit * 2 % 10 for index, digit in enumerate(map(int, reversed(digits))))
    return sum(doubled) % 10 == 0


def is_phone(text: str, spans: list[tuple[int, int]], found: Groups) -> bool:
    """With a `+`, or with its area in parentheses, or in the groups in which numbers are written; so that dates, addresses of
    the Internet and order numbers stay."""
    lengths = [end - start for start, end in spans]
    if found.plus or found.parenthesis:
        return sum(lengths) in PHONE_DIGITS and (found.plus or len(spans) > 1)
    first = text[spans[0][0]]
    north_american = lengths == [3, 3, 4] or (lengths == [1, 3, 3, 4] and first == "1")
    national = first == "0" and lengths[0] >= 3 and len(spans) > 1 and 9 <= sum(lengths) <= 12
    return north_american or national
