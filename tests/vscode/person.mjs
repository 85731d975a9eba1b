// What a person does, in a real VS Code with the packed extension, real Nix and a real container engine: from a module
// with a missing secret to a shell in its machine. A picture of each step is kept in target/screenshots.
//
// Besides what harness.mjs needs: CODCHI_LAB_VSIX (the packed extension, with the codchi program in it) and
// CODCHI_TEST_FLAKE_NIXPKGS (the nixpkgs that machines are made of).

import assert from "node:assert/strict";
import { Editor, eventually, required, StepFailed, Steps } from "./harness.mjs";

const name = "sample-vscode";
// Every character that a shell, a unit file or a URL would trip over.
const token = `tok_"it's $HOME \`x\` %20 \\`;
const key = "-----BEGIN KEY-----\nline 'two'\n-----END KEY-----\n";

const module = `# What this project's development machine is.
{ pkgs, ... }:
{
  codchi.secrets.SERVICE_TOKEN = {
    description = "The token of the project's service";
    pattern = "tok_.+";
  };
  codchi.secrets.SIGNING_KEY = {
    description = "The key that signs releases";
    multiline = true;
  };

  environment.systemPackages = [ pkgs.hello ];
}
`;

const steps = new Steps();
let editor;
try {
  editor = await Editor.start({
    name: "person",
    vsix: required("CODCHI_LAB_VSIX"),
    files: { "codchi.nix": module, "broken/codchi.nix": "{ ... }:\n{\n  services.nothing.enable = true;\n}\n" },
    settings: { "codchi.nixpkgs": `path:${required("CODCHI_TEST_FLAKE_NIXPKGS")}`, "codchi.sshConfig": "never" },
  });
  await walk(editor);
} catch (error) {
  if (!(error instanceof StepFailed)) {
    throw error;
  }
} finally {
  await leaveNothing();
}
process.exit(steps.sum());

