/**
 * Write Sandmill plugins in JavaScript and TypeScript. A plugin is a module with two exports:
 *
 * ```ts
 * import { type Item, type Manifest, llm, Skip } from "sandmill-plugin";
 *
 * export const manifest: Manifest = { name: "triage", version: "0.1.0", description: "Sorts tickets.", roles: [{ name: "default" }] };
 *
 * export function process(item: Item<{ text: string }>) {
 *   if (!item.data.text.trim()) throw new Skip("the ticket is empty");
 *   return { topic: llm.chat(item.data.text, { system: "Name the topic in one word." }) };
 * }
 * ```
 *
 * `process` is called with each item in a fresh instance: nothing that a module keeps survives to the next one. What it returns is
 * emitted: one value, or several as a generator or as `Emissions`. It is not asynchronous: calls block the plugin, not the host.
 * Time and randomness are virtual; there are no files, no network, no timers.
 */

/** A value that JSON holds, as it is read from one. Integers that no number holds (beyond 2^53) are BigInts. */
export type Json = null | boolean | number | bigint | string | Json[] | { [name: string]: Json };

/** A JSON Schema (2020-12). */
export type Schema = { [keyword: string]: unknown };

/** What a plugin says of itself. */
export interface Manifest {
  name: string;
  /** The plugin's own version, such as `1.4.0`. */
  version: string;
  /** What it does with an item, in a sentence or two. */
  description: string;
  /** Of the configuration. The host refuses one that does not fit, before the first item. */
  config?: Schema;
  /** Of each emission's value. The host refuses one that does not fit: the item fails. */
  output?: Schema;
  /** Fields that every item must have; the host fails an item without them before the plugin sees it. */
  requires?: string[];
  /** The models that the plugin talks to. Without one, every call is denied. */
  roles?: Role[];
}

/** A model, by the part it plays. Which one that is, is the operator's business. */
export interface Role {
  /** Such as `default` or `judge`. */
  name: string;
  /** For the operator: what the model has to be good at. */
  description?: string;
  /** Whether the plugin works without it. */
  optional?: boolean;
  /** What a newer host may know. */
  extra?: { [name: string]: unknown };
}

/** One unit of work: a line of the input. */
export interface Item<T = { [name: string]: Json }> {
  /** Unique within the job, and the same in every run. */
  id: string;
  /** Position in the input, from 0. */
  index: number;
  /** The item, parsed. Nothing checks that it is a `T`. */
  data: T;
  /** The item's text as it stood in the input. */
  json: string;
  /** Bytes that came with it. Often none. */
  blobs: Blob[];
  /** What a newer host may add. */
  extra: { [name: string]: Json };
}

/** What stands around an item. The same in a replay of the attempt. */
export interface Context<C = { [name: string]: Json }> {
  /** The job's name. */
  job: string;
  /** 1, and one more each time the plugin threw `RetryLater` for this item. */
  attempt: number;
  /** It fits `manifest.config` if there is one; defaults are not filled in. */
  config: C;
  budget: Budget;
  extra: { [name: string]: Json };
}

/** What is left for the item, as it stood when the attempt began. Undefined: no limit was set. */
export interface Budget {
  /** Calls to a provider, each element of `llm.completeMany` being one. */
  calls?: number;
  /** Read and written together. */
  tokens?: number;
  /** Millionths of a US dollar. */
  microDollars?: number;
  /** What a newer host may add. */
  extra?: { [name: string]: Json };
}

/** Bytes that the host holds. Hand it to `llm.chat(…, { attach: [blob] })`, and they never enter the plugin. */
export interface Blob {
  name: string;
  mimeType: string;
  /** In bytes. */
  size: number;
  /** SHA-256, as 64 lower case hexadecimal digits. */
  digest: string;
  /** What a newer host may add. */
  extra: { [name: string]: Json };
  /** At most `length` bytes from `offset`; fewer, or none, where the blob ends. */
  read(offset: number, length: number): Uint8Array;
  /** All of it. It has to fit the plugin's memory. */
  readAll(): Uint8Array;
  /** All of it, read as UTF-8. */
  text(): string;
}

