// Does what its item says; the same in every language.

import {
  type Blob,
  type Context,
  Emission,
  Emissions,
  Failure,
  type Item,
  llm,
  LlmError,
  log,
  type Manifest,
  RetryLater,
  Skip,
} from "sandmill-plugin";

interface Work {
  do: string;
  text?: string;
  value?: unknown;
  role?: string;
}

const ANSWER = {
  type: "object",
  title: "Answer",
  properties: { topic: { type: "string" }, urgency: { type: "integer" } },
  required: ["topic", "urgency"],
  additionalProperties: false,
};

const ROLES = ["default", "transient", "small", "rejected", "refused", "sloppy", "stubborn", "slow"];

export const manifest: Manifest = {
  name: "conform",
  version: "1.0.0",
  description: "Does what its item says.",
  config: { type: "object", properties: { team: { type: "string" } } },
  requires: ["do"],
  roles: ROLES.map((name) => ({ name, description: "answers", optional: true })),
};

export function process(item: Item<Work>, cx: Context<{ team?: string }>): unknown {
  const { do: what, text = "", value = null, role } = item.data;
  switch (what) {
    case "echo":
      return value;
    case "identity":
      return { id: item.id, index: item.index, job: cx.job, attempt: cx.attempt, calls: cx.budget.calls };
    case "numbers":
      return [9007199254740991, 9007199254740993n, 18446744073709551615n, -9223372036854775808n, 1e308, 5e-324, -0.0, 0.1];
    case "no-json":
      return NaN;
    case "config":
      return cx.config.team ?? "";
    case "chat":
      return llm.chat(text, { role, system: "Be brief.", temperature: 0.5 });
    case "json": {
      const answer = llm.chatJson<{ topic: string; urgency: number }>(text, ANSWER, { role, system: "Sort it." });
      return { topic: answer.topic, next: answer.urgency + 1 };
    }
    case "error":
      return orTold(() => llm.chat(text, { role, onOverflow: "error" }));
    case "several": {
      const asked = [llm.request("a"), llm.request("b", { role: "transient" }), llm.request("c", { system: "d" })];
      return llm.completeMany(asked).map((answer) => (answer instanceof LlmError ? told(answer) : answer.text));
    }
    case "too-many":
      return orTold(() => llm.completeMany(Array(1001).fill(llm.request("a"))).length);
    case "ask-on":
      return askOn();
    case "count": {
      const { tokens, window, exact } = llm.countTokens(llm.request(text));
      return { tokens, window: window ?? null, exact };
    }
    case "blob":
      return read(item.blobs[0]!);
    case "attach":
      return llm.chat(text, { attach: item.blobs });
    case "log":
      log.trace("finest", { n: 1, who: "Jürgen" });
      log.debug("fine", { n: 1, who: "Jürgen" });
      log.info("plain", { n: 1, who: "Jürgen" });
      log.warn("careful", { n: 1, who: "Jürgen" });
      log.error("wrong", { n: 1, who: "Jürgen" });
      console.log("printed");
      return "logged";
    case "none":
      return new Emissions();
    case "many":
      return new Emissions<unknown>([1, new Emission({ two: text }, "zweite \u{1f600}"), null]);
    case "skip":
      throw new Skip("nothing to do");
    case "fail":
      throw new Failure("no_text", "there is nothing here", { detail: { seen: text } });
    case "retry":
      if (cx.attempt < 2) throw new RetryLater("not_yet", "once more");
      return cx.attempt;
    case "retry-later":
      if (cx.attempt < 2) throw new RetryLater("not_yet", "in a moment", { afterMs: 1 });
      return cx.attempt;
    case "retry-for-ever":
      throw new RetryLater("never", "and again");
    case "loop":
      for (;;);
    case "hog": {
      const held = [];
      for (;;) held.push(new Uint8Array(1 << 20).fill(1));
    }
    default:
      return crash(item.data);
  }
}

function told({ kind, code }: LlmError): unknown {
  return { kind, code };
}

function orTold(ask: () => unknown): unknown {
  try {
    return ask();
  } catch (error) {
    if (!(error instanceof LlmError)) throw error;
    return told(error);
  }
}

function askOn(): unknown {
  for (let asked = 0; ; asked++) {
    try {
      llm.chat(`question ${asked}`);
    } catch (error) {
      if (!(error instanceof LlmError)) throw error;
      return { asked, error: told(error) };
    }
  }
}

function read(blob: Blob): unknown {
  const { name, mimeType, size, digest } = blob;
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const parts = { text: blob.text(), middle: text(blob.read(2, 3)), behind: text(blob.read(1000, 3)) };
  return { name, mime_type: mimeType, size, digest, ...parts };
}

function crash(work: Work): never {
  throw new Error(`cannot do ${work.do}: ${work.text}`); // this line
}
