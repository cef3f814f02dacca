// Runs a plugin's tests with Node's own runner. TypeScript is bundled first, with source maps, so that any Node can run it.

import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { build } from "esbuild";
import { options } from "./build.js";

export async function test(files) {
  const chosen = files.length > 0 ? files : [...(await found("test")), ...(await found("tests"))];
  if (chosen.length === 0) {
    console.error("there are no tests: name files, or put some called *.test.js or *.test.ts into test/ or tests/");
    return 1;
  }
  // Beside the sources, so that the packages of the plugin are found.
  const folder = await mkdtemp(path.resolve(".sandmill-test-"));
  try {
    const { outputFiles } = await build({
      ...options(),
      entryPoints: chosen,
      outdir: folder,
      outExtension: { ".js": ".mjs" },
      platform: "node",
      sourcemap: "inline",
      entryNames: "[name]-[hash]",
    });
    await Promise.all(outputFiles.map((file) => writeFile(file.path, file.contents)));
    const runner = spawn(process.execPath, ["--enable-source-maps", "--test", ...outputFiles.map((file) => file.path)], { stdio: "inherit" });
    return await new Promise((resolve, reject) => runner.on("exit", (code) => resolve(code ?? 1)).on("error", reject));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function found(folder) {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => /\.test\.[cm]?[jt]s$/.test(name)).map((name) => path.join(folder, name));
}
