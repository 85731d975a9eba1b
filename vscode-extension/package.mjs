// Makes the .vsix. With bin/codchi present it holds the program and is for this platform only; else it is for all.
// Usage: node package.mjs [--out FILE]   (default: codchi-VERSION[-PLATFORM].vsix here)
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createVSIX } from "@vscode/vsce";

const here = import.meta.dirname;
const program = join(here, "bin", process.platform === "win32" ? "codchi.exe" : "codchi");
const bundled = existsSync(program);
if (bundled) {
  accessSync(program, constants.X_OK);
}
const target = bundled ? `${process.platform}-${process.arch}` : undefined;
const { version } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
const { out } = parseArgs({ options: { out: { type: "string" } } }).values;
const file = resolve(out ?? join(here, ["codchi", version, ...(target ? [target] : [])].join("-") + ".vsix"));

await createVSIX({ cwd: here, dependencies: false, allowMissingRepository: true, packagePath: file, ...(target ? { target } : {}) });
console.log(file);
