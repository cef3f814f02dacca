// Builds a component: esbuild makes one module of the plugin, its packages and the kit, componentize-qjs puts QuickJS around it.
// Runs in Node; no part of a plugin.

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { SourceMap } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { lacks } from "./lacks.js";

const KIT = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const CONTRACT = "1.0.0";
const WORLD = "processor";
const INTERFACES = ["llm", "log", "blobs"];

/** Something for the author to mend; told without a stack. */
class BuildError extends Error {
  expected = true;
}

export async function build(source, output) {
  const [esbuild, qjs] = await Promise.all([tool("esbuild"), tool("componentize-qjs")]);
  const work = path.join(path.dirname(output), `.${path.basename(output, ".wasm")}.build`);
  await rm(work, { recursive: true, force: true });
  await mkdir(work, { recursive: true });
  const bundle = await bundled(esbuild, path.resolve(source), work);
  await writeFile(path.join(work, "bundle.js"), bundle);
  for (const line of await lacks(esbuild, source, options())) console.error(`warning: ${line}`);
  try {
    const { component } = await qjs.componentize({
      witPath: path.join(KIT, "wit"),
      world: WORLD,
      jsSource: bundle,
      jsPath: path.resolve(work, "bundle.js"),
      moduleRoot: path.resolve(work),
      sync: true,
    });
    await writeFile(output, component);
  } catch (error) {
    const hint = "what runs while a module is loaded runs at build time, in QuickJS and without a host";
    throw new BuildError(`componentize-qjs could not make a component of it: ${error.message}\n(${hint})`);
  }
  await rm(work, { recursive: true });
  return 0;
}

/** The plugin as one module that exports `handler`, with the table of its lines behind it. */
export async function bundled(esbuild, source, work) {
  const bindings = INTERFACES.map((name) => `import * as ${name} from "sandmill:plugin/${name}@${CONTRACT}";`).join("\n");
  const component = JSON.stringify(path.join(KIT, "src/component.js"));
  // Modules are evaluated in the order of their imports: the console must be there before the plugin is.
  const prepare = `import { prepare } from ${component};\nprepare();\n`;
  const entry = `import "./prepare.js";
import * as plugin from ${JSON.stringify(source)};
import { handler as make } from ${component};
${bindings}
export const handler = make(plugin, { ${INTERFACES.join(", ")} }, () => globalThis.sandmillLines);
`;
  await writeFile(path.join(work, "prepare.js"), prepare);
  await writeFile(path.join(work, "entry.js"), entry);
  const outfile = path.resolve(work, "bundle.js");
  let result;
  try {
    result = await esbuild.build({
      ...options(),
      entryPoints: [path.join(work, "entry.js")],
      outfile,
      sourcemap: "external",
      external: ["sandmill:*"],
      logLevel: "silent",
    });
  } catch (error) {
    if (!error.errors) throw error;
    const told = await esbuild.formatMessages(error.errors, { kind: "error" });
    const reaches = error.errors.some(({ text }) => /Could not resolve "(node:)?(fs|net|http|https|os|crypto|child_process|path)/.test(text));
    const hint = reaches ? "a plugin runs in QuickJS, not in Node: it has no files, no network and none of Node's modules" : "see below";
    throw new BuildError(`the plugin cannot be bundled: ${hint}\n${told.join("")}`);
  }
  const [code, map] = [".js", ".js.map"].map((end) => result.outputFiles.find((file) => file.path.endsWith(end)).text);
  return `${code}\nglobalThis.sandmillLines = ${JSON.stringify(lineTable(code, JSON.parse(map), path.dirname(outfile)))};\n`;
}

/** What a plugin and its tests are bundled with. */
export function options() {
  return {
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["import", "default"],
    target: "es2023",
    charset: "utf8",
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: [oneKit],
  };
}

/** Whichever copy of the kit a plugin has installed, there is one in the bundle: errors are told apart by their class. */
const oneKit = {
  name: "one-kit",
  setup(build) {
    const files = { "sandmill-plugin": "index.js", "sandmill-plugin/testing": "testing.js" };
    build.onResolve({ filter: /^sandmill-plugin(\/testing)?$/ }, ({ path: name }) => ({ path: path.join(KIT, "src", files[name]) }));
  },
};

/** For src/trace.js: which line of which source each line of the bundle came from. */
export function lineTable(code, map, folder) {
  const sources = map.sources.map((source) => {
    const absolute = path.resolve(folder, source);
    if (absolute.startsWith(path.join(KIT, "src") + path.sep) || absolute.startsWith(folder + path.sep)) return null;
    return path.relative(process.cwd(), absolute).replaceAll("\\", "/");
  });
  const entries = new SourceMap(map);
  const lines = code.split("\n").map((text, line) => {
    const found = entries.findEntry(line, Math.max(0, text.search(/\S/)));
    return found.generatedLine === line ? [map.sources.indexOf(found.originalSource), found.originalLine + 1] : 0;
  });
  return { sources, lines };
}

async function tool(name) {
  try {
    return await import(name);
  } catch (error) {
    if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new BuildError(`${name} is missing: run \`npm install\` in ${await installFolder()}`);
  }
}

async function installFolder() {
  // In a workspace packages are installed at its root.
  for (let folder = KIT; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const text = await readFile(path.join(folder, "package.json"), "utf8").catch(() => "{}");
    if (JSON.parse(text).workspaces) return folder;
  }
  return KIT;
}