async function walk({ page, quick, quickInput }) {
  const step = (what, action) => steps.step(what, action, (failed) => editor.shot(`failed ${failed}`));
  const squiggles = page.locator(".editor-instance .squiggly-warning");
  const problems = page.locator(".markers-panel .monaco-list-row", { hasText: "SERVICE_TOKEN" });
  const machines = page.locator('.monaco-list[aria-label="Code Machines"] .monaco-list-row');

  await step("opens the module", async () => {
    await editor.open();
    await page.locator(".explorer-folders-view .monaco-list-row", { hasText: "codchi.nix" }).dblclick();
    await page.locator(".tab.active", { hasText: "codchi.nix" }).waitFor();
    const colours = () =>
      page.locator(".view-line span[class^=mtk]").evaluateAll((spans) => new Set(spans.map((span) => getComputedStyle(span).color)).size);
    await eventually("the colours of Nix", async () => (await colours()) >= 3);
  });

  await step("sees that the secrets are not set: in the editor and in the Problems view", async () => {
    await squiggles.first().waitFor();
    assert.equal(await squiggles.count(), 2);
    await editor.command("Problems: Focus on Problems View");
    await problems.waitFor();
    assert.match((await problems.innerText()).replaceAll(/\s+/g, " "), /SERVICE_TOKEN.*secret-not-set/);
    await editor.shot("the secrets are not set");
  });

  await step("is told over the secret what it is", async () => {
    await page.locator(".view-line span", { hasText: /^SERVICE_TOKEN$/ }).first().hover();
    await page.locator(".monaco-hover", { hasText: "secret-not-set" }).first().waitFor();
    await editor.shot("hover over the secret");
    await page.keyboard.press("Escape");
  });

  await step("finds the view empty, with a way on", async () => {
    await page.locator('.activitybar .action-label[aria-label="Codchi"]').click();
    await page.locator(".welcome-view", { hasText: "Create Code Machine" }).waitFor();
    await editor.shot("no code machine yet");
  });

  await step("is told why a module makes no machine, and shown the log", async () => {
    await editor.command("Codchi: Create Code Machine");
    await quick.getByRole("option", { name: /^broken/ }).click();
    await eventually("the question for a name", async () => (await quickInput.inputValue()) === "broken");
    await page.keyboard.press("Enter");
    const failure = editor.toast("services.nothing");
    await failure.waitFor({ timeout: 60_000 });
    await editor.shot("a module that makes no machine");
    await failure.getByRole("button", { name: "Show Log" }).click();
    await page.locator(".tab.active", { hasText: "create.log" }).waitFor();
    await page.locator(".view-line", { hasText: "services.nothing" }).first().waitFor();
    await editor.shot("the log");
    await page.locator(".tab", { hasText: "codchi.nix" }).first().click();
  });

  await step("runs Create Code Machine and gives it a name", async () => {
    await editor.command("Codchi: Create Code Machine");
    await quick.getByRole("option", { name: /^sample/ }).click();
    await eventually("the question for a name", async () => (await quickInput.inputValue()) === "sample");
    await quickInput.fill("No Name");
    await quick.locator(".quick-input-message.severity-error, .monaco-inputbox.error").first().waitFor();
    await editor.shot("a name that is none");
    await quickInput.fill(name);
    await page.keyboard.press("Enter");
  });

  await step("watches progress, with a way to cancel and to the log", async () => {
    const progress = editor.toast("Creating code machine");
    await progress.waitFor();
    await progress.hover();
    await progress.getByRole("button", { name: "Cancel" }).waitFor();
    await progress.getByText("show log").waitFor();
    await editor.shot("progress");
  });

  await step("answers the input box, which shows the description and hides the value", async () => {
    await quick.getByText("The token of the project's service").waitFor({ timeout: 60_000 });
    assert.equal(await quickInput.getAttribute("type"), "password");
    await quickInput.fill("wrong");
    await quick.getByText("does not have the form").waitFor();
    await editor.shot("a value that does not match");
    await quickInput.fill(token);
    await quick.getByText("does not have the form").waitFor({ state: "hidden" });
    await editor.shot("the secret is typed");
    await page.keyboard.press("Enter");
  });

  await step("answers the form for the secret of several lines", async () => {
    const form = page.frameLocator("iframe.webview").frameLocator("iframe#active-frame");
    await form.getByText("The key that signs releases").waitFor();
    await form.locator("textarea").fill(key);
    await editor.shot("the secret of several lines");
    await form.getByRole("button", { name: "Save" }).click();
  });

  await step("watches it being built and become running in the tree", async () => {
    const row = machines.filter({ hasText: name });
    await row.filter({ hasText: "creating" }).waitFor();
    await editor.shot("being created");
    await row.filter({ hasText: "running · generation 1" }).waitFor({ timeout: 180_000 });
    await row.locator(".monaco-tl-twistie").click();
    await machines.filter({ hasText: "SERVICE_TOKEN" }).filter({ hasText: "set" }).waitFor();
    await editor.toast(`Code machine ${name} is running`).waitFor();
    await page.locator(".statusbar-item", { hasText: `${name}: running` }).waitFor();
    await editor.shot("running");
  });

  await step("sees that nothing is amiss any more", async () => {
    await page.locator(".tab", { hasText: "codchi.nix" }).first().click();
    await squiggles.first().waitFor({ state: "detached" });
    await problems.waitFor({ state: "detached" });
    await editor.shot("nothing is amiss");
  });

  await step("opens a terminal in the machine and sees the secrets there", async () => {
    await editor.toast(`Code machine ${name} is running`).getByRole("button", { name: "Open Terminal" }).click();
    await editor.terminalText.filter({ hasText: `codchi@${name}` }).waitFor();
    await editor.typeInTerminal('echo "I am $(whoami) on $(hostname)"');
    await editor.terminalText.filter({ hasText: `I am codchi on ${name}` }).waitFor();
    await editor.typeInTerminal('printf "<%s>\\n" "$CODCHI_SERVICE_TOKEN"');
    await eventually("the value", async () => spaces(await editor.terminalText.innerText()).includes(`<${token}>`));
    await editor.typeInTerminal('printf %s "$CODCHI_SIGNING_KEY" | wc -c');
    await eventually("the key's length", async () => new RegExp(`^${key.length}$`, "m").test(spaces(await editor.terminalText.innerText())));
    await editor.typeInTerminal("ls");
    await editor.terminalText.filter({ hasText: "codchi.nix" }).first().waitFor();
    await editor.shot("the secrets in the machine");
    await editor.typeInTerminal("exit");
    await page.locator(".terminal-wrapper").waitFor({ state: "detached" });
  });

  await step("is told that a window in it needs an SSH extension", async () => {
    await editor.command("Codchi: Open in Code Machine");
    await editor.toast("needs a Remote - SSH extension").waitFor();
    await editor.shot("no SSH extension");
    await editor.toast("needs a Remote - SSH extension").hover();
    await page.keyboard.press("Escape");
  });

  await step("stops and starts it from the tree", async () => {
    const row = machines.filter({ hasText: name });
    await row.hover();
    await row.getByRole("button", { name: "Stop", exact: true }).click();
    await row.filter({ hasText: "stopped" }).waitFor({ timeout: 60_000 });
    await editor.shot("stopped");
    await row.hover();
    await row.getByRole("button", { name: "Start", exact: true }).click();
    await row.filter({ hasText: "running" }).waitFor({ timeout: 60_000 });
  });

  await step("deletes it, asked first, and finds the view empty again", async () => {
    await editor.command("Codchi: Delete");
    await quick.getByRole("option", { name }).click();
    const dialogue = page.locator(".monaco-dialog-box", { hasText: `Delete the code machine ${name}?` });
    await dialogue.waitFor();
    await editor.shot("asked before it is deleted");
    await dialogue.getByRole("button", { name: "Delete" }).click();
    await page.locator(".welcome-view", { hasText: "Create Code Machine" }).waitFor({ timeout: 60_000 });
    await editor.shot("deleted");
  });

  await step("had no request leave this computer", async () => {
    assert.deepEqual(editor.external, []);
  });
}

/** Deletes the machine where the walk has not, with the program that the editor has, and closes the editor. */
async function leaveNothing() {
  if (editor === undefined) {
    return;
  }
  try {
    for (const machine of JSON.parse(await editor.codchi("status", "--json"))) {
      await editor.codchi("delete", machine.name, "--secrets", "--yes");
    }
  } finally {
    await editor.close();
  }
}

/** The terminal draws spaces as no-break spaces. */
function spaces(text) {
  return text.replaceAll("\u00a0", " ");
}