/** One value that the item yields, with a name that is unique among them if their order shall not matter. */
export class Emission<T = unknown> {
  constructor(value: T, name?: string);
  value: T;
  name?: string;
}

/** Several values at once. None is fine, and is not the same as a skip. */
export class Emissions<T = unknown> {
  constructor(values?: Iterable<T | Emission<T>>);
  values: (T | Emission<T>)[];
}

/** Throw it: the same again would fail the same way. The item goes to the dead letters, which are grouped by `code`. */
export class Failure extends Error {
  /**
   * @param code for programs: lower case words joined by underscores
   * @param message for a person: what happened, and what would help
   * @param options `detail`: kept beside the failed item; `extra`: what a newer host may know
   */
  constructor(code: string, message: string, options?: { detail?: unknown; extra?: { [name: string]: unknown } });
  code: string;
  detail: unknown;
  extra?: { [name: string]: unknown };
}

/**
 * Throw it: an answer was no good, so run the item again from the start, with fresh answers, and pay for them again. Not for a
 * provider that fails; the host has already retried that.
 */
export class RetryLater extends Error {
  /** @param options `afterMs`: the least wait before the next attempt */
  constructor(
    code: string,
    message: string,
    options?: { afterMs?: number; detail?: unknown; extra?: { [name: string]: unknown } },
  );
  code: string;
  afterMs?: number;
  detail: unknown;
  extra?: { [name: string]: unknown };
}

/** Throw it: there is nothing to do for the item. It counts as done. */
export class Skip extends Error {
  constructor(reason: string);
}

/** What can still be done about an error of a model; `bad-answer` is the kit's own: an answer that does not parse. */
export type LlmErrorKind =
  | "transient"
  | "too-large"
  | "rejected"
  | "refused"
  | "limit"
  | "denied"
  | "cancelled"
  | "bad-answer";

/**
 * Why there is no answer. Final for this attempt: the host has already retried what is worth it. If it is not caught, the item
 * ends with its code: for good, and only after a `bad-answer` is it begun anew.
 */
export class LlmError extends Error {
  constructor(kind: LlmErrorKind, code: string, message: string, extra?: { [name: string]: Json });
  kind: LlmErrorKind;
  /** For programs; the provider's own where it has one. */
  code: string;
  /** Such as `tokens` and `limit` with the kind `too-large`. */
  extra: { [name: string]: Json };
}

/** Language models, as far as a plugin needs to know of them. */
export namespace llm {
  /** Asks, and gives the text of the answer. */
  function chat(user: string, options?: ChatOptions): string;
  /** Asks for JSON that fits the schema, or for any JSON, and gives it parsed. The host asks again for what does not fit. */
  function chatJson<T = any>(user: string, schema?: Schema, options?: ChatOptions): T;
  /** A request of the usual form: instructions, and one message of the user's. */
  function request(user: string, options?: ChatOptions & Pick<Request, "answer">): Request;
  /** Asks, and gives the whole answer, tool calls, usage and all. */
  function complete(request: Request): Response;
  /**
   * Asks several things at the same time. Answers and errors stand in the order of the requests; an error that is thrown means
   * that the whole was refused, and nothing was asked.
   */
  function completeMany(requests: Request[]): (Response | LlmError)[];
  /** How long a request would be. Costs nothing. */
  function countTokens(request: Request): TokenCount;
  /** The arguments of a call, parsed. Throws an `LlmError` of the kind `bad-answer`. */
  function toolArguments<T = any>(call: ToolCall): T;

