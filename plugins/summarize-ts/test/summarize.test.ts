import assert from "node:assert/strict";
import { test } from "node:test";
import { LlmError } from "sandmill-plugin";
import { fakeLlm, run } from "sandmill-plugin/testing";
import * as plugin from "../src/plugin.ts";
import { halvesOrMore } from "../src/split.ts";

const ANSWER = { summary: "Short.", key_points: ["a", "b", "c"] };
const tooLong = (extra = {}) => new LlmError("too-large", "context_length", "too long", extra);

test("a text is summed up as JSON", () => {
  const llm = fakeLlm(ANSWER);
  const { values } = run(plugin, { text: " one two three " }, { llm, config: { max_key_points: 2, language: "French" } });
  assert.deepEqual(values, [{ summary: "Short.", key_points: ["a", "b"], words: 3 }]);
  assert.match(llm.requests[0].system, /French/);
  assert.equal(llm.requests[0].request.onOverflow, "error");
});

test("an empty text is skipped without asking", () => {
  const llm = fakeLlm();
  assert.equal(run(plugin, { text: " \n" }, { llm }).skipped, "the text is empty");
  assert.equal(llm.requests.length, 0);
});

test("an empty summary, and an answer of another shape, begin the item anew", () => {
  for (const [reply, code] of [[{ summary: " ", key_points: [] }, "empty_summary"], [{ summary: 3 }, "bad_answer"], ["{", "bad_answer"]] as const) {
    const { failed } = run(plugin, { text: "x" }, { llm: fakeLlm(reply) });
    assert.deepEqual([failed?.code, failed?.retryable], [code, true]);
  }
});

test("an item whose text is none is told so", () => {
  assert.equal(run(plugin, { text: 3 }).failed?.code, "bad_item");
});

test("a text that does not fit is summed up in parts and merged", () => {
  const llm = fakeLlm((asked) => (asked.user.length > 400 ? tooLong({ tokens: 1000, limit: 400 }) : ANSWER));
  const { values } = run(plugin, { text: "A sentence stands here. ".repeat(50) }, { llm });
  assert.equal(values?.[0].words, 200);
  assert.ok(llm.requests.at(-1)?.user.startsWith("Short.\n- a\n- b\n- c"));
});

test("with the host in charge of what is too long nothing is split", () => {
  const llm = fakeLlm(tooLong());
  const { failed } = run(plugin, { text: "x".repeat(1000) }, { llm, config: { on_overflow: "host" } });
  assert.deepEqual([failed?.code, failed?.retryable], ["context_length", false]);
  assert.equal(llm.requests[0].request.onOverflow, undefined);
});

test("a text that never fits fails after some levels", () => {
  assert.equal(run(plugin, { text: "word ".repeat(5000) }, { llm: fakeLlm(() => tooLong()) }).failed?.code, "too_long");
});

test("parts end where sentences do and lose nothing", () => {
  const text = "One sentence stands here. ".repeat(100).trim();
  const parts = halvesOrMore(text, 0.3);
  assert.ok(parts.length >= 4 && parts.every((part) => part.endsWith(".")));
  assert.equal(parts.join(" "), text);
});

test("a text without pauses is split between characters", () => {
  for (const letter of ["ü", "😀"]) {
    const parts = halvesOrMore(letter.repeat(1000), 0.5);
    assert.ok(parts.length >= 2);
    assert.equal(parts.join(""), letter.repeat(1000));
  }
});
