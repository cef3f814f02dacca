// The types in use; `npm run types` checks it.

import { type Context, Emission, Failure, type Item, llm, LlmError, log, type Manifest, RetryLater } from "./index.js";
import { fakeLlm, run } from "./testing.js";

export const manifest: Manifest = {
  name: "triage",
  version: "0.1.0",
  description: "Says how urgent a ticket is.",
  config: { type: "object", properties: { team: { type: "string" } } },
  requires: ["text"],
  roles: [{ name: "default" }, { name: "judge", optional: true }],
};

export function* process(item: Item<{ text: string }>, cx: Context<{ team?: string }>) {
  log.info("read", { length: item.data.text.length, team: cx.config.team });
  const topic: string = llm.chat(item.data.text, { system: "Name the topic.", temperature: 0, attach: item.blobs });
  const { urgency } = llm.chatJson<{ urgency: number }>(item.data.text, { type: "object" });
  if (urgency > 5) throw new RetryLater("bad_urgency", `${urgency} is more than 5`, { afterMs: 100 });
  for (const answer of llm.completeMany([llm.request("a", { answer: "json" })])) {
    if (answer instanceof LlmError) throw answer.kind === "too-large" ? new Failure("too_long", "split it") : answer;
    yield new Emission({ topic, urgency, ended: answer.finish }, "verdict");
  }
}

const result = run({ manifest, process }, { text: "x" }, { llm: fakeLlm("fire", (asked) => ({ urgency: asked.user.length })) });
export const topic: string = result.values?.[0].topic;

// @ts-expect-error a speaker is one of four
export const wrong: llm.Message = { speaker: "robot", parts: [{ text: "" }] };