  interface Settings {
    /** One of the names in `manifest.roles`; `default` without it. */
    role?: string;
    tools?: Tool[];
    toolChoice?: "auto" | "none" | "required" | { named: string };
    maxOutputTokens?: number;
    temperature?: number;
    topP?: number;
    stop?: string[];
    seed?: number;
    /** What to do about a request that is too long for the model; without it, as the operator set it. */
    onOverflow?: "truncate" | "truncate-middle" | "error";
    /** Fields that only one provider has. The operator must have allowed each. */
    extra?: { [name: string]: unknown };
  }

  interface ChatOptions extends Settings {
    /** Instructions. Kept whatever has to be cut. */
    system?: string;
    /** Media that join the user's message. */
    attach?: (Blob | Media)[];
  }

  interface Request extends Settings {
    messages: Message[];
    /** What the text of the answer must be: `text` without it, any `json`, or JSON that fits a schema. */
    answer?: "text" | "json" | Schema;
  }

  interface Message {
    speaker: "system" | "user" | "assistant" | "tool";
    parts: Part[];
    /** A hint: what stands up to the end of this message comes again with other items. */
    cache?: boolean;
    extra?: { [name: string]: unknown };
  }

  type Part =
    | { text: string }
    | { media: Media }
    | { toolCall: ToolCall }
    | { toolResult: { call: ToolCall; content: string; isError?: boolean; media?: Media[]; extra?: { [name: string]: unknown } } }
    | { other: Other };

  /** Exactly one of `url`, `bytes` and `blob`, the name of one of the item's. */
  interface Media {
    mimeType: string;
    url?: string;
    bytes?: Uint8Array;
    blob?: string;
    extra?: { [name: string]: unknown };
  }

  /** A part that only the provider understands. */
  interface Other {
    kind: string;
    /** JSON text. */
    json: string;
  }

  /** A function that the model may ask for. */
  interface Tool {
    name: string;
    description: string;
    parameters: Schema;
    extra?: { [name: string]: unknown };
  }

  interface ToolCall {
    id: string;
    name: string;
    /** As the model wrote them: meant to be a JSON object, not checked. */
    arguments: string;
    extra?: { [name: string]: Json };
  }

  /** An answer. Nothing in it tells whether it came from the provider just now or from the store. */
  class Response {
    constructor(fields: Partial<Omit<Response, "json" | "toMessage">>);
    /** Empty if the model only called tools. */
    text: string;
    toolCalls: ToolCall[];
    /** Why the model stopped: `stop`, `length` (the text is incomplete), `tool-calls`, `content-filter`, `refusal`, or another. */
    finish: string;
    /** The model that answered, as it calls itself. */
    model: string;
    usage: Usage;
    opaque: { other: Other }[];
    /** Undefined: the request was sent whole. */
    cut?: { how: string; tokensBefore: number; tokensAfter: number; messagesDropped: number; extra: { [name: string]: Json } };
    extra: { [name: string]: Json };
    /** The text, parsed. Throws an `LlmError` of the kind `bad-answer`. */
    json<T = any>(): T;
    /** The answer as a message of the conversation, for the next request. */
    toMessage(): Message;
  }

  interface Usage {
    inputTokens: number;
    outputTokens: number;
    cacheReadTokens: number;
    cacheWriteTokens: number;
    reasoningTokens: number;
    extra: { [name: string]: Json };
  }

  interface TokenCount {
    tokens: number;
    /** How many tokens the model can take in all, if that is known. */
    window?: number;
    exact: boolean;
    extra?: { [name: string]: Json };
  }
}

/** Notes for whoever runs the batch, kept with the item. `console.log`, `.warn`, `.error` and the others arrive there too. */
export namespace log {
  type Fields = { [name: string]: unknown };
  function trace(message: string, fields?: Fields): void;
  function debug(message: string, fields?: Fields): void;
  function info(message: string, fields?: Fields): void;
  function warn(message: string, fields?: Fields): void;
  function error(message: string, fields?: Fields): void;
}
