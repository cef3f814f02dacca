// Sums up long texts: a summary and key points as JSON. What does not fit the model is split, summed up in parts, and merged.

import { type Context, Failure, type Item, llm, LlmError, type Manifest, RetryLater, Skip } from "sandmill-plugin";
import { halvesOrMore } from "./split.ts";

// Parts that are asked for at once, and levels of parts.
const AT_ONCE = 16;
const DEPTH_MAX = 4;

interface Config {
  max_key_points?: number;
  language?: string | null;
  on_overflow?: "split" | "host";
}

interface Answer {
  summary: string;
  key_points: string[];
}

interface Summary extends Answer {
  words: number;
}

const ANSWER = {
  title: "Answer",
  type: "object",
  properties: { summary: { type: "string" }, key_points: { type: "array", items: { type: "string" } } },
  required: ["summary", "key_points"],
  additionalProperties: false,
};

export const manifest: Manifest = {
  name: "summarize",
  version: "0.1.0",
  description: "Sums up a long text: a summary and key points.",
  config: {
    type: "object",
    properties: {
      max_key_points: { description: "At most so many key points (5).", type: "integer", minimum: 0 },
      language: { description: "The language of the summary. Without it: the text's own.", type: ["string", "null"] },
      on_overflow: {
        description: "What to do about a text that does not fit the model: sum it up in parts and merge them, or leave it to the host.",
        enum: ["split", "host"],
      },
    },
  },
  output: {
    type: "object",
    properties: { ...ANSWER.properties, words: { description: "Words of the text.", type: "integer" } },
    required: ["summary", "key_points", "words"],
  },
  requires: ["text"],
  roles: [{ name: "default", description: "reads long texts and answers in JSON" }],
};

export function process(item: Item<{ text: unknown }>, cx: Context<Config>): Summary {
  if (typeof item.data.text !== "string") throw new Failure("bad_item", "`text` is not a string");
  const text = item.data.text.trim();
  if (text === "") throw new Skip("the text is empty");
  const summarizer = new Summarizer(cx.config);
  const { summary, key_points } = summarizer.sumUp(text, 0);
  if (summary.trim() === "") throw new RetryLater("empty_summary", "the model wrote an empty summary");
  return { summary, key_points: key_points.slice(0, summarizer.maxKeyPoints), words: text.split(/\s+/).length };
}

class Summarizer {
  readonly maxKeyPoints: number;
  private readonly language: string;
  private readonly splits: boolean;

  constructor(config: Config) {
    this.maxKeyPoints = config.max_key_points ?? 5;
    this.language = config.language ?? "the language of the text";
    this.splits = config.on_overflow !== "host";
  }

  sumUp(text: string, depth: number): Answer {
    let tooLarge: LlmError;
    try {
      return checked(llm.complete(this.request(text)));
    } catch (error) {
      if (!this.splits || !isTooLarge(error)) throw error;
      tooLarge = error;
    }
    if (depth >= DEPTH_MAX) {
      throw new Failure("too_long", `split ${DEPTH_MAX} times, and a part still does not fit: ${tooLarge.message}`);
    }
    const parts = halvesOrMore(text, shareThatFits(tooLarge));
    if (parts.length < 2) throw tooLarge;
    const summaries: Answer[] = [];
    for (let first = 0; first < parts.length; first += AT_ONCE) {
      summaries.push(...this.sumUpParts(parts.slice(first, first + AT_ONCE), depth + 1));
    }
    const merged = summaries.map((part) => `${part.summary}\n- ${part.key_points.join("\n- ")}`);
    return this.sumUp(merged.join("\n\n"), depth + 1);
  }

  /** At the same time; a part that does not fit is split again. */
  private sumUpParts(parts: string[], depth: number): Answer[] {
    const answers = llm.completeMany(parts.map((part) => this.request(part)));
    return answers.map((answer, index) => {
      if (!(answer instanceof LlmError)) return checked(answer);
      if (isTooLarge(answer)) return this.sumUp(parts[index], depth);
      throw answer;
    });
  }

  private request(text: string): llm.Request {
    const system =
      `You sum up documents for busy readers. Write in ${this.language}. ` +
      `Give a summary of one paragraph, and at most ${this.maxKeyPoints} key points.`;
    return llm.request(text, { system, answer: ANSWER, onOverflow: this.splits ? "error" : undefined });
  }
}

/** The host holds answers to the schema, except those that ended otherwise than by `stop`. */
function checked(response: llm.Response): Answer {
  const answer = response.json<Answer>();
  if (typeof answer?.summary !== "string" || !Array.isArray(answer.key_points)) {
    throw new LlmError("bad-answer", "bad_answer", "the model's answer has no `summary` or no `key_points`");
  }
  return answer;
}

function isTooLarge(error: unknown): error is LlmError {
  return error instanceof LlmError && error.kind === "too-large";
}

/** Which share of the text would fit, from the numbers of the error where it has them. */
function shareThatFits({ extra: { limit, tokens } }: LlmError): number {
  if (typeof limit === "number" && typeof tokens === "number" && tokens > limit && limit > 0) {
    // Room for the answer and the frame.
    return Math.min(Math.max((limit / tokens) * 0.7, 0.01), 0.5);
  }
  return 0.5;
}
