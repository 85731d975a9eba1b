// What a person sees of NixOS options while writing a module, in a real VS Code with the packed extension and real Nix: what
// evaluation says on saving, completion, hover and where an option is declared. A picture of each step is kept in
// target/screenshots. From the environment, the same as editing.mjs.

import assert from "node:assert/strict";
import { Editor, eventually, required, StepFailed, Steps } from "./harness.mjs";
import { Writing } from "./writing.mjs";

const module = `# What this project's development machine is.
{ pkgs, ... }:
let
  settings = import ./settings.nix;
in
{
  codchi.keyring.enable = settings.keyring;
  networking.useNetworkd = true;
  environment.systemPackages = [ pkgs.hello ];

}
`;
const settings = `# What differs from project to project.
{
  keyring = true;
}
`;

const steps = new Steps();
let editor;
try {
  editor = await Editor.start({
    name: "options",
    vsix: required("CODCHI_LAB_VSIX"),
    files: { "codchi.nix": module, "settings.nix": settings },
    settings: { "codchi.nixpkgs": `path:${required("CODCHI_TEST_FLAKE_NIXPKGS")}`, "files.autoSave": "off" },
  });
  await walk(editor);
} catch (error) {
  if (!(error instanceof StepFailed)) {
    throw error;
  }
} finally {
  await editor?.close();
}
process.exit(steps.sum());

async function walk({ page }) {
  const step = (what, action) => steps.step(what, action, (failed) => editor.shot(`failed ${failed}`));
  const { keyboard } = page;
  const writing = new Writing(editor);
  const squiggles = page.locator(".editor-instance .squiggly-error");

  await step("opens a module that nothing is amiss with", async () => {
    await writing.start("settings.nix");
    await writing.open("codchi.nix");
    await editor.command("Problems: Focus on Problems View");
    await page.getByText("No problems have been detected").waitFor();
    await editor.shot("nothing is amiss");
  });

  await step("sees on saving what only Nix sees, where the value is in the module", async () => {
    await writing.open("settings.nix", "3:13");
    await writing.replaceRest('"yes";');
    assert.equal(await writing.problems("evaluation").count(), 0);
    await writing.save();
    await writing.open("codchi.nix", "7:1");
    await writing.problems("codchi.keyring.enable").first().waitFor();
    await squiggles.first().waitFor();
    await editor.shot("a wrong value");
    assert.equal(await writing.problems("evaluation").count(), 1);
  });

  await step("sees an error where it arises: in the file that the module reads", async () => {
    await writing.open("settings.nix", "3:13");
    await writing.replaceRest("builtins.head [ ];");
    await writing.save();
    await writing.problems("codchi.keyring.enable").first().waitFor({ state: "detached" });
    await writing.problems("evaluation").first().waitFor();
    await squiggles.first().waitFor();
    await editor.shot("an error in a file that is read");
    assert.match(await page.locator(".markers-panel .monaco-list-row").first().innerText(), /settings\.nix/);
  });

  await step("sees it gone once it is put right and saved", async () => {
    await writing.open("settings.nix", "3:13");
    await writing.replaceRest("true;");
    await writing.save();
    await page.getByText("No problems have been detected").waitFor();
    await squiggles.first().waitFor({ state: "detached" });
    await editor.shot("put right");
    assert.equal(writing.onDisk("settings.nix"), settings);
  });

  await step("is offered NixOS options with their type and what they are", async () => {
    const option = page.locator(".suggest-widget.visible .monaco-list-row", { hasText: "hostName" });
    const details = page.locator(".suggest-details");
    await writing.open("codchi.nix", "10:1");
    await keyboard.type("  networking.ho");
    await option.waitFor();
    await editor.shot("suggestions");
    if (!(await details.isVisible())) {
      await keyboard.press("Control+Space");
    }
    await details.filter({ hasText: /string matching the pattern.*The host's name\./s }).waitFor();
    await editor.shot("completion of a NixOS option");
    await keyboard.press("Enter");
    await editor.shot("completed");
    await keyboard.type("box");
    await writing.line('networking.hostName = "box";').waitFor();
    await writing.save();
    await editor.shot("written");
  });

  await step("is told over an option what it is", async () => {
    const told = page.locator(".monaco-hover", { hasText: "The host's name." }).first();
    await eventually("the hover", async () => {
      // The line moves when a lens comes above it.
      await writing.hover("networking.hostName", "hostName");
      await told.waitFor({ timeout: 2000 });
      return true;
    });
    assert.match(await told.innerText(), /networking\.hostName: string matching the pattern/);
    assert.match(await told.innerText(), /Default: "nixos"/);
    await editor.shot("hover over a NixOS option");
    await keyboard.press("Escape");
  });

  await step("goes from an option to where it is declared", async () => {
    await writing.open("codchi.nix", "10:16");
    await keyboard.press("F12");
    await page.locator(".tab.active", { hasText: "networking.nix" }).waitFor();
    await writing.line("hostName = mkOption").waitFor();
    await page.locator(".statusbar-item", { hasText: /Ln 12,/ }).waitFor();
    await editor.shot("the declaration in the store");
    await keyboard.press("Control+F4");
  });

  await step("was shown no notification and no request left this computer", async () => {
    await editor.shot("at the end");
    assert.equal(await writing.notifications.count(), 0);
    assert.deepEqual(editor.external, []);
  });
}
