// What a plugin is handed and what it gives: the item, what stands around it, emissions.

import { Failure } from "./failures.js";
import { host } from "./host.js";
import { parse, write } from "./json.js";
import { decodeUtf8 } from "./web.js";

// The most that Blob.readAll asks for at a time.
const CHUNK_BYTES = 1 << 20;

export class Blob {
  constructor({ name, mimeType, size, digest, extra }) {
    Object.assign(this, { name, mimeType, size: Number(size), digest, extra: readExtra(extra) });
  }

  read(offset, length) {
    return host().readBlob(this.name, offset, length);
  }

  readAll() {
    const bytes = new Uint8Array(this.size);
    let offset = 0;
    while (offset < this.size) {
      const chunk = this.read(offset, Math.min(CHUNK_BYTES, this.size - offset));
      if (chunk.length === 0) break;
      bytes.set(chunk, offset);
      offset += chunk.length;
    }
    return bytes.subarray(0, offset);
  }

  text() {
    return decodeUtf8(this.readAll());
  }
}

export class Emission {
  constructor(value, name) {
    this.value = value;
    this.name = name;
  }
}

export class Emissions {
  constructor(values = []) {
    this.values = [...values];
  }
}

/** The item as the plugin sees it, of the one that the host hands over. */
export function readItem(raw) {
  const data = shaped(raw.json, "bad_item", "the item is not JSON");
  const blobs = raw.blobs.map((blob) => new Blob(blob));
  return { id: raw.id, index: Number(raw.index), data, json: raw.json, blobs, extra: readExtra(raw.extra) };
}

export function readContext(raw) {
  const { calls, tokens, microDollars, extra } = raw.budget;
  return {
    job: raw.job,
    attempt: raw.attempt,
    config: shaped(raw.config, "bad_config", "the configuration is not JSON"),
    budget: {
      calls: optional(calls),
      tokens: optional(tokens),
      microDollars: optional(microDollars),
      extra: readExtra(extra),
    },
    extra: readExtra(raw.extra),
  };
}

export function readExtra(pairs = []) {
  return Object.fromEntries(pairs.map(({ name, value }) => [name, parse(value)]));
}

export function writeExtra(values = {}) {
  return Object.entries(values).map(([name, value]) => ({ name, value: write(value) }));
}

/** JSON texts with their names, of what `process` returned. */
export function readEmissions(returned) {
  if (returned === undefined) {
    throw new Failure("bad_output", "the plugin returned undefined: return a value, `null`, `new Emissions()` for none, or throw a Skip");
  }
  if (typeof returned?.then === "function") {
    throw new Failure("bad_output", "the plugin returned a promise: drop `async` and `await`, calls block the plugin only");
  }
  if (returned instanceof Emissions) return returned.values.map(written);
  if (typeof returned?.next === "function" && typeof returned[Symbol.iterator] === "function") return Array.from(returned, written);
  return [written(returned)];
}

function written(value) {
  const emission = value instanceof Emission ? value : new Emission(value);
  try {
    return { value: write(emission.value), name: emission.name };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new Failure("bad_output", `the plugin's value cannot be written as JSON: ${error.message}`);
  }
}

function shaped(text, code, what) {
  try {
    return parse(text);
  } catch (error) {
    throw new Failure(code, `${what}: ${error.message}`);
  }
}

function optional(number) {
  return number === undefined || number === null ? undefined : Number(number);
}
