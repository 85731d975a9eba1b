// Mocha inside the extension host of a real VS Code, on the extension as built from its sources, with a stand-in for the
// codchi server: what a real one cannot be brought to do at will. Each test's result is one line.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { Editor, repository, required } from "./harness.mjs";

const extension = join(repository, "vscode-extension");
const here = import.meta.dirname;

// The extension host gives the extension and its tests the same `vscode` only where both are in the extension's folder.
execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "--noEmit"], { cwd: here, stdio: "inherit" });
execFileSync(process.execPath, ["esbuild.mjs"], { cwd: extension, stdio: "inherit" });
await build({
  absWorkingDir: here,
  entryPoints: ["inproc/index.ts"],
  outfile: join(extension, "dist-test/index.js"),
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  external: ["vscode"],
  logLevel: "warning",
});

const lab = mkdtempSync(join(tmpdir(), "codchi-inproc-lab-"));
const program = join(lab, "codchi");
writeFileSync(program, `#!/bin/sh\nexec '${required("CODCHI_LAB_NODE")}' '${join(here, "inproc/fake-codchi.mjs")}' "$@"\n`);
chmodSync(program, 0o755);

const files = { "codchi.nix": "{ ... }:\n{\n}\n", "other/codchi.nix": "{ ... }: { }\n" };
let editor;
let code = 1;
try {
  editor = await Editor.start({
    name: "inproc",
    files,
    settings: { "codchi.server.path": program },
    env: { CODCHI_FAKE: lab, CODCHI_TEST_MOCHA: pathToFileURL(join(here, "node_modules/mocha/index.js")).href },
    options: ["--vscode-option", "enable-smoke-test-driver"],
  });
  const { page, authority } = editor;
  // The workbench calls these while and when the tests have run.
  const ended = new Promise((resolve) => {
    void page.exposeFunction("codeAutomationExit", (code) => resolve(code));
  });
  await page.exposeFunction("codeAutomationLog", (_type, args) => {
    // The tests' lines; the workbench has its own.
    if (/^(ok {3}|FAIL |\d+ passed, )/.test(String(args[0]))) {
      console.log(...args);
    }
  });
  const remote = (path) => `vscode-remote://${authority}${path}`;
  const payload = [
    ["extensionDevelopmentPath", remote(extension)],
    ["extensionTestsPath", remote(join(extension, "dist-test/index.js"))],
  ];
  await editor.open({ payload: JSON.stringify(payload) });
  const late = new Promise((resolve) => setTimeout(resolve, 100_000, "late").unref());
  const result = await Promise.race([ended, late]);
  if (result === "late") {
    console.log("FAIL the tests did not end in time\n0 passed, 1 failed");
  }
  code = result === 0 ? 0 : 1;
  if (code !== 0) {
    await editor.shot("failed");
  }
} finally {
  await editor?.close();
  rmSync(lab, { recursive: true, force: true });
}
process.exit(code);
