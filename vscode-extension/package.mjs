// Makes the .vsix. With bin/codchi present (bin/codchi.exe for Windows) it holds the program and is for that platform only; else it is for all.
// Usage: node package.mjs [--target PLATFORM] [--out FILE]   (default: this platform, codchi-VERSION[-PLATFORM].vsix here)
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createVSIX } from "@vscode/vsce";

const here = import.meta.dirname;
const { out, target: wanted } = parseArgs({ options: { out: { type: "string" }, target: { type: "string" } } }).values;
const platform = wanted ?? `${process.platform}-${process.arch}`;
const program = join(here, "bin", platform.startsWith("win32-") ? "codchi.exe" : "codchi");
const bundled = existsSync(program);
if (bundled) {
  accessSync(program, constants.X_OK);
}
if (wanted && !bundled) {
  throw new Error(`there is no ${program} to pack for ${wanted}`);
}
const target = bundled ? platform : undefined;
const { version } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
const file = resolve(out ?? join(here, ["codchi", version, ...(target ? [target] : [])].join("-") + ".vsix"));

await createVSIX({ cwd: here, dependencies: false, allowMissingRepository: true, packagePath: file, ...(target ? { target } : {}) });
console.log(file);
