// How an item goes through a plugin's module. Texts in, texts out: nothing here knows of bindings.

import { readContext, readEmissions, readItem } from "./data.js";
import { Failure, RetryLater, Skip } from "./failures.js";
import { write } from "./json.js";
import { LlmError } from "./llm.js";

/** What the plugin says of itself, with schemas as JSON texts. Throws what the author has to mend. */
export function describe(plugin) {
  const { manifest } = plugin;
  if (typeof manifest !== "object" || manifest === null) throw new Error("the plugin exports no `manifest`");
  if (typeof plugin.process !== "function") throw new Error("the plugin exports no function `process`");
  for (const name of ["name", "version", "description"]) {
    if (typeof manifest[name] !== "string") throw new Error(`the manifest has no \`${name}\`, or it is no text`);
  }
  return {
    name: manifest.name,
    version: manifest.version,
    description: manifest.description,
    configSchema: manifest.config && write(manifest.config),
    outputSchema: manifest.output && write(manifest.output),
    requiredFields: manifest.requires ?? [],
    modelRoles: (manifest.roles ?? []).map(({ name, description = "", optional = false }) => ({ name, description, optional })),
    extra: [],
  };
}

/** `{ emitted: [{ value, name }] }`, `{ skipped }` or `{ failed }`. Throws only what no plugin means to throw. */
export function run(plugin, rawItem, rawContext) {
  try {
    const context = readContext(rawContext);
    const item = readItem(rawItem);
    return { emitted: readEmissions(plugin.process(item, context)) };
  } catch (error) {
    if (error instanceof Skip) return { skipped: error.message };
    if (error instanceof Failure) return failed(error, error.detail, false);
    if (error instanceof RetryLater) return failed(error, error.detail, true, error.afterMs);
    if (error instanceof LlmError) {
      return failed(error, Object.keys(error.extra).length ? error.extra : undefined, error.kind === "bad-answer");
    }
    throw error;
  }
}

function failed({ code, message }, detail, retryable, afterMs) {
  return {
    failed: {
      code: String(code),
      message,
      retryable,
      afterMs: afterMs === undefined ? undefined : Math.max(0, Math.ceil(afterMs)),
      detail: detail === undefined ? undefined : detailText(detail),
    },
  };
}

function detailText(detail) {
  try {
    return write(detail);
  } catch {
    return write(String(detail));
  }
}
