// Says how urgent a message is, and what it is about.

import { type Context, Failure, type Item, llm, log, type Manifest, RetryLater, Skip } from "sandmill-plugin";

// Longer ones are no messages.
const LETTERS_MAX = 20_000;

interface Message {
  text: string;
}

interface Config {
  team?: string;
}

interface Triage {
  urgency: "low" | "medium" | "high";
  topic: string;
}

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

export const manifest: Manifest = {
  name: "{{name}}",
  version: "0.1.0",
  description: "Says how urgent a message is, and what it is about.",
  config: { type: "object", properties: { team: { type: "string", description: "Whom the answer is for." } } },
  output: TRIAGE,
  requires: ["text"],
  roles: [{ name: "default", description: "reads a message and answers in JSON" }],
};

export function process(item: Item<Message>, cx: Context<Config>): Triage {
  const text = item.data.text.trim();
  if (text === "") throw new Skip("the message is empty");
  if (text.length > LETTERS_MAX) throw new Failure("too_long", `${text.length} letters are no message: split the input`);
  log.info("asking", { letters: text.length });
  // An error of the model fails the item for good: the host has already retried it.
  const system = `You sort messages for the team ${cx.config.team ?? "support"}.`;
  const triage = llm.chatJson<Triage>(text, TRIAGE, { system });
  // Begun anew, with a fresh answer.
  if (triage.topic.trim() === "") throw new RetryLater("no_topic", "the model named no topic");
  return triage;
}
