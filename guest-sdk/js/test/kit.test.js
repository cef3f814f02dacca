import assert from "node:assert/strict";
import { test } from "node:test";
import { format } from "../src/format.js";
import { Emission, Emissions, Failure, llm, LlmError, log, RetryLater, Skip } from "../src/index.js";
import { parse, write } from "../src/json.js";
import { seeded } from "../src/random.js";
import { describe, fakeLlm, run, withLlm } from "../src/testing.js";
import { decodeUtf8, encodeUtf8 } from "../src/web.js";

const manifest = { name: "p", version: "1.0.0", description: "d" };
const plugin = (process, more = {}) => ({ manifest: { ...manifest, ...more }, process });
const throwing = (error) =>
  run(
    plugin(() => {
      throw error;
    }),
    {},
  );

test("integers that no number holds go through as they came", () => {
  const text = '{"a":12345678901234567890,"b":[-9007199254740993,9007199254740991,1.5],"c":"12345678901234567890","big:":"big:1"}';
  const value = parse(text);
  assert.equal(value.a, 12345678901234567890n);
  assert.equal(value.b[1], 9007199254740991);
  assert.equal(value.c, "12345678901234567890");
  assert.equal(write(value), text);
  assert.throws(() => parse('{"a":1234567890123456789'), SyntaxError);
});

test("what has no JSON form is refused", () => {
  const cycle = {};
  cycle.self = cycle;
  for (const value of [undefined, () => 1, NaN, [Infinity], cycle]) assert.throws(() => write(value), TypeError);
  assert.equal(write({ a: undefined, b: "\ud800" }), '{"b":"\\ud800"}');
});

test("UTF-8 is read and written as Node does it", () => {
  const bytes = [[], [0xef, 0xbb, 0xbf, 0x41], [0xc3, 0xa4], [0xf0, 0x9f, 0x98, 0x80], [0xff], [0xc3], [0xe2, 0x82], [0xed, 0xa0, 0x80]];
  bytes.push([0xc0, 0xaf], [0xf4, 0x90, 0x80, 0x80], [0xe0, 0x80, 0x80], [0x41, 0xf0, 0x9f, 0x41], [0xf8, 0x88, 0x80, 0x80, 0x80]);
  for (const one of bytes) assert.equal(decodeUtf8(Uint8Array.from(one)), new TextDecoder().decode(Uint8Array.from(one)), String(one));
  const text = "aä€😀\ud800";
  assert.deepEqual(encodeUtf8(text), new TextEncoder().encode(text));
  assert.throws(() => decodeUtf8(Uint8Array.of(0xff), true), TypeError);
});

test("a log shows values as a person reads them", () => {
  const cycle = { name: "x" };
  cycle.self = cycle;
  assert.equal(format(["%s is %d%%", "x", 3, { a: [1, "b"], f() {} }]), 'x is 3% { a: [1, "b"], f: [function f] }');
  assert.equal(format([new Map([["k", new Set([1])]]), null, undefined]), 'Map {"k" => Set {1}} null undefined');
  assert.equal(format([cycle]), '{ name: "x", self: [circular] }');
  assert.equal(format([{ a: { b: { c: { d: { e: 1 } } } } }]), "{ a: { b: { c: { d: {…} } } } }");
  assert.equal(format([]), "");
});

test("the same attempt of the same item draws the same numbers, another one others", () => {
  const draw = (...texts) => Array.from({ length: 1000 }, seeded(...texts));
  assert.deepEqual(draw("item", 1), draw("item", 1));
  assert.notDeepEqual(draw("item", 1), draw("item", 2));
  assert.notDeepEqual(draw("item-1", 1), draw("item-2", 1));
  const numbers = draw("x", 1);
  assert.ok(numbers.every((number) => number >= 0 && number < 1));
  const mean = numbers.reduce((sum, number) => sum + number) / numbers.length;
  assert.ok(mean > 0.45 && mean < 0.55, String(mean));
});

test("a value is one emission; a generator or Emissions are several, with names", () => {
  assert.deepEqual(run(plugin((item, cx) => [item.data.x, cx.config.y, cx.attempt]), { x: 1 }, { config: { y: 2 }, attempt: 3 }).values, [[1, 2, 3]]);
  const { values, names } = run(
    plugin(function* () {
      yield 1;
      yield new Emission([2], "two");
    }),
    {},
  );
  assert.deepEqual([values, names], [[1, [2]], [undefined, "two"]]);
  assert.deepEqual(run(plugin(() => new Emissions([1, 2])), {}).values, [1, 2]);
  assert.deepEqual(run(plugin(() => new Emissions()), {}).values, []);
  assert.deepEqual(run(plugin(() => null), {}).values, [null]);
});

