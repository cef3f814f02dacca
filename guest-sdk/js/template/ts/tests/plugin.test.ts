import assert from "node:assert/strict";
import { test } from "node:test";
import { LlmError } from "sandmill-plugin";
import { fakeLlm, run } from "sandmill-plugin/testing";
import * as plugin from "../src/plugin.ts";

test("a message is sorted for the team", () => {
  const llm = fakeLlm({ urgency: "high", topic: "fire" });
  const { values } = run(plugin, { text: "The printer is on fire." }, { llm, config: { team: "fire brigade" } });
  assert.deepEqual(values, [{ urgency: "high", topic: "fire" }]);
  assert.match(llm.requests[0].system, /fire brigade/);
});

test("an empty message is skipped", () => {
  const llm = fakeLlm();
  assert.equal(run(plugin, { text: " " }, { llm }).skipped, "the message is empty");
  assert.equal(llm.requests.length, 0);
});

test("an answer without a topic is asked for again", () => {
  const { failed } = run(plugin, { text: "Hm." }, { llm: fakeLlm({ urgency: "low", topic: "" }) });
  assert.deepEqual([failed?.code, failed?.retryable], ["no_topic", true]);
});

test("a model that refuses fails the item", () => {
  const llm = fakeLlm(new LlmError("refused", "content_filter", "not this"));
  const { failed } = run(plugin, { text: "Hm." }, { llm });
  assert.deepEqual([failed?.code, failed?.retryable], ["content_filter", false]);
});
