/** Stands in for the host in a plugin's tests, which run in Node. */

import type { Budget, llm, LlmError, Manifest, Schema } from "./index.js";

/** A text, a value (handed over as JSON), a `llm.Response`, or an `LlmError`. */
export type Reply = string | object | llm.Response | LlmError;

export interface Asked {
  request: llm.Request;
  /** What the system and the user say in it. */
  system: string;
  user: string;
  schema?: Schema;
}

export interface FakeLlm {
  /** What was asked, in order. */
  requests: Asked[];
  answer(request: llm.Request): llm.Response;
}

/** How an item ended: exactly one of `values`, `skipped` and `failed` is there. */
export interface Result {
  /** What was emitted, read back from its JSON. */
  values?: any[];
  names?: (string | undefined)[];
  /** Why there was nothing to do. */
  skipped?: string;
  failed?: { code: string; message: string; retryable: boolean; afterMs?: number; detail?: any };
  log: { level: string; message: string; fields: { [name: string]: unknown } }[];
}

export interface RunOptions {
  llm?: FakeLlm;
  config?: object;
  attempt?: number;
  id?: string;
  budget?: Budget;
  blobs?: { [name: string]: string | Uint8Array };
}

/** A plugin's module. */
export interface Plugin {
  manifest: Manifest;
  process(item: any, context: any): unknown;
}

/** Answers with one reply after the other, or by a function of what is asked. */
export function fakeLlm(...replies: (Reply | ((asked: Asked) => Reply))[]): FakeLlm;

/**
 * One item through the plugin, as the host would hand it over: as JSON, in and out. What the plugin does not mean to throw comes
 * through; in a component it would be a crash.
 */
export function run(plugin: Plugin, item: unknown, options?: RunOptions): Result;

/** Puts a fake in the host's place while `test` runs, for functions that are tested by themselves. */
export function withLlm<T>(llm: FakeLlm, test: () => T): T;

/** What the plugin says of itself, as the host sees it: with schemas as JSON texts. Throws what has to be mended. */
export function describe(plugin: Plugin): { name: string; version: string; configSchema?: string; outputSchema?: string };
