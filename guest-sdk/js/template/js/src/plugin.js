// Says how urgent a message is, and what it is about.

import { Failure, llm, log, RetryLater, Skip } from "sandmill-plugin";

// Longer ones are no messages.
const LETTERS_MAX = 20_000;

// What the model is asked for, and what is emitted.
const TRIAGE = {
  title: "Triage",
  type: "object",
  properties: {
    urgency: { enum: ["low", "medium", "high"] },
    topic: { type: "string", description: "In a word or two." },
  },
  required: ["urgency", "topic"],
  additionalProperties: false,
};

/** @type {import("sandmill-plugin").Manifest} */
export const manifest = {
  name: "{{name}}",
  version: "0.1.0",
  description: "Says how urgent a message is, and what it is about.",
  config: { type: "object", properties: { team: { type: "string", description: "Whom the answer is for." } } },
  output: TRIAGE,
  requires: ["text"],
  roles: [{ name: "default", description: "reads a message and answers in JSON" }],
};

/**
 * @param {import("sandmill-plugin").Item<{ text: string }>} item
 * @param {import("sandmill-plugin").Context<{ team?: string }>} cx
 */
export function process(item, cx) {
  const text = item.data.text.trim();
  if (text === "") throw new Skip("the message is empty");
  if (text.length > LETTERS_MAX) throw new Failure("too_long", `${text.length} letters are no message: split the input`);
  log.info("asking", { letters: text.length });
  // An error of the model fails the item for good: the host has already retried it.
  const triage = llm.chatJson(text, TRIAGE, { system: `You sort messages for the team ${cx.config.team ?? "support"}.` });
  // Begun anew, with a fresh answer.
  if (triage.topic.trim() === "") throw new RetryLater("no_topic", "the model named no topic");
  return triage;
}
