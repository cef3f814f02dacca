#!/usr/bin/env node
// `sandmill-plugin build SOURCE -o COMPONENT` makes a component of a plugin; `sandmill-plugin test [FILE…]` runs its tests.

import { parseArgs } from "node:util";

const USAGE = `usage: sandmill-plugin build SOURCE -o COMPONENT
       sandmill-plugin test [FILE…]    files of tests, in JavaScript or TypeScript; without any, those in test/ and tests/`;

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { output: { type: "string", short: "o" }, help: { type: "boolean", short: "h" } },
  });
  const [command, ...files] = positionals;
  if (command === "build" && files.length === 1 && values.output) {
    const { build } = await import("../src/build.js");
    return build(files[0], values.output);
  }
  if (command === "test") {
    const { test } = await import("../src/test.js");
    return test(files);
  }
  console.error(USAGE);
  return values.help ? 0 : 2;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error.expected ? `error: ${error.message}` : error);
  process.exitCode = 1;
}
