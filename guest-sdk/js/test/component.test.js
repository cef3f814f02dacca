// The conversions, with bindings that are played here as componentize-qjs makes them, and the build up to the bundle.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { handler } from "../src/component.js";
import { Emission, Failure, llm, log, RetryLater, Skip } from "../src/index.js";
import { installLines, mapped } from "../src/trace.js";

const usage = { inputTokens: 1, outputTokens: 2, cacheReadTokens: 3, cacheWriteTokens: 4, reasoningTokens: 5, extra: [] };
const answer = (text) => ({ text, toolCalls: [], finish: "stop", model: "m", usage, opaque: [], cut: null, extra: [] });
const blob = { name: "scan", mimeType: "image/png", size: 3, digest: "00" };
const item = (json) => ({ id: "id", index: 7, json, blobs: [blob], extra: [{ name: "acme:tier", value: "2" }] });
const context = { job: "job", attempt: 2, config: '{"a":1}', budget: { calls: 1, tokens: null, microDollars: 3 }, extra: [] };

function process(work, bindings = {}, json = "{}") {
  const manifest = { name: "p", version: "1", description: "d" };
  const all = { log: { log() {} }, blobs: {}, llm: {}, ...bindings };
  const random = Math.random;
  try {
    return handler({ manifest, process: work }, all, () => undefined).process(item(json), context);
  } finally {
    Math.random = random;
  }
}

test("an item goes in and emissions come out", () => {
  const { tag, val } = process((item, cx) => new Emission([item.id, item.index, item.data, item.extra, cx.config, cx.budget.calls], "all"), {}, '{"x":1}');
  assert.equal(tag, "emit");
  assert.deepEqual(val, [{ value: '["id",7,{"x":1},{"acme:tier":2},{"a":1},1]', name: "all", extra: [] }]);
});

test("failures and skips are those of the contract", () => {
  const thrown = (error) => () => {
    throw error;
  };
  assert.deepEqual(process(thrown(new Skip("why \ud800"))), { tag: "skip", val: { reason: "why \ufffd", extra: [] } });
  const fails = (error, expected) => assert.throws(() => process(thrown(error)), (failure) => (assert.deepEqual(failure, expected), true));
  fails(new Failure("c", "m", { detail: [1] }), { kind: { tag: "permanent" }, code: "c", message: "m", detail: "[1]", extra: [] });
  fails(new RetryLater("c", "m", { afterMs: 5 }), { kind: { tag: "retryable", val: 5 }, code: "c", message: "m", detail: undefined, extra: [] });
  const extra = [{ name: "acme:team", value: '"red"' }];
  const told = { kind: { tag: "permanent" }, code: "c", message: "m", detail: undefined, extra };
  fails(new Failure("c", "m", { extra: { "acme:team": "red" } }), told);
});

test("a crash names its place in one line, and the log has it whole", () => {
  const lines = [];
  const crash = () => {
    throw new TypeError("no such thing");
  };
  assert.throws(() => process(crash, { log: { log: (...line) => lines.push(line) } }), /^Error: TypeError: no such thing at /);
  assert.equal(lines[0][0], "error");
  assert.match(lines[0][1], /^TypeError: no such thing\n {4}at /);
  assert.throws(() => process(() => { throw "text"; }), /the plugin threw text/);
});

test("a request crosses whole and an answer comes back", () => {
  const asked = [];
  const complete = (request) => {
    asked.push(request);
    const toolCalls = [{ id: "1", name: "t", arguments: "{}", extra: [{ name: "sig", value: '"s"' }] }];
    return { ...answer("text"), toolCalls, opaque: [{ kind: "k", value: "[1]" }] };
  };
  const call = { id: "1", name: "t", arguments: "{}", extra: { sig: "s" } };
  const work = () => {
    const response = llm.complete({
      messages: [
        { speaker: "system", parts: [{ text: "s" }], cache: true },
        { speaker: "user", parts: [{ media: { mimeType: "a/b", url: "u" } }, { media: { mimeType: "a/b", blob: "scan" } }] },
        { speaker: "tool", parts: [{ toolResult: { call, content: "done", isError: true, extra: { "acme:by": "us" } } }] },
      ],
      tools: [{ name: "t", description: "d", parameters: { type: "object" } }],
      toolChoice: { named: "t" },
      answer: { title: "Ä b", type: "object", properties: {}, additionalProperties: false },
      seed: 7,
      extra: { top_k: 3 },
    });
    assert.deepEqual(response.toMessage().parts, [{ other: { kind: "k", json: "[1]" } }, { text: "text" }, { toolCall: call }]);
    return [response.text, response.usage.reasoningTokens];
  };
  assert.equal(process(work, { llm: { complete } }).val[0].value, '["text",5]');
  const [request] = asked;
  assert.equal(request.role, "default");
  assert.deepEqual(request.messages[0], { speaker: "system", parts: [{ tag: "text", val: "s" }], cache: true, extra: [] });
  assert.deepEqual(request.messages[1].parts[1].val.source, { tag: "blob", val: "scan" });
  const by = [{ name: "acme:by", value: '"us"' }];
  assert.deepEqual(request.messages[2].parts[0].val, { callId: "1", name: "t", content: "done", isError: true, media: [], extra: by });
  assert.deepEqual(request.toolChoice, { tag: "named", val: "t" });
  assert.equal(request.format.val.name, "__b");
  assert.equal(request.format.val.strict, true);
  assert.deepEqual(request.extra, [{ name: "top_k", value: "3" }]);
});

