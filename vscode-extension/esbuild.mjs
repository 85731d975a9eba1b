// Bundles the extension into dist/main.js and puts the Nix grammar beside it. Flags: --watch, --minify.
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { context } from "esbuild";

const here = import.meta.dirname;
const flags = new Set(process.argv.slice(2));

/** Copies the grammar of the npm package `tm-grammars`, with the part of its notices that is about it. */
function copyGrammar() {
  const grammar = createRequire(import.meta.url).resolve("tm-grammars/grammars/nix.json");
  const notices = readFileSync(join(dirname(grammar), "..", "NOTICE"), "utf8");
  const notice = notices.split(/^={20,}$/m).find((part) => /^Files:.*\bnix\.json\b/m.test(part));
  if (notice === undefined) {
    throw new Error("tm-grammars has no notice for nix.json: its licence is unknown, so it cannot be shipped");
  }
  const folder = join(here, "syntaxes");
  mkdirSync(folder, { recursive: true });
  copyFileSync(grammar, join(folder, "nix.json"));
  writeFileSync(join(folder, "NOTICE.txt"), notice.trimStart());
}

/** Writes the licences of the packages that are in the bundle beside it. */
function copyLicences(inputs) {
  const packages = new Set(inputs.map((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]).filter((folder) => folder));
  const notices = [...packages].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
    const file = readdirSync(join(here, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) {
      throw new Error(`${name} has no licence file, so it cannot be shipped`);
    }
    return `${name} ${version} (${license})\n\n${readFileSync(join(here, folder, file), "utf8").trim()}\n`;
  });
  writeFileSync(join(here, "dist/NOTICE.txt"), notices.join(`\n${"=".repeat(80)}\n`));
}

copyGrammar();
rmSync(join(here, "dist"), { recursive: true, force: true });
const build = await context({
  absWorkingDir: here,
  entryPoints: ["src/main.ts"],
  outfile: "dist/main.js",
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  external: ["vscode"],
  minify: flags.has("--minify"),
  sourcemap: !flags.has("--minify"),
  logLevel: "warning",
  metafile: true,
});
if (flags.has("--watch")) {
  await build.watch();
} else {
  const { metafile } = await build.rebuild();
  copyLicences(Object.keys(metafile.inputs));
  await build.dispose();
}
