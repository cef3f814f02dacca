"""Inside a component: between the bindings that componentize-py generates and the kit. Conversions, and nothing that decides anything.

`wit_world` exists in a component only, so nothing else of the kit imports this module; `build.py` names it in the entry it writes.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import PurePosixPath
from typing import Any, NoReturn, Sequence

from componentize_py_types import Err, Ok
from wit_world.imports import blobs as wit_blobs
from wit_world.imports import llm as wit_llm
from wit_world.imports import log as wit_log
from wit_world.imports import types as wit

from . import host, llm, shapes
from .data import Blob, Budget
from .log import take_over_stdout
from .plugins import Emitted, Ending, Plugin, RawContext, RawItem, Skipped

_ERRORS = {kind.kind: kind for kind in llm.LlmError.__subclasses__()}
_KIT = str(PurePosixPath(__file__).parent)


class ComponentHost:
    def complete(self, request: llm.Request) -> llm.Response:
        try:
            return _response(wit_llm.complete(_request(request)))
        except Err as error:
            raise _error(error.value) from None

    def complete_many(self, requests: Sequence[llm.Request]) -> list[llm.Response | llm.LlmError]:
        try:
            results = wit_llm.complete_many([_request(request) for request in requests])
        except Err as error:
            raise _error(error.value) from None
        return [_response(result.value) if isinstance(result, Ok) else _error(result.value) for result in results]

    def count_tokens(self, request: llm.Request) -> llm.TokenCount:
        try:
            count = wit_llm.count_tokens(_request(request))
        except Err as error:
            raise _error(error.value) from None
        return llm.TokenCount(count.tokens, count.window, count.exact, _extra(count.extra))

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        wit_log.log(wit_log.Level[level.upper()], _whole(message), _log_fields(fields))

    def read_blob(self, name: str, offset: int, length: int) -> bytes:
        try:
            return wit_blobs.read(name, offset, length)
        except Err as error:
            from .failures import Fail

            raise Fail("missing_blob", error.value) from None


def handler(plugin: Plugin[Any, Any], modules: dict[str, str]) -> type:
    """The class that componentize-py exports. `modules`: source texts by file name, for tracebacks."""
    host.install(ComponentHost())
    stdout = take_over_stdout()

    class Handler:
        def describe(self) -> wit.Manifest:
            roles = [
                wit.ModelRole(role.name, role.description, role.optional, _pairs(role.extra)) for role in plugin.roles
            ]
            return wit.Manifest(
                plugin.name,
                plugin.version,
                plugin.description,
                plugin.config_schema,
                plugin.output_schema,
                list(plugin.requires),
                roles,
                [],
            )

        def process(self, item: wit.Item, context: wit.Context) -> wit.Outcome:
            crash = None
            try:
                ending = plugin.run(_item(item), _context(context))
            except BaseException as error:
                crash = error
            stdout.finish()
            if crash is not None:
                _die(crash, modules)
            return _outcome(ending)

    return Handler


def _die(crash: BaseException, modules: dict[str, str]) -> NoReturn:
    """The traceback, as the last thing on stderr, then a trap. Left to itself the runtime would say more, and less."""
    sys.stderr.write("".join(_traceback(crash, modules)))
    sys.stderr.flush()
    os.abort()


def _traceback(crash: BaseException, modules: dict[str, str]) -> list[str]:
    report = traceback.TracebackException.from_exception(crash, lookup_lines=False)
    open_reports: list[traceback.TracebackException | None] = [report]
    while open_reports:
        one = open_reports.pop()
        if one is None:
            continue
        open_reports += [one.__cause__, one.__context__, *(one.exceptions or ())]
        one.stack[:] = [_frame(frame, modules) for frame in one.stack if not frame.filename.startswith(_KIT)]
    return list(report.format())


def _frame(frame: traceback.FrameSummary, modules: dict[str, str]) -> traceback.FrameSummary:
    """With the author's path and line of source; there are no files to read it from."""
    lines = modules.get(frame.filename, "").splitlines()
    line = lines[frame.lineno - 1].strip() if frame.lineno and frame.lineno <= len(lines) else ""
    parts = PurePosixPath(frame.filename).parts
    # Folders of sources are mounted as `/0`, `/1` and so on.
    name = "/".join(parts[2:]) if len(parts) > 2 and parts[1].isdigit() else frame.filename
    return traceback.FrameSummary(name, frame.lineno, frame.name, lookup_line=False, line=line)


def _item(item: wit.Item) -> RawItem:
    blobs = tuple(Blob(blob.name, blob.mime_type, blob.size, blob.digest, _extra(blob.extra)) for blob in item.blobs)
    return RawItem(item.id, item.index, item.json, blobs, _raw_pairs(item.extra))


def _context(context: wit.Context) -> RawContext:
    left = context.budget
    budget = Budget(left.calls, left.tokens, left.micro_dollars, _extra(left.extra))
    return RawContext(context.job, context.attempt, context.config, budget, _raw_pairs(context.extra))


def _outcome(ending: Ending) -> wit.Outcome:
    if isinstance(ending, Emitted):
        return wit.Outcome_Emit([wit.Emission(value, _optional(name), []) for value, name in ending.values])
    if isinstance(ending, Skipped):
        return wit.Outcome_Skip(wit.Skip(_whole(ending.reason), []))
    kind: Any = wit.FailureKind_Retryable(ending.after_ms) if ending.retryable else wit.FailureKind_Permanent()
    extra = [wit.Pair(_whole(name), value) for name, value in ending.extra]
    raise Err(wit.Failure(kind, _whole(ending.code), _whole(ending.message), ending.detail, extra))


