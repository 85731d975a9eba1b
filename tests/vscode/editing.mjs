// What a person sees while writing a module, in a real VS Code with the packed extension and real Nix: first in a folder
// that is not trusted, then in one that is. A picture of each step is kept in target/screenshots.
//
// Besides what harness.mjs needs: CODCHI_LAB_VSIX (the packed extension, with the codchi program in it) and
// CODCHI_TEST_FLAKE_NIXPKGS (the nixpkgs that modules are evaluated with).

import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { Editor, eventually, required, StepFailed, Steps } from "./harness.mjs";

// In two parts, lest it be taken for a real one that leaked.
const credential = `${"ghp"}_${"9fKq2ZtL7wXc4VbN8mRp"}${"3HdS6jYg1TuA5eQo"}`;

const module = `# What this project's development machine is.
{ pkgs, ... }:
let
  settings = import ./settings.nix;
in
{
  imports = [ ./service.nix ];

  codchi.secrets.SERVICE_TOKEN.description = "The token of the project's service";
  codchi.optionalCapabilities = [ "fuse" ];
  codchi.keyring.enable = settings.keyring;

  environment.systemPackages = [ pkgs.hello ];
}
`;
const service = `# What the project's service needs.
{ ... }:
{
  codchi.initScript = ''
    fetch --token "$CODCHI_SERVICE_TOKEN" > ~/data
    fetch --token ${credential} > ~/more
  '';
}
`;
// Programs on PATH: each call of Nix is noted.
const programs = mkdtempSync(join(tmpdir(), "codchi-editing-bin-"));
const calls = join(programs, "calls");
const path = process.env.PATH ?? "";
program("nix", `echo "$*" >> '${calls}'\nPATH='${path}' exec nix "$@"`);
program("nix-instantiate", `echo "$*" >> '${calls}'\nPATH='${path}' exec nix-instantiate "$@"`);

const steps = new Steps();
let editor;
try {
  editor = await Editor.start({
    name: "editing",
    vsix: required("CODCHI_LAB_VSIX"),
    files: { "codchi.nix": module, "service.nix": service, "settings.nix": "{ keyring = true; }\n" },
    settings: { "codchi.nixpkgs": `path:${required("CODCHI_TEST_FLAKE_NIXPKGS")}` },
    // The editor takes PATH from a login shell.
    home: { ".profile": `PATH='${programs}${delimiter}${path}'\n` },
    trusts: false,
  });
  await walk(editor);
} catch (error) {
  if (!(error instanceof StepFailed)) {
    throw error;
  }
} finally {
  await editor?.close();
  rmSync(programs, { recursive: true, force: true });
}
process.exit(steps.sum());

async function walk({ page, quick, quickInput, workspace }) {
  const step = (what, action) => steps.step(what, action, (failed) => editor.shot(`failed ${failed}`));
  const { keyboard } = page;
  const problems = (text) => page.locator(".markers-panel .monaco-list-row", { hasText: text });
  const line = (text) => page.locator(".editor-instance .view-line", { hasText: text }).first();
  const onDisk = (file) => readFileSync(join(workspace, file), "utf8");

  /** Opens a file by its name; the cursor stands where `at` (line:column) says. */
  const open = async (file, at = "1:1") => {
    await keyboard.press("Control+p");
    await quickInput.fill(`${file}:${at}`);
    await quick.locator(".monaco-list-row.focused", { hasText: file }).waitFor();
    await keyboard.press("Enter");
    await page.locator(".tab.active", { hasText: file }).waitFor();
    await quick.waitFor({ state: "hidden" });
  };
  await step("is told in Restricted Mode what the text says, and no Nix runs", async () => {
    await editor.open();
    await page.locator(".statusbar-item", { hasText: "Restricted Mode" }).waitFor();
    await page.locator(".explorer-folders-view .monaco-list-row", { hasText: "settings.nix" }).waitFor();
    await open("codchi.nix");
    await editor.command("Problems: Focus on Problems View");
    await problems("has no value").first().waitFor();
    // As long as an evaluation would have taken.
    await page.waitForTimeout(2500);
    assert.equal(existsSync(calls) ? readFileSync(calls, "utf8") : "", "");
    assert.equal(await page.locator(".notifications-toasts .notification-list-item").count(), 0);
    await editor.shot("restricted mode");
  });

  await step("sees beside a secret that it is not set, and beside a capability whether it is there", async () => {
    await line("SERVICE_TOKEN").filter({ hasText: /SERVICE_TOKEN\W*not\W*set/ }).waitFor();
    await line("fuse").filter({ hasText: /"fuse"\W*(available|missing)/ }).waitFor();
  });

  await step("trusts the folder, and modules are evaluated", async () => {
    await editor.command("Workspaces: Manage Workspace Trust");
    await page.locator(".workspace-trust-editor").getByRole("button", { name: /^Trust$/ }).click();
    await page.locator(".workspace-trust-editor", { hasText: "You trust this folder" }).waitFor();
    await editor.shot("trusted");
    await page.locator(".monaco-modal-editor-block .codicon-close").last().click();
    await page.locator(".workspace-trust-editor").waitFor({ state: "detached" });
    await eventually("a call of Nix", async () => /\S/.test(readFileSync(calls, "utf8")));
  });

  await step("renames a secret in all files", async () => {
    await open("codchi.nix", "9:20");
    await keyboard.press("F2");
    const box = page.locator(".rename-box input, .rename-box .rename-input").first();
    await box.waitFor();
    assert.equal(await box.inputValue(), "SERVICE_TOKEN");
    await box.fill("DATA_TOKEN");
    await editor.shot("rename");
    await keyboard.press("Enter");
    await line("codchi.secrets.DATA_TOKEN").waitFor();
    await editor.command("File: Save All");
    await eventually("both files", async () => /secrets\.DATA_TOKEN/.test(onDisk("codchi.nix")) && /\$CODCHI_DATA_TOKEN/.test(onDisk("service.nix")));
    assert.doesNotMatch(onDisk("codchi.nix") + onDisk("service.nix"), /SERVICE_TOKEN/);
  });

  await step("was shown no notification and no request left this computer", async () => {
    assert.equal(await page.locator(".notifications-toasts .notification-list-item").count(), 0);
    assert.deepEqual(editor.external, []);
  });
}

function program(name, script) {
  const file = join(programs, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
}
