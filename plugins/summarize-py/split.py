"""Splits a text where a reader would pause. Lengths are in bytes of UTF-8, of which a model's tokens are made."""

# Ends of what is kept together, the best first.
PAUSES = (b"\n\n", b"\n", b". ", b"; ", b" ")
BYTES_MIN = 200


def halves_or_more(text: str, share: float) -> list[str]:
    """Parts of at most `share` of the text each, as even as its pauses allow. One part: it cannot be split."""
    rest = text.encode(errors="replace")
    bytes_max = max(int(len(rest) * share), BYTES_MIN)
    parts = []
    while len(rest) > bytes_max:
        end = pause(rest, bytes_max)
        parts.append(rest[:end])
        rest = rest[end:]
    parts.append(rest)
    return [part for part in (part.decode().strip() for part in parts) if part]


def pause(text: bytes, bytes_max: int) -> int:
    """The last good place to pause before `bytes_max`, in the second half of what fits."""
    end = bytes_max
    # Not in the middle of a character.
    while text[end] & 0xC0 == 0x80:
        end -= 1
    for mark in PAUSES:
        at = text.rfind(mark, 0, end)
        if at >= 0 and at + len(mark) > end // 2:
            return at + len(mark)
    return end
