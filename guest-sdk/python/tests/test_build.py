from pathlib import Path

import pytest
from sandmill_plugin.build import COMPONENTIZE, BuildError, build, entry, late_imports, main
from sandmill_plugin.imports import hints, missing

KIT = Path(__file__).parents[1]


def test_imports_inside_of_functions_are_found(tmp_path):
    source = tmp_path / "a.py"
    source.write_text("import json\ndef f():\n  import decimal, os.path\n  def g():\n    from email.mime import text\n    from . import b\n")
    assert late_imports(source) == ["decimal", "os.path", "email.mime", "email.mime"]


def test_the_entry_imports_what_comes_later_and_leaves_tests_aside(tmp_path):
    (tmp_path / "plugin.py").write_text("def f():\n  import decimal\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_plugin.py").write_text("def f():\n  import pytest\n")
    text = entry(tmp_path / "plugin.py", tmp_path, None)
    compile(text, "entry", "exec")
    assert "'decimal'" in text and "pytest" not in text and "import plugin as author" in text


@pytest.mark.parametrize(("name", "said"), [("missing.py", "there is no"), ("my-plugin.py", "letters, digits and underscores")])
def test_a_source_that_cannot_be_built_is_told(tmp_path, name, said, capsys):
    (tmp_path / "my-plugin.py").write_text("")
    assert main(["build", str(tmp_path / name), "-o", str(tmp_path / "x.wasm")]) == 1
    assert said in capsys.readouterr().err


def test_requirements_that_are_asked_for_must_be_there(tmp_path):
    (tmp_path / "plugin.py").write_text("")
    with pytest.raises(BuildError, match="there is no .*nope.txt"):
        build(tmp_path / "plugin.py", tmp_path / "out/x.wasm", tmp_path / "nope.txt")


def test_a_file_that_does_not_parse_is_told_with_its_line(tmp_path):
    (tmp_path / "plugin.py").write_text("x = 1\ndef f(:\n")
    with pytest.raises(BuildError, match="plugin.py: .*line 2"):
        build(tmp_path / "plugin.py", tmp_path / "out/x.wasm")


def test_what_a_component_cannot_have_is_told_by_line_with_the_way_out(tmp_path):
    source = tmp_path / "plugin.py"
    source.write_text(
        "import json, numpy as np\nimport helper\nimport pure.part\ndef f():\n  from pydantic import BaseModel\n  import cgi\n"
        "  import nowhere\nimport openai\n"
    )
    (tmp_path / "helper.py").write_text("from . import x\n")
    (tmp_path / "dependencies/pure").mkdir(parents=True)
    told = missing([source], tmp_path, tmp_path / "dependencies")
    assert [line.split("` ")[0] for line in told] == [
        "plugin.py, line 1: `numpy",
        "plugin.py, line 5: `pydantic",
        "plugin.py, line 6: `cgi",
        "plugin.py, line 7: `nowhere",
        "plugin.py, line 8: `openai",
    ]
    assert "compiled code" in told[0] and "dataclasses" in told[1] and "no longer" in told[2]
    assert "requirements.txt" in told[3] and "sandmill_plugin.llm" in told[4]
    with pytest.raises(BuildError, match="(?s)cannot have:.*line 1: `numpy`"):
        build(source, tmp_path / "out/x.wasm")


def test_imports_that_a_plugin_guards_are_its_own_business(tmp_path):
    source = tmp_path / "plugin.py"
    source.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import numpy\nelse:\n  import a\n"
        "try:\n  import orjson\nexcept ImportError:\n  import b\ntry:\n  import c\nfinally:\n  pass\n"
    )
    assert [line.split("`")[1] for line in missing([source], tmp_path, None)] == ["a", "b", "c"]


def test_what_is_known_of_a_package_that_cannot_be_had_is_told(tmp_path):
    (tmp_path / "requirements.txt").write_text("# a list\nPillow>=10\nnumpy==2.0\nattrs\n")
    assert [line.split("`")[1] for line in hints(tmp_path / "requirements.txt")] == ["PIL", "numpy"]


def test_the_version_of_the_tool_stands_in_two_places_alike():
    assert f'"componentize-py=={COMPONENTIZE}"' in (KIT / "pyproject.toml").read_text()


@pytest.mark.skipif(not (KIT / "../../wit/1.0.0").exists(), reason="outside of the repository")
def test_the_contract_in_the_kit_is_that_of_the_repository():
    theirs = {path.name: path.read_text() for path in (KIT / "../../wit/1.0.0").glob("*.wit")}
    ours = {path.name: path.read_text() for path in (KIT / "src/sandmill_plugin/wit").glob("*.wit")}
    assert ours == theirs