test("an error of the host is an LlmError, alone and among several", () => {
  const payload = { kind: "too-large", code: "ctx", message: "too long", extra: [{ name: "limit", value: "5" }] };
  const complete = () => {
    throw Object.assign(new Error("[object Object] (see error.payload)"), { payload });
  };
  assert.throws(() => process(() => llm.chat("?"), { llm: { complete } }), (failure) => failure.code === "ctx" && failure.detail === '{"limit":5}');
  const completeMany = () => [{ tag: "err", val: payload }, { tag: "ok", val: answer("b") }];
  const kinds = () => llm.completeMany([llm.request("a"), llm.request("b")]).map((one) => one.kind ?? one.text);
  assert.equal(process(kinds, { llm: { completeMany } }).val[0].value, '["too-large","b"]');
});

test("logs carry their fields", () => {
  const lines = [];
  process(() => (log.warn("careful", { n: 1, f() {} }), 1), { log: { log: (...line) => lines.push(line) } });
  assert.deepEqual(lines, [["warn", "careful", [{ name: "n", value: "1" }, { name: "f", value: '"[function f]"' }]]]);
});

test("a stack of QuickJS names the author's lines, and nothing of the kit", () => {
  const table = { sources: ["src/plugin.ts", null], lines: [0, [0, 12], [1, 3]] };
  installLines(() => table);
  try {
    const error = new Error("x");
    error.stack = "    at boom (/bundle.js:2:10)\n    at map (native)\n    at <anonymous> (/bundle.js:2:1)\n    at run (/bundle.js:3:5)\n    at <eval> (/bundle.js:1)\n";
    assert.equal(mapped(error), "Error: x\n    at boom (src/plugin.ts:12)\n    at (anonymous) (src/plugin.ts:12)");
  } finally {
    installLines(() => undefined);
  }
});

test("a bundle knows which line came from where", async (t) => {
  let esbuild;
  try {
    esbuild = await import("esbuild");
  } catch {
    return t.skip("esbuild is missing: npm install");
  }
  const { build, bundled } = await import("../src/build.js");
  const folder = await mkdtemp(path.join(tmpdir(), "kit-"));
  try {
    const source = path.join(folder, "plugin.ts");
    await writeFile(source, "interface A { x: number }\n\nexport const manifest = {};\nexport function process(a: A) {\n  return a.x;\n}\n");
    await writeFile(path.join(folder, "reaches.js"), 'import "node:fs";\n');
    const work = await mkdtemp(path.join(folder, "work-"));
    const bundle = await bundled(esbuild, source, work);
    const lines = bundle.split("\n");
    const table = JSON.parse(/globalThis.sandmillLines = (.*);/.exec(bundle)[1]);
    const [file, line] = table.lines[lines.findIndex((text) => text.includes("return a.x"))];
    assert.ok(table.sources[file].endsWith("plugin.ts"));
    assert.equal(line, 5);
    assert.ok(table.sources.includes(null), "the kit's own files have no name");
    await assert.rejects(build(path.join(folder, "reaches.js"), path.join(work, "x.wasm")), /none of Node's modules/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("the contract in the kit is that of the repository", async (t) => {
  const [ours, theirs] = [new URL("../wit/", import.meta.url), new URL("../../../wit/1.0.0/", import.meta.url)];
  const names = await readdir(theirs).catch(() => undefined);
  if (!names) return t.skip("outside of the repository");
  assert.deepEqual(await readdir(ours), names);
  for (const name of names) assert.equal(await readFile(new URL(name, ours), "utf8"), await readFile(new URL(name, theirs), "utf8"), name);
});
