// How an item goes through a plugin's module. Texts in, texts out: nothing here knows of bindings.

import { readContext, readEmissions, readItem, writeExtra } from "./data.js";
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
    modelRoles: (manifest.roles ?? []).map(role),
    extra: [],
  };
}

function role({ name, description = "", optional = false, extra }) {
  return { name, description, optional, extra: writeExtra(extra) };
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
      const { code, message, extra, kind } = error;
      return failed({ code, message }, Object.keys(extra).length ? extra : undefined, kind === "bad-answer");
    }
    throw error;
  }
}

function failed({ code, message, extra }, detail, retryable, afterMs) {
  return {
    failed: {
      code: String(code),
      message,
      retryable,
      afterMs: afterMs === undefined ? undefined : Math.max(0, Math.ceil(afterMs)),
      detail: detail === undefined ? undefined : detailText(detail),
      extra: Object.entries(extra ?? {}).map(([name, value]) => ({ name, value: detailText(value) })),
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
