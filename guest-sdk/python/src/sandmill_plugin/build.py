"""Builds a component from a plugin's Python file: what it needs is fetched, checked, and frozen into a CPython by componentize-py.

The component holds a snapshot of the interpreter after all imports. It has no files, so an import that comes later fails; what is
imported inside functions is therefore imported once more by the entry that is written here.
"""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from .imports import hints, missing

PACKAGE = Path(__file__).parent
ENTRY = "sandmill_entry"
# The same as in pyproject.toml.
COMPONENTIZE = "0.25.1"
# The Python in the component.
GUEST_PYTHON = "3.14"
# What the standard library imports only when it is used.
LATE = ["_strptime"] + [
    f"encodings.{name}"
    for name in (
        "ascii base64_codec charmap cp1252 cp437 hex_codec idna iso8859_1 iso8859_15 latin_1 punycode raw_unicode_escape "
        "rot_13 unicode_escape utf_16 utf_16_be utf_16_le utf_32 utf_32_be utf_32_le utf_7 utf_8_sig"
    ).split()
]


class BuildError(Exception):
    pass


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sandmill_plugin")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("build", help="make a component of a plugin")
    command.add_argument("source", type=Path, help="the plugin's file, such as plugin.py")
    command.add_argument("-o", "--output", type=Path, required=True, help="the component")
    command.add_argument("-r", "--requirements", type=Path, help="what it depends on (requirements.txt beside it, if there is one)")
    options = parser.parse_args(arguments)
    try:
        build(options.source, options.output, options.requirements)
    except BuildError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def build(source: Path, output: Path, requirements: Path | None = None) -> None:
    if not source.is_file():
        raise BuildError(f"there is no {source}: name the plugin's Python file")
    if not source.stem.isidentifier():
        raise BuildError(f"{source.name} cannot be imported: name the file with letters, digits and underscores")
    work = output.parent / f".{output.stem}.build"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    folder = source.resolve().parent
    dependencies = install(requirements or folder / "requirements.txt", work, asked=requirements is not None)
    try:
        absent = missing(own_files(folder), folder, dependencies)
    except (SyntaxError, ValueError) as error:
        raise BuildError(f"{source.name}: {error}") from error
    if absent:
        raise BuildError("the plugin imports what its component cannot have:\n" + "\n".join(f"  {line}" for line in absent))
    roots = [folder, *([dependencies] if dependencies else [])]
    (work / f"{ENTRY}.py").write_text(entry(source, folder, dependencies))
    paths = [*roots, PACKAGE.parent, work]
    componentize(paths, output)
    shutil.rmtree(work)


def install(requirements: Path, work: Path, asked: bool) -> Path | None:
    """The plugin's dependencies, of pure Python only: the component runs no compiled extension."""
    if not requirements.exists():
        if asked:
            raise BuildError(f"there is no {requirements}")
        return None
    target = work / "dependencies"
    pure = ["--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none", f"--python-version={GUEST_PYTHON}"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"--target={target}", *pure]
    if subprocess.run([*command, "-r", str(requirements)]).returncode != 0:
        raise BuildError(
            f"the packages of {requirements.name} cannot all be had in pure Python (see above), and a component runs no compiled "
            "extension: take another package, or an older version without one"
            + "".join(f"\n  {line}" for line in hints(requirements))
        )
    return target


def entry(source: Path, folder: Path, dependencies: Path | None) -> str:
    """The module that componentize-py starts from: the plugin's, and whatever it would import later."""
    own = own_files(folder)
    late = dict.fromkeys(LATE)
    for path in own:
        late.update(dict.fromkeys(late_imports(path)))
    if dependencies:
        for path in sorted(dependencies.rglob("*.py")):
            late.update(dict.fromkeys(late_imports(path, strict=False)))
    modules = {f"/0/{path.relative_to(folder).as_posix()}": path.read_text() for path in own}
    return f"""\
import importlib
from sandmill_plugin import Plugin
from sandmill_plugin.component import handler
from sandmill_plugin.log import take_over_logging

take_over_logging()
import {source.stem} as author

for name in {list(late)!r}:
    try:
        importlib.import_module(name)
    except Exception:
        # It is looked for again where it is used, and its absence told there.
        pass

plugins = [value for value in vars(author).values() if isinstance(value, Plugin)]
if len(plugins) != 1:
    raise SystemExit(f"{source.name} has {{len(plugins)}} functions with @plugin, and must have one")
Handler = handler(plugins[0], {modules!r})
"""


def own_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.py")) if not _is_aside(path.relative_to(folder))]


def _is_aside(path: Path) -> bool:
    """Tests, environments and what is built are no part of the plugin."""
    folders = path.parts[:-1]
    return (
        any(part in ("tests", "target", "node_modules", "venv") or part.startswith(".") for part in folders)
        or path.name.startswith("test_")
        or path.name.endswith("_test.py")
        or path.name == "conftest.py"
    )


def late_imports(path: Path, strict: bool = True) -> list[str]:
    """Modules that a file imports inside of functions."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (SyntaxError, ValueError) as error:
        if strict:
            raise BuildError(f"{path.name}: {error}") from error
        return []
    found = []
    functions = (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.append(node.module)
    return found


def componentize(paths: list[Path], output: Path) -> None:
    # Its console script stands beside the interpreter only in an environment of its own; the module is always there.
    if importlib.util.find_spec("componentize_py") is None:
        raise BuildError(f"componentize-py is missing: `{sys.executable} -m pip install componentize-py=={COMPONENTIZE}`")
    there = importlib.metadata.version("componentize-py")
    if there != COMPONENTIZE:
        raise BuildError(
            f"componentize-py is {there}, and this kit is made for {COMPONENTIZE}: "
            f"`{sys.executable} -m pip install componentize-py=={COMPONENTIZE}`"
        )
    run = "import sys; from componentize_py import script; sys.exit(script())"
    command = [sys.executable, "-c", run, "--quiet", "-d", str(PACKAGE / "wit"), "-w", "processor", "componentize"]
    for path in paths:
        command += ["-p", str(path)]
    if subprocess.run([*command, "-o", str(output), ENTRY]).returncode != 0:
        raise BuildError("componentize-py could not make a component of it (see above)")
