// Language models, as far as a plugin needs to know of them.

import { host } from "./host.js";
import { parse } from "./json.js";

export class LlmError extends Error {
  constructor(kind, code, message, extra = {}) {
    super(message);
    this.name = "LlmError";
    this.kind = kind;
    this.code = code;
    this.extra = extra;
  }
}

export class Response {
  constructor(fields) {
    const usage = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0, extra: {} };
    Object.assign(this, { text: "", toolCalls: [], finish: "stop", model: "", usage, opaque: [], cut: undefined, extra: {} }, fields);
  }

  json() {
    return readJson(this.text, `the model's answer is not what was asked for (it ended by \`${this.finish}\`)`);
  }

  toMessage() {
    const text = this.text ? [{ text: this.text }] : [];
    return { speaker: "assistant", parts: [...this.opaque, ...text, ...this.toolCalls.map((toolCall) => ({ toolCall }))] };
  }
}

export function toolArguments(call) {
  return readJson(call.arguments, `the model called the tool \`${call.name}\` with wrong arguments`);
}

export function request(user, { system, attach = [], ...options } = {}) {
  const messages = system === undefined ? [] : [{ speaker: "system", parts: [{ text: system }] }];
  const media = attach.map((one) => ({ media: typeof one.read === "function" ? { mimeType: one.mimeType, blob: one.name } : one }));
  messages.push({ speaker: "user", parts: [{ text: user }, ...media] });
  return { messages, ...options };
}

export function chat(user, options) {
  return complete(request(user, options)).text;
}

export function chatJson(user, schema, options) {
  return complete({ ...request(user, options), answer: schema ?? "json" }).json();
}

export function complete(request) {
  return host().complete(request);
}

export function completeMany(requests) {
  return host().completeMany(requests);
}

export function countTokens(request) {
  return host().countTokens(request);
}

/** Whether a provider can enforce the schema: every object is closed, and all its properties are required. */
export function isStrict(schema) {
  if (typeof schema !== "object" || schema === null || Object.keys(schema).length === 0) return false;
  const isObject = [schema.type].flat().includes("object") || "properties" in schema;
  if (isObject) {
    const required = schema.required ?? [];
    const closed = schema.additionalProperties === false && schema.properties !== undefined;
    if (!closed || !Object.keys(schema.properties).every((name) => required.includes(name))) return false;
  }
  const named = [schema.properties, schema.$defs].flatMap((inner) => Object.values(inner ?? {}));
  const listed = [schema.anyOf, schema.oneOf, schema.allOf, schema.prefixItems].flatMap((inner) => inner ?? []);
  return [...named, ...listed, ...("items" in schema ? [schema.items] : [])].every(isStrict);
}

function readJson(text, what) {
  try {
    return parse(text);
  } catch (error) {
    throw new LlmError("bad-answer", "bad_answer", `${what}: ${error.message}`);
  }
}
