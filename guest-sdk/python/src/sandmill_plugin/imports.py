"""What a plugin imports against what a component has, told before anything is built: by file, line and way out."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

# Gone from the standard library between the oldest Python that builds and the one in the component.
GONE = set(
    "aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils imghdr imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes "
    "smtpd sndhdr spwd sunau telnetlib uu xdrlib".split()
)
NEW = {"annotationlib", "compression", "_interpreters"}
CARRIED = {"sandmill_plugin", "componentize_py", "componentize_py_runtime", "wit_world"}

COMPILED = "has compiled code, and a component runs pure Python only"
NETWORK = "speaks to the network, which a plugin has not: models are asked through `sandmill_plugin.llm`"
# Packages that are often tried, by the name that is imported: why they cannot be had, and what can.
KNOWN = {
    "numpy": f"{COMPILED}: lists, and the modules `array`, `math` and `statistics`",
    "pandas": f"{COMPILED}: an item is one row already",
    "pydantic": f"{COMPILED}: dataclasses, which the kit checks, and describes to models",
    "orjson": f"{COMPILED}: the module `json`",
    "ujson": f"{COMPILED}: the module `json`",
    "regex": f"{COMPILED}: the module `re`",
    "lxml": f"{COMPILED}: `xml.etree`, or a parser in pure Python such as `html5lib`",
    "tiktoken": f"{COMPILED}: `llm.count_tokens`, which costs nothing",
    "tokenizers": f"{COMPILED}: `llm.count_tokens`, which costs nothing",
    "yaml": "is PyYAML, which has no wheel in pure Python: `ruamel.yaml` has one",
    "PIL": f"{COMPILED}: images are handed to models as they are, with `attach`",
    **{name: COMPILED for name in "scipy sklearn torch tensorflow transformers spacy cryptography psycopg2 grpc cv2 polars pyarrow".split()},
    **{name: NETWORK for name in "openai anthropic requests httpx aiohttp urllib3 google litellm langchain".split()},
}


def missing(files: Iterable[Path], folder: Path, dependencies: Path | None) -> list[str]:
    """Lines about imports that would fail in a component; those that the plugin guards against itself are left alone."""
    had = (set(sys.stdlib_module_names) - GONE) | NEW | CARRIED
    for place in [folder, *([dependencies] if dependencies else [])]:
        had |= {path.name.split(".")[0] for path in place.iterdir()}
    return [
        f"{path.relative_to(folder)}, line {line}: `{name}` {way_out(name)}"
        for path in files
        for name, line in imported(ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))
        if name not in had
    ]


def way_out(name: str) -> str:
    if name in GONE:
        return "is no longer in the standard library of Python 3.14, which a component has"
    if name in KNOWN:
        return KNOWN[name]
    return "is not there: name its package in requirements.txt (pure Python only)"


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The first names of what is imported for sure, with their lines."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.Import(names=names):
                yield from ((alias.name.split(".")[0], node.lineno) for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.split(".")[0], node.lineno
            case ast.Try(handlers=[_, *_] as handlers, orelse=rest, finalbody=last):
                yield from inside(*(inner for handler in handlers for inner in handler.body), *rest, *last)
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), orelse=rest):
                yield from inside(*rest)
            case _:
                yield from imported(node)


def inside(*statements: ast.stmt) -> Iterator[tuple[str, int]]:
    return imported(ast.Module(body=list(statements), type_ignores=[]))


def hints(requirements: Path) -> list[str]:
    """What is known of the packages that a list of requirements names."""
    names = {"pillow": "PIL", "scikit-learn": "sklearn", "pyyaml": "yaml", "opencv-python": "cv2", "grpcio": "grpc"}
    lines = (re.match(r"[A-Za-z0-9._-]+", line.strip()) for line in requirements.read_text(encoding="utf-8").splitlines())
    found = (names.get(match[0].lower(), match[0].lower()) for match in lines if match)
    return [f"`{name}` {KNOWN[name]}" for name in found if name in KNOWN]
