// Does what its item says; the same in every language.

import { type Context, Emission, Emissions, Failure, type Item, llm, LlmError, log, type Manifest, RetryLater, Skip } from "sandmill-plugin";

interface Work {
  do: string;
  text?: string;
}

const ANSWER = {
  type: "object",
  title: "Answer",
  properties: { topic: { type: "string" }, urgency: { type: "integer" } },
  required: ["topic", "urgency"],
  additionalProperties: false,
};

export const manifest: Manifest = {
  name: "conform",
  version: "0.1.0",
  description: "Does what its item says.",
  config: { type: "object", properties: { team: { type: "string" } } },
  requires: ["do"],
  roles: [{ name: "default", description: "answers" }],
};

export function process(item: Item<Work>, cx: Context<{ team?: string }>): unknown {
  const { do: what, text = "" } = item.data;
  switch (what) {
    case "config":
      return cx.config.team ?? "nobody";
    case "chat":
      return llm.chat(text, { system: "Be brief.", temperature: 0.5 });
    case "json": {
      const answer = llm.chatJson<{ topic: string; urgency: number }>(text, ANSWER, { system: "Sort it." });
      return { topic: answer.topic, next: answer.urgency + 1 };
    }
    case "several": {
      const answers = llm.completeMany([llm.request("a"), llm.request("b", { system: "c" })]);
      return answers.map((answer) => (answer instanceof LlmError ? answer.kind : answer.text));
    }
    case "denied":
      return llm.chat("?", { role: "stranger" });
    case "log":
      log.warn("careful", { n: 1 });
      console.log("printed");
      return "logged";
    case "many":
      return new Emissions<unknown>([1, new Emission({ two: text }, "second")]);
    case "fail":
      throw new Failure("no_text", "there is nothing here", { detail: { seen: text } });
    case "retry":
      if (cx.attempt < 2) throw new RetryLater("not_yet", "once more", { afterMs: 1 });
      return cx.attempt;
    case "skip":
      throw new Skip("nothing to do");
    default:
      return crash(item.data);
  }
}

function crash(work: Work): never {
  throw new Error(`cannot do ${work.do}`);
}
