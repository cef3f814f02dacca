// Inside a component: between the bindings of componentize-qjs and the kit. Conversions, and nothing that decides anything.
// The entry that build.js writes imports the bindings and hands them over.

import { readExtra, writeExtra } from "./data.js";
import { format } from "./format.js";
import { describe, run } from "./handler.js";
import { host, install } from "./host.js";
import { wellFormed, write } from "./json.js";
import { isStrict, LlmError, Response } from "./llm.js";
import { seeded } from "./random.js";
import { frames, installLines, mapped } from "./trace.js";
import { encodeUtf8, provide } from "./web.js";

/** Before the plugin's module is evaluated. That happens at build time, where there is no host. */
export const prepare = provide;

/** The export `handler` of the world. `lines` gives the table for stacks, see trace.js. */
export function handler(plugin, bindings, lines) {
  installLines(lines);
  return {
    describe: () => describe(plugin),
    process(item, context) {
      install(componentHost(bindings));
      Math.random = seeded(item.id, context.attempt);
      let ending;
      try {
        ending = run(plugin, item, context);
      } catch (crash) {
        throw trap(crash);
      }
      if (ending.skipped !== undefined) return { tag: "skip", val: { reason: wellFormed(ending.skipped), extra: [] } };
      if (ending.failed) throw failure(ending.failed);
      return {
        tag: "emit",
        val: ending.emitted.map(({ value, name }) => ({ value, name: name === undefined ? undefined : wellFormed(name), extra: [] })),
      };
    },
  };
}

/** Thrown as it is, a plain object is the error of the contract. */
function failure({ code, message, retryable, afterMs, detail, extra }) {
  const kind = retryable ? { tag: "retryable", val: afterMs } : { tag: "permanent" };
  return { kind, code: wellFormed(code), message: wellFormed(message), detail, extra };
}

/** An error that ends the instance. The runtime prints its message and stack on one line of stderr; the log has them whole. */
function trap(crash) {
  const error = crash instanceof Error ? crash : new Error(`the plugin threw ${format([crash])}`);
  host().log("error", mapped(error), {});
  const last = new Error([`${error.name}: ${error.message}`, ...frames(error)].join(" at "));
  last.stack = "";
  return last;
}

function componentHost({ llm, log, blobs }) {
  return {
    complete: (request) => called(() => readResponse(llm.complete(writeRequest(request)))),
    completeMany: (requests) =>
      called(() => llm.completeMany(requests.map(writeRequest))).map((result) =>
        result.tag === "ok" ? readResponse(result.val) : readError(result.val),
      ),
    countTokens: (request) =>
      called(() => {
        const { tokens, window, exact, extra } = llm.countTokens(writeRequest(request));
        return { tokens: Number(tokens), window: window == null ? undefined : Number(window), exact, extra: readExtra(extra) };
      }),
    log: (level, message, fields) => log.log(level, wellFormed(message), Object.entries(fields).map(logField)),
    readBlob(name, offset, length) {
      try {
        return new Uint8Array(blobs.read(name, offset, length));
      } catch (error) {
        throw new Error(String(error?.payload ?? error));
      }
    },
  };
}

/** The bindings throw an Error that carries the contract's error as its payload. */
function called(call) {
  try {
    return call();
  } catch (error) {
    if (error?.payload === undefined) throw error;
    throw readError(error.payload);
  }
}

function readError({ kind, code, message, extra }) {
  return new LlmError(kind, code, message, readExtra(extra));
}

function readResponse(raw) {
  const { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens, extra } = raw.usage;
  const counts = { inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, reasoningTokens };
  const usage = Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Number(count)]));
  return new Response({
    text: raw.text,
    toolCalls: raw.toolCalls.map((call) => ({ ...call, extra: readExtra(call.extra) })),
    finish: raw.finish,
    model: raw.model,
    usage: { ...usage, extra: readExtra(extra) },
    opaque: raw.opaque.map(({ kind, value }) => ({ other: { kind, json: value } })),
    cut: raw.cut == null ? undefined : readCut(raw.cut),
    extra: readExtra(raw.extra),
  });
}

function readCut(cut) {
  const { tokensBefore, tokensAfter, extra } = cut;
  return { ...cut, tokensBefore: Number(tokensBefore), tokensAfter: Number(tokensAfter), extra: readExtra(extra) };
}

export function writeRequest(request) {
  return {
    role: request.role ?? "default",
    messages: request.messages.map(writeMessage),
    tools: (request.tools ?? []).map(({ name, description, parameters, extra }) => ({
      name: wellFormed(name),
      description: wellFormed(description),
      parameters: write(parameters),
      extra: writeExtra(extra),
    })),
    toolChoice: writeToolChoice(request.toolChoice),
    format: writeFormat(request.answer),
    maxOutputTokens: request.maxOutputTokens,
    temperature: request.temperature,
    topP: request.topP,
    stop: (request.stop ?? []).map(wellFormed),
    seed: request.seed,
    onOverflow: request.onOverflow,
    extra: writeExtra(request.extra),
  };
}

function writeToolChoice(choice) {
  if (choice === undefined) return undefined;
  return typeof choice === "string" ? { tag: choice } : { tag: "named", val: choice.named };
}

function writeFormat(answer) {
  if (answer === undefined || answer === "text") return { tag: "text" };
  if (answer === "json") return { tag: "json" };
  const name = String(answer.title ?? "").replace(/[^A-Za-z0-9-]/g, "_").slice(0, 64) || "answer";
  return { tag: "json-schema", val: { name, schema: write(answer), strict: isStrict(answer), extra: [] } };
}

function writeMessage({ speaker, parts, cache = false, extra }) {
  return { speaker, parts: parts.map(writePart), cache, extra: writeExtra(extra) };
}

function writePart(part) {
  if (part.text !== undefined) return { tag: "text", val: wellFormed(part.text) };
  if (part.media) return { tag: "media", val: writeMedia(part.media) };
  if (part.toolCall) {
    const { id, name, extra } = part.toolCall;
    return { tag: "tool-call", val: { id, name, arguments: wellFormed(part.toolCall.arguments), extra: writeExtra(extra) } };
  }
  if (part.toolResult) {
    const { call, content, isError = false, media = [], extra } = part.toolResult;
    const told = { callId: call.id, name: call.name, content: wellFormed(content), isError };
    return { tag: "tool-result", val: { ...told, media: media.map(writeMedia), extra: writeExtra(extra) } };
  }
  if (part.other) return { tag: "other", val: { kind: part.other.kind, value: part.other.json } };
  throw new TypeError(`${format([part])} is no part of a message: it has one of text, media, toolCall, toolResult and other`);
}

function writeMedia({ mimeType, url, bytes, blob, extra }) {
  const sources = [
    url !== undefined && { tag: "url", val: url },
    bytes !== undefined && { tag: "bytes", val: typeof bytes === "string" ? encodeUtf8(bytes) : bytes },
    blob !== undefined && { tag: "blob", val: blob },
  ].filter(Boolean);
  if (sources.length !== 1) throw new TypeError("a medium has exactly one of `url`, `bytes` and `blob`");
  return { mimeType, source: sources[0], extra: writeExtra(extra) };
}

/** A log never fails: what has no JSON form is shown as a person reads it. */
function logField([name, value]) {
  let text;
  try {
    text = write(value);
  } catch {
    text = write(format([value]));
  }
  return { name: wellFormed(name), value: text };
}
