// A plugin's tests run in Node, where there is no host. This stands in for it.

import { readExtra } from "./data.js";
import { run as runPlugin } from "./handler.js";
import { install, noHost } from "./host.js";
import { parse, write } from "./json.js";
import { LlmError, Response } from "./llm.js";
import { encodeUtf8 } from "./web.js";

export { describe } from "./handler.js";

/** Answers with one reply after the other, or by a function of what is asked. `requests` holds what was asked. */
export function fakeLlm(...replies) {
  const requests = [];
  const left = [...replies];
  const answer = (request) => {
    const asked = { request, system: said(request, "system"), user: said(request, "user"), schema: schemaOf(request) };
    requests.push(asked);
    if (left.length === 0) {
      throw new LlmError("rejected", "no_reply", `the test's fakeLlm has no reply left for request ${requests.length}: ${asked.user.slice(0, 80)}`);
    }
    // A function answers everything.
    const reply = typeof left[0] === "function" ? left[0](asked) : left.shift();
    if (reply instanceof LlmError) throw reply;
    if (reply instanceof Response) return reply;
    return new Response({ text: typeof reply === "string" ? reply : write(reply), model: "fake" });
  };
  return { requests, answer };
}

/** One item through a plugin's module, as the host would hand it over: as JSON, in and out. */
export function run(plugin, item, { config = {}, attempt = 1, id = "item-0", budget = {}, blobs = {}, llm } = {}) {
  const log = [];
  const contents = new Map(Object.entries(blobs).map(([name, data]) => [name, typeof data === "string" ? encodeUtf8(data) : data]));
  const before = install(fakeHost(llm, log, contents));
  try {
    const named = [...contents].map(([name, data]) => ({ name, mimeType: "application/octet-stream", size: data.length, digest: "" }));
    const json = typeof item === "string" ? item : write(item);
    const ending = runPlugin(
      plugin,
      { id, index: 0, json, blobs: named, extra: [] },
      { job: "test", attempt, config: write(config), budget, extra: [] },
    );
    const values = ending.emitted?.map(({ value }) => parse(value));
    const { detail, extra, ...told } = ending.failed ?? {};
    const more = extra?.length ? { extra: readExtra(extra) } : {};
    const failed = ending.failed && { ...told, detail: detail === undefined ? undefined : parse(detail), ...more };
    return { values, names: ending.emitted?.map(({ name }) => name), skipped: ending.skipped, failed, log };
  } finally {
    install(before);
  }
}

/** Puts a fake in the host's place while `test` runs, for functions that are tested by themselves. */
export function withLlm(llm, test) {
  const before = install(fakeHost(llm, [], new Map()));
  try {
    return test();
  } finally {
    install(before);
  }
}

function fakeHost(llm, log, blobs) {
  const models = llm && {
    complete: llm.answer,
    completeMany: (requests) =>
      requests.map((request) => {
        try {
          return llm.answer(request);
        } catch (error) {
          if (!(error instanceof LlmError)) throw error;
          return error;
        }
      }),
    // An estimate of four characters a token, and no window.
    countTokens: (request) => ({ tokens: Math.ceil(request.messages.map(texts).join("").length / 4), window: undefined, exact: false }),
  };
  return {
    ...noHost,
    ...models,
    log: (level, message, fields) => log.push({ level, message, fields }),
    readBlob(name, offset, length) {
      const data = blobs.get(name);
      if (!data) throw new Error(`the item has no blob \`${name}\`; it has: ${[...blobs.keys()].join(", ")}`);
      return data.slice(offset, offset + length);
    },
  };
}

function said(request, speaker) {
  return request.messages.filter((message) => message.speaker === speaker).map(texts).join("\n");
}

function texts(message) {
  return message.parts.flatMap((part) => part.text ?? []).join("\n");
}

function schemaOf({ answer }) {
  return typeof answer === "object" ? answer : undefined;
}