test("what cannot be emitted fails the item", () => {
  for (const [value, said] of [
    [undefined, "returned undefined"],
    [Promise.resolve(1), "drop `async`"],
    [() => 1, "no JSON form"],
    [NaN, "NaN"],
  ]) {
    const { failed } = run(plugin(() => value), {});
    assert.equal(failed.code, "bad_output");
    assert.ok(failed.message.includes(said), failed.message);
  }
});

test("failures say what shall be done", () => {
  const { failed } = throwing(new Failure("no_text", "it is empty", { detail: { a: 1 } }));
  assert.deepEqual(failed, { code: "no_text", message: "it is empty", retryable: false, afterMs: undefined, detail: { a: 1 } });
  assert.deepEqual(throwing(new Failure("a", "b", { extra: { "acme:team": "red" } })).failed.extra, { "acme:team": "red" });
  assert.equal(throwing(new RetryLater("bad", "again", { afterMs: 1.2 })).failed.afterMs, 2);
  assert.equal(throwing(new RetryLater("bad", "again")).failed.retryable, true);
  assert.equal(throwing(new Skip("nothing to do")).skipped, "nothing to do");
  assert.deepEqual(throwing(new LlmError("limit", "calls", "no more", { limit: 3 })).failed.detail, { limit: 3 });
  assert.equal(throwing(new LlmError("bad-answer", "bad_answer", "no")).failed.retryable, true);
  assert.throws(() => throwing(new TypeError("x")), TypeError);
  assert.equal(run(plugin(() => 1), "[").failed.code, "bad_item");
});

test("a manifest without what it needs is told", () => {
  assert.throws(() => describe({ process() {} }), /exports no `manifest`/);
  assert.throws(() => describe({ manifest }), /exports no function `process`/);
  assert.throws(() => describe(plugin(() => 1, { version: 1 })), /no `version`/);
  const said = describe(plugin(() => 1, { config: { type: "object" }, roles: [{ name: "judge" }] }));
  assert.equal(said.configSchema, '{"type":"object"}');
  assert.deepEqual(said.modelRoles, [{ name: "judge", description: "", optional: false, extra: [] }]);
});

test("a model is asked with instructions, a question and settings", () => {
  const model = fakeLlm("a cat");
  const ask = (item) => llm.chat("What is it?", { system: "Be brief.", attach: item.blobs, temperature: 0.5, role: "judge" });
  assert.deepEqual(run(plugin(ask), {}, { llm: model, blobs: { scan: "bytes" } }).values, ["a cat"]);
  const [{ request, system, user }] = model.requests;
  assert.deepEqual([system, user, request.role, request.temperature], ["Be brief.", "What is it?", "judge", 0.5]);
  assert.deepEqual(request.messages[1].parts[1], { media: { mimeType: "application/octet-stream", blob: "scan" } });
});

test("an answer in JSON is parsed, and one that is none is a bad answer", () => {
  withLlm(fakeLlm({ good: true }, "{"), () => {
    assert.deepEqual(llm.chatJson("?"), { good: true });
    assert.throws(() => llm.chatJson("?"), (error) => error instanceof LlmError && error.kind === "bad-answer");
  });
});

test("several answers stand in the order of the requests", () => {
  const model = fakeLlm(({ user }) => (user === "b" ? new LlmError("refused", "no", "no") : user.toUpperCase()));
  const [first, second, third] = withLlm(model, () => llm.completeMany(["a", "b", "c"].map((user) => llm.request(user))));
  assert.deepEqual([first.text, second.kind, third.text], ["A", "refused", "C"]);
});

test("blobs are read in parts and whole, logs are kept", () => {
  const look = ({ blobs: [blob] }) => {
    log.info("read", { size: blob.size });
    return [blob.text(), new TextDecoder().decode(blob.read(1, 2))];
  };
  const { values, log: lines } = run(plugin(look), {}, { blobs: { a: "text" } });
  assert.deepEqual(values, [["text", "ex"]]);
  assert.deepEqual(lines, [{ level: "info", message: "read", fields: { size: 4 } }]);
});

test("without a fake there is no model, and a fake without replies says so", () => {
  assert.equal(run(plugin(() => llm.chat("?")), {}).failed.code, "no_host");
  assert.equal(run(plugin(() => llm.chat("?")), {}, { llm: fakeLlm() }).failed.code, "no_reply");
});

test("schemas that providers can enforce are told apart", () => {
  const closed = { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false };
  assert.ok(llm.isStrict({ type: "array", items: closed }));
  for (const open of [{}, { type: "object" }, { ...closed, required: [] }, { ...closed, additionalProperties: true }, { ...closed, properties: { a: {} } }]) {
    assert.ok(!llm.isStrict(open), JSON.stringify(open));
  }
});
