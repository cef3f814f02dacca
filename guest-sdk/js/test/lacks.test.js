// What is told of names that QuickJS has not.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import * as esbuild from "esbuild";
import { options } from "../src/build.js";
import { lacks } from "../src/lacks.js";

test("what is not there is told by line, and a local of the same name is none", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "lacks-"));
  const source = path.join(folder, "plugin.ts");
  const lines = [
    'import { rest } from "./rest.js";',
    "const fetch: (text: string) => string = (text) => text;",
    "export const a = fetch('mine') + rest();",
    "export const b = (): unknown => new URL('x:y');",
    "// setTimeout in a comment",
    "export const c = typeof crypto === 'undefined' ? 'Intl.' : 0;",
  ];
  try {
    await writeFile(source, lines.join("\n"));
    await writeFile(path.join(folder, "rest.js"), 'import "some-package";\nexport const rest = () => fetch("https://example.org");\n');
    const told = await lacks(esbuild, source, options());
    const places = told.map((line) => line.match(/([\w.]+:\d+) uses `(\w+)`/).slice(1).join(" "));
    assert.deepEqual(places.sort(), ["plugin.ts:4 URL", "rest.js:2 fetch"]);
    assert.match(told.join("\n"), /fetch`, which QuickJS has not: there is no network/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
