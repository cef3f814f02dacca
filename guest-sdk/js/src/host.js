// The one place that reaches the host. In a component component.js puts the real one here, in a test testing.js its own.
// A host has complete(request), completeMany(requests), countTokens(request), log(level, message, fields) and
// readBlob(name, offset, length); requests and answers are those of llm.js.

import { LlmError } from "./llm.js";

const denied = () => new LlmError("denied", "no_host", "there is no model here: ask in `process`, and give a test a `fakeLlm` of sandmill-plugin/testing");

// Outside a component, and while it is built, there are no models and no blobs; a log goes nowhere.
export const noHost = {
  complete() {
    throw denied();
  },
  completeMany() {
    throw denied();
  },
  countTokens() {
    throw denied();
  },
  log() {},
  readBlob(name) {
    throw new Error(`there is no blob \`${name}\` outside a host: use \`run(plugin, item, { blobs })\` of sandmill-plugin/testing`);
  },
};

let current = noHost;

export function host() {
  return current;
}

/** Puts another host in place, and gives back the one before. */
export function install(next) {
  const before = current;
  current = next;
  return before;
}
