#!/usr/bin/env python3
"""Makes a picture (SVG, text as text) of what a terminal showed: `tmux capture-pane -e -p | docs/pictures/terminal.py TITLE > run.svg`.

Reads colours and weights as terminals write them (SGR); everything else in an escape sequence is left out.
"""

import html
import re
import sys

CELL, LINE, MARGIN, BAR = 8.4, 19, 16, 34
# The 16 colours of a dark terminal, readable on the background.
COLOURS = ["#6e7681", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#c9d1d9"]
BRIGHT = ["#8b949e", "#ffa198", "#a5f3b0", "#f2cc60", "#a5d6ff", "#e2c5ff", "#87e5ec", "#f0f6fc"]
BACKGROUND, FOREGROUND = "#0d1117", "#c9d1d9"


def colour_of_256(number):
    if number < 16:
        return (COLOURS + BRIGHT)[number]
    if number >= 232:
        grey = 8 + (number - 232) * 10
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    number -= 16
    levels = [0, 95, 135, 175, 215, 255]
    return "#{:02x}{:02x}{:02x}".format(levels[number // 36], levels[number // 6 % 6], levels[number % 6])


def styled(line, style):
    """Pieces of a line with the style of each; the style goes on in the next line."""
    for part in re.split(r"(\x1b\[[0-9;:?]*[A-Za-z]|\x1b\([A-Z0-9])", line):
        if not part.startswith("\x1b"):
            if part:
                yield part, dict(style)
            continue
        if not part.endswith("m"):
            continue
        codes = [int(code or 0) for code in re.split("[;:]", part[2:-1])]
        while codes:
            code = codes.pop(0)
            if code == 0:
                style.clear()
            elif code == 1:
                style["weight"] = "bold"
            elif code == 2:
                style["opacity"] = "0.65"
            elif code in (22, 39):
                for key in {22: ("weight", "opacity"), 39: ("fill",)}[code]:
                    style.pop(key, None)
            elif 30 <= code <= 37:
                style["fill"] = COLOURS[code - 30]
            elif 90 <= code <= 97:
                style["fill"] = BRIGHT[code - 90]
            elif code in (38, 48):
                kind = codes.pop(0)
                colour = colour_of_256(codes.pop(0)) if kind == 5 else "#{:02x}{:02x}{:02x}".format(*(codes.pop(0) for _ in range(3)))
                if code == 38:
                    style["fill"] = colour


def main():
    title = sys.argv[1] if len(sys.argv) > 1 else ""
    lines = sys.stdin.read().rstrip().split("\n")
    bare = [re.sub(r"\x1b\[[0-9;:?]*[A-Za-z]|\x1b\([A-Z0-9]", "", line) for line in lines]
    width, height = max(map(len, bare)) * CELL + 2 * MARGIN, len(lines) * LINE + BAR + MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img">',
        f"<title>{html.escape(title)}</title>",
        "<style>text{white-space:pre}</style>",
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>',
        '<g fill="#30363d"><circle cx="18" cy="17" r="5"/><circle cx="36" cy="17" r="5"/><circle cx="54" cy="17" r="5"/></g>',
        f'<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,\'DejaVu Sans Mono\',monospace" font-size="14" fill="{FOREGROUND}" xml:space="preserve">',
    ]
    style = {}
    for row, line in enumerate(lines):
        column, y = 0, BAR + row * LINE + 14
        for text, how in styled(line, style):
            x, attributes = MARGIN + column * CELL, ""
            if "fill" in how:
                attributes += f' fill="{how["fill"]}"'
            if "weight" in how:
                attributes += ' font-weight="bold"'
            if "opacity" in how:
                attributes += f' opacity="{how["opacity"]}"'
            if text.strip():
                out.append(f'<text x="{x:.1f}" y="{y}" textLength="{len(text) * CELL:.1f}"{attributes}>{html.escape(text)}</text>')
            column += len(text)
    out.append("</g></svg>")
    print("\n".join(out))


if __name__ == "__main__":
    main()
