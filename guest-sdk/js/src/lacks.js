// What a plugin's sources use that QuickJS has not: told when it is built, since it would be a crash with the first item.
// Runs in Node; no part of a plugin.

import { SourceMap } from "node:module";
import path from "node:path";

const NETWORK = "there is no network: models are asked through `llm`";
const TIMERS = "there are no timers, and nothing to wait for: calls block the plugin, not the host";
const LACKS = {
  fetch: NETWORK,
  XMLHttpRequest: NETWORK,
  WebSocket: NETWORK,
  setTimeout: TIMERS,
  setInterval: TIMERS,
  setImmediate: TIMERS,
  URL: "take a package in plain JavaScript",
  URLSearchParams: "take a package in plain JavaScript",
  crypto: "take a package in plain JavaScript; `Math.random` follows from the item and the attempt",
  Intl: "`toFixed` and plain code write numbers and dates",
  Buffer: "`TextEncoder`, `TextDecoder`, `atob`, `btoa` and Uint8Array are there",
  require: "use `import`: modules are bundled when the plugin is built",
};
const MARK = "sandmillLacks_";

/** Lines for people. esbuild tells which names are bound to nothing, so that a local of the same name is none. */
export async function lacks(esbuild, source, options) {
  const outfile = path.resolve("lacks.js");
  const { outputFiles } = await esbuild.build({
    ...options,
    entryPoints: [path.resolve(source)],
    outfile,
    sourcemap: "external",
    packages: "external",
    define: { ...options.define, ...Object.fromEntries(Object.keys(LACKS).map((name) => [name, MARK + name])) },
    plugins: [],
    logLevel: "silent",
  });
  const [code, map] = [".js", ".js.map"].map((end) => outputFiles.find((file) => file.path.endsWith(end)).text);
  return [...new Set(found(code, JSON.parse(map), path.dirname(outfile)))];
}

function* found(code, map, folder) {
  const places = new SourceMap(map);
  for (const [line, text] of code.split("\n").entries()) {
    for (const match of text.matchAll(/(typeof )?sandmillLacks_(\w+)/g)) {
      // Whoever asks whether it is there knows what to do without it.
      if (match[1]) continue;
      const { originalSource, originalLine } = places.findEntry(line, match.index);
      const file = path.relative(process.cwd(), path.resolve(folder, originalSource ?? "?"));
      yield `${file}:${originalLine + 1} uses \`${match[2]}\`, which QuickJS has not: ${LACKS[match[2]]}`;
    }
  }
}
