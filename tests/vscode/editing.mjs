// What a person sees while writing a module, in a real VS Code with the packed extension and real Nix: first in a folder
// that is not trusted, then in one that is. A picture of each step is kept in target/screenshots.
//
// Besides what harness.mjs needs: CODCHI_LAB_VSIX (the packed extension, with the codchi program in it) and
// CODCHI_TEST_FLAKE_NIXPKGS (the nixpkgs that modules are evaluated with).

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { Editor, eventually, required, StepFailed, Steps } from "./harness.mjs";
import { Programs, Writing } from "./writing.mjs";

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
const untidy = `{ ... }:
{
networking.useNetworkd=true;
}
`;

const programs = new Programs();
const calls = programs.file("calls");
for (const name of ["nix", "nix-instantiate"]) {
  programs.add(name, `echo "$*" >> '${calls}'\nexec ${name} "$@"`);
}

const steps = new Steps();
let editor;
try {
  editor = await Editor.start({
    name: "editing",
    vsix: required("CODCHI_LAB_VSIX"),
    files: { "codchi.nix": module, "service.nix": service, "settings.nix": "{ keyring = true; }\n", "untidy.nix": untidy },
    settings: { "codchi.nixpkgs": `path:${required("CODCHI_TEST_FLAKE_NIXPKGS")}`, "files.autoSave": "off" },
    home: programs.home,
    trusts: false,
  });
  await walk(editor);
} catch (error) {
  if (!(error instanceof StepFailed)) {
    throw error;
  }
} finally {
  await editor?.close();
  programs.remove();
}
process.exit(steps.sum());

async function walk({ page, quick, quickInput }) {
  const step = (what, action) => steps.step(what, action, (failed) => editor.shot(`failed ${failed}`));
  const { keyboard } = page;
  const writing = new Writing(editor);

  await step("is told in Restricted Mode what the text says, and no Nix runs", async () => {
    await writing.start("settings.nix");
    await page.locator(".statusbar-item", { hasText: "Restricted Mode" }).waitFor();
    await writing.open("codchi.nix");
    await editor.command("Problems: Focus on Problems View");
    await writing.problems("has no value").first().waitFor();
    // As long as an evaluation would have taken.
    await page.waitForTimeout(2500);
    assert.equal(existsSync(calls) ? readFileSync(calls, "utf8") : "", "");
    assert.equal(await writing.notifications.count(), 0);
    await editor.shot("restricted mode");
  });

  await step("sees beside a secret that it is not set, and beside a capability whether it is there", async () => {
    await writing.line("SERVICE_TOKEN").filter({ hasText: /SERVICE_TOKEN\W*not\W*set/ }).waitFor();
    await writing.line("fuse").filter({ hasText: /"fuse"\W*(available|missing)/ }).waitFor();
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
    await writing.open("codchi.nix", "9:20");
    await keyboard.press("F2");
    const box = page.locator(".rename-box input, .rename-box .rename-input").first();
    await box.waitFor();
    assert.equal(await box.inputValue(), "SERVICE_TOKEN");
    await box.fill("DATA_TOKEN");
    await editor.shot("rename");
    await keyboard.press("Enter");
    await writing.line("codchi.secrets.DATA_TOKEN").waitFor();
    await editor.command("File: Save All");
    await eventually(
      "both files",
      async () => /secrets\.DATA_TOKEN/.test(writing.onDisk("codchi.nix")) && /\$CODCHI_DATA_TOKEN/.test(writing.onDisk("service.nix")),
    );
    assert.doesNotMatch(writing.onDisk("codchi.nix") + writing.onDisk("service.nix"), /SERVICE_TOKEN/);
  });

  await step("is warned of a credential, and offered to move it into a secret", async () => {
    await writing.open("service.nix", "6:24");
    await writing.problems("secret-in-store").first().waitFor();
    const fix = page.locator(".action-widget .monaco-list-row", { hasText: "Move it into a secret" });
    await eventually("the light bulb's menu", async () => {
      // The editor drops a question for fixes when problems of the file come anew meanwhile.
      await editor.command("Quick Fix...");
      await fix.waitFor({ timeout: 3000 });
      return true;
    });
    await editor.shot("the light bulb");
    await fix.click();
  });

  await step("moves it: asked for a name, then whether to", async () => {
    await quick.getByText("The secret's name").waitFor();
    await editor.shot("the secret's name");
    await quickInput.fill("1 TOKEN");
    await quick.getByText("Use letters, digits").waitFor();
    await editor.shot("a name that is none");
    await quickInput.fill("MORE_TOKEN");
    await keyboard.press("Enter");
    const dialogue = page.locator(".monaco-dialog-box", { hasText: "Move this text into the secret MORE_TOKEN?" });
    await dialogue.waitFor();
    await editor.shot("asked before it is moved");
    await dialogue.getByRole("button", { name: "Move" }).click();
    await writing.line("$CODCHI_MORE_TOKEN").waitFor();
    await writing.save();
    await writing.problems("secret-in-store").first().waitFor({ state: "detached" });
    await writing.line("secrets.MORE_TOKEN").filter({ hasText: /MORE_TOKEN\W*set/ }).waitFor();
    await editor.shot("moved into a secret");
  });

  await step("finds the value in the vault, and nowhere in the text", async () => {
    assert.doesNotMatch(writing.onDisk("service.nix"), new RegExp(credential));
    assert.match(writing.onDisk("service.nix"), /secrets\.MORE_TOKEN/);
    assert.match(await editor.codchi("secret", "ls"), /MORE_TOKEN/);
  });

  await step("is told what to do where no formatter is installed", async () => {
    await writing.open("untidy.nix");
    await editor.command("Format Document");
    const notification = editor.toast("No formatter for Nix is installed");
    await notification.waitFor();
    await editor.shot("no formatter");
    assert.match(await notification.innerText(), /nixfmt.*alejandra.*codchi\.formatter/s);
    await editor.command("Notifications: Clear All Notifications");
    await notification.waitFor({ state: "detached" });
    assert.equal(writing.onDisk("untidy.nix"), untidy);
  });

  await step("formats with the one that is installed meanwhile", async () => {
    // One that knows very little.
    programs.add("nixfmt", `exec sed -e 's/^networking/  networking/' -e 's/\\([^ ]\\)=\\([^ ]\\)/\\1 = \\2/'`);
    await editor.command("Format Document");
    await writing.line("  networking.useNetworkd = true;").waitFor();
    await writing.save();
    await editor.shot("formatted");
    assert.equal(writing.onDisk("untidy.nix"), "{ ... }:\n{\n  networking.useNetworkd = true;\n}\n");
  });

  await step("was shown no other notification and no request left this computer", async () => {
    assert.equal(await writing.notifications.count(), 0);
    assert.deepEqual(editor.external, []);
  });
}
