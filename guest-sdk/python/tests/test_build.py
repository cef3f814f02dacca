from pathlib import Path

import pytest
from sandmill_plugin.build import BuildError, build, entry, late_imports, main

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


@pytest.mark.skipif(not (KIT / "../../wit/0.1.0").exists(), reason="outside of the repository")
def test_the_contract_in_the_kit_is_that_of_the_repository():
    theirs = {path.name: path.read_text() for path in (KIT / "../../wit/0.1.0").glob("*.wit")}
    ours = {path.name: path.read_text() for path in (KIT / "src/sandmill_plugin/wit").glob("*.wit")}
    assert ours == theirs
