"""The conversions, with the bindings that componentize-py generates and a host behind them that is played here."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from sandmill_plugin import Emission, Fail, Item, Retry, Skip, host, llm, log, plugin

pytest.importorskip("componentize_py", reason="componentize-py is missing: python -m pip install componentize-py==0.25.1")
WIT = Path(__file__).parents[1] / "src/sandmill_plugin/wit"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bindings") / "made"
    run = "import sys; from componentize_py import script; sys.exit(script())"
    command = [sys.executable, "-c", run, "-q", "-d", str(WIT), "-w", "processor", "bindings", str(folder)]
    subprocess.run(command, check=True)
    sys.path.insert(0, str(folder))
    stdout, before = sys.stdout, host.current()
    modules = {name: importlib.import_module(f"wit_world.imports.{name}") for name in ("types", "llm", "log", "blobs")}
    component = importlib.import_module("sandmill_plugin.component")
    yield SimpleNamespace(**modules, component=component, err=importlib.import_module("componentize_py_types"))
    sys.stdout = stdout
    host.install(before)
    sys.path.remove(str(folder))


def process(world, function, json="{}"):
    made = plugin("p", version="1", description="d")(function)
    stdout = sys.stdout
    handler = world.component.handler(made, {})()
    sys.stdout = stdout
    types = world.types
    blob = types.Blob("scan", "image/png", 3, "00", [types.Pair("acme:page", "4")])
    item = types.Item("id", 7, json, [blob], [types.Pair("acme:tier", "2")])
    context = types.Context("job", 2, '{"a":1}', types.Budget(1, None, 3, [types.Pair("acme:left", "5")]), [])
    return handler.process(item, context)


def test_an_item_goes_in_and_emissions_come_out(world):
    def seen(item, cx):
        yield [item.id, item.index, item.data, item.blobs[0].mime_type, item.blobs[0].extra, item.extra]
        yield Emission([cx.job, cx.attempt, cx.config, cx.budget.calls, cx.budget.tokens, cx.budget.extra], name="context")

    outcome = process(world, seen, '{"x":1}')
    values = [(emission.value, emission.name) for emission in outcome.value]
    assert values == [
        ('["id",7,{"x":1},"image/png",{"acme:page":4},{"acme:tier":2}]', None),
        ('["job",2,{"a":1},1,null,{"acme:left":5}]', "context"),
    ]


def test_failures_and_skips_are_those_of_the_contract(world):
    def raises(error):
        def function(item):
            raise error

        return lambda: process(world, function)

    assert raises(Skip("why"))().value.reason == "why"
    with pytest.raises(world.err.Err) as failed:
        raises(Fail("code", "message \ud800", detail=[1], extra={"acme:team": "red"}))()
    failure = failed.value.value
    assert (failure.kind, failure.code, failure.message) == (world.types.FailureKind_Permanent(), "code", "message \ufffd")
    assert (failure.detail, failure.extra) == ("[1]", [world.types.Pair("acme:team", '"red"')])
    with pytest.raises(world.err.Err) as failed:
        raises(Retry("code", "message", after=1))()
    assert failed.value.value.kind == world.types.FailureKind_Retryable(1000)


def test_a_request_crosses_whole_and_an_answer_comes_back(world, monkeypatch):
    asked = []

    def complete(request):
        asked.append(request)
        usage = world.llm.Usage(1, 2, 3, 4, 5, [])
        call = world.llm.ToolCall("1", "t", "{}", [world.types.Pair("sig", '"s"')])
        return world.llm.Response("text", [call], "stop", "m", usage, [world.llm.OtherPart("k", "[1]")], None, [])

    monkeypatch.setattr(world.llm, "complete", complete)

    def asks(item):
        call = llm.ToolCall("1", "t", "{}", {"sig": "s"})
        messages = [
            llm.Message("system", [llm.Text("s")], cache=True),
            llm.Message("user", [llm.Media("a/b", data=b"x"), llm.Media("a/b", url="u"), llm.Media("a/b", blob="scan")]),
            llm.Message("assistant", [llm.Other("k", [1]), call]),
            llm.Message("tool", [llm.ToolResult(call, "done", is_error=True, extra={"acme:by": "us"})]),
        ]
        request = llm.Request(
            messages,
            tools=[llm.Tool("t", "d", {"type": "object"})],
            tool_choice=llm.Named("t"),
            answer={"title": "A", "type": "object", "properties": {}, "additionalProperties": False},
            seed=7,
            extra={"top_k": 3},
        )
        response = llm.complete(request)
        return [response.text, response.tool_calls[0].extra, response.usage.reasoning_tokens, response.opaque[0].value]

    assert process(world, asks).value[0].value == '["text",{"sig":"s"},5,[1]]'
    request = asked[0]
    assert request.messages[0].speaker is world.llm.Speaker.SYSTEM and request.messages[0].cache
    assert [type(part.value.source).__name__ for part in request.messages[1].parts] == [
        "MediaSource_Bytes",
        "MediaSource_Url",
        "MediaSource_Blob",
    ]
    assert request.messages[3].parts[0].value.call_id == "1" and request.messages[3].parts[0].value.is_error
    assert request.messages[3].parts[0].value.extra == [world.types.Pair("acme:by", '"us"')]
    assert request.tool_choice == world.llm.ToolChoice_Named("t")
    assert (request.format.value.name, request.format.value.strict) == ("A", True)
    assert request.extra == [world.types.Pair("top_k", "3")]


def test_every_kind_of_error_has_its_exception(world, monkeypatch):
    for kind in world.llm.ErrorKind:
        error = world.llm.Error(kind, "code", "message", [world.types.Pair("limit", "5")])

        def complete(request, error=error):
            raise world.err.Err(error)

        monkeypatch.setattr(world.llm, "complete", complete)
        with pytest.raises(world.err.Err) as failed:
            process(world, lambda item: llm.chat("?"))
        assert (failed.value.value.code, failed.value.value.detail) == ("code", '{"limit":5}')
    monkeypatch.setattr(world.llm, "complete_many", lambda requests: [world.err.Err(error)])
    assert process(world, lambda item: str(llm.complete_many([llm.request("?")])[0])).value[0].value == '"code: message"'


def test_logs_carry_their_fields_and_print_is_a_log(world, monkeypatch):
    lines = []
    monkeypatch.setattr(world.log, "log", lambda level, message, fields: lines.append((level.name, message, fields)))

    def logs(item):
        log.warn("careful", n=1, odd={1})
        sys.stdout.write("one\ntwo")
        return 1

    made = plugin("p", version="1", description="d")(logs)
    before = sys.stdout
    handler = world.component.handler(made, {})()
    types = world.types
    try:
        handler.process(types.Item("i", 0, "{}", [], []), types.Context("j", 1, "{}", types.Budget(None, None, None, []), []))
    finally:
        sys.stdout = before
    assert [(level, message) for level, message, _ in lines] == [("WARN", "careful"), ("INFO", "one"), ("INFO", "two")]
    assert lines[0][2] == [types.Pair("n", "1"), types.Pair("odd", '"{1}"')]


def test_a_traceback_shows_the_authors_lines_and_nothing_of_the_kit(world):
    code = compile("def f():\n    return {}['x']\n", "/0/helpers.py", "exec")
    names = {}
    exec(code, names)
    try:
        names["f"]()
    except KeyError as error:
        text = "".join(world.component._traceback(error, {"/0/helpers.py": "def f():\n    return {}['x']\n"}))
    assert text.endswith('  File "helpers.py", line 2, in f\n    return {}[\'x\']\nKeyError: \'x\'\n')
    assert "^" not in text