def _request(request: llm.Request) -> wit_llm.Request:
    return wit_llm.Request(
        role=request.role,
        messages=[_message(message) for message in request.messages],
        tools=[
            wit_llm.Tool(_whole(tool.name), _whole(tool.description), shapes.write(tool.schema()), _pairs(tool.extra))
            for tool in request.tools
        ],
        tool_choice=_tool_choice(request.tool_choice),
        format=_format(request),
        max_output_tokens=request.max_output_tokens,
        temperature=request.temperature,
        top_p=request.top_p,
        stop=[_whole(text) for text in request.stop],
        seed=request.seed,
        on_overflow=request.on_overflow,
        extra=_pairs(request.extra),
    )


def _format(request: llm.Request) -> wit_llm.ResponseFormat:
    schema = request.answer_schema()
    if schema is None:
        return wit_llm.ResponseFormat_Text() if request.answer is str else wit_llm.ResponseFormat_Json()
    name, made = schema
    return wit_llm.ResponseFormat_JsonSchema(wit_llm.JsonSchema(name, shapes.write(made), shapes.is_strict(made), []))


def _tool_choice(choice: llm.ToolChoice | None) -> wit_llm.ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, llm.Named):
        return wit_llm.ToolChoice_Named(choice.name)
    words = {"auto": wit_llm.ToolChoice_Auto, "none": wit_llm.ToolChoice_None_, "required": wit_llm.ToolChoice_Required}
    return words[choice]()


def _message(message: llm.Message) -> wit_llm.Message:
    speaker = wit_llm.Speaker[message.speaker.upper()]
    return wit_llm.Message(speaker, [_part(part) for part in message.parts], message.cache, _pairs(message.extra))


def _part(part: llm.Part) -> wit_llm.Part:
    match part:
        case llm.Text():
            return wit_llm.Part_Text(_whole(part.text))
        case llm.Media():
            return wit_llm.Part_Media(_media(part))
        case llm.ToolCall():
            call = wit_llm.ToolCall(part.id, part.name, _whole(part.arguments), _pairs(part.extra))
            return wit_llm.Part_ToolCall(call)
        case llm.ToolResult():
            media = [_media(one) for one in part.media]
            content, extra = _whole(part.content), _pairs(part.extra)
            result = wit_llm.ToolResult(part.call.id, part.call.name, content, part.is_error, media, extra)
            return wit_llm.Part_ToolResult(result)
        case llm.Other():
            return wit_llm.Part_Other(wit_llm.OtherPart(part.kind, shapes.write(part.value)))
    raise TypeError(f"{part!r} is no part of a message: use Text, Media, ToolCall, ToolResult or Other")


def _media(media: llm.Media) -> wit_llm.Media:
    source: Any
    if media.url is not None:
        source = wit_llm.MediaSource_Url(media.url)
    elif media.blob is not None:
        source = wit_llm.MediaSource_Blob(media.blob)
    else:
        source = wit_llm.MediaSource_Bytes(media.data or b"")
    return wit_llm.Media(media.mime_type, source, _pairs(media.extra))


def _response(response: wit_llm.Response) -> llm.Response:
    usage, cut = response.usage, response.cut
    return llm.Response(
        text=response.text,
        tool_calls=tuple(llm.ToolCall(call.id, call.name, call.arguments, _extra(call.extra)) for call in response.tool_calls),
        finish=response.finish,
        model=response.model,
        usage=llm.Usage(
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            _extra(usage.extra),
        ),
        opaque=tuple(llm.Other(part.kind, shapes.parse(part.value)) for part in response.opaque),
        cut=None
        if cut is None
        else llm.Cut(cut.how, cut.tokens_before, cut.tokens_after, cut.messages_dropped, _extra(cut.extra)),
        extra=_extra(response.extra),
    )


def _error(error: wit_llm.Error) -> llm.LlmError:
    kind = _ERRORS[error.kind.name.lower().replace("_", "-")]
    return kind(error.code, error.message, _extra(error.extra))


def _extra(pairs: Sequence[wit.Pair]) -> dict[str, Any]:
    return {pair.name: shapes.parse(pair.value) for pair in pairs}


def _raw_pairs(pairs: Sequence[wit.Pair]) -> tuple[tuple[str, str], ...]:
    return tuple((pair.name, pair.value) for pair in pairs)


def _pairs(values: dict[str, Any]) -> list[wit.Pair]:
    return [wit.Pair(name, shapes.write(value)) for name, value in values.items()]


def _log_fields(values: dict[str, Any]) -> list[wit.Pair]:
    """A log never fails: what has no JSON form is shown as Python shows it."""
    pairs = []
    for name, value in values.items():
        try:
            text = shapes.write(value)
        except (ValueError, TypeError):
            text = shapes.write(repr(value))
        pairs.append(wit.Pair(_whole(name), text))
    return pairs


def _whole(text: str) -> str:
    """Text of the contract is UTF-8; half of a surrogate pair has no form in it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _optional(text: str | None) -> str | None:
    return None if text is None else _whole(text)
