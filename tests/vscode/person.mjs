// What a person does, in a real VS Code with the packed extension, real Nix and a real container engine: from a module
// with a missing secret to a shell in its machine, and what that may have of this computer. A picture of each step is kept in target/screenshots.
//
// Besides what harness.mjs needs: CODCHI_LAB_VSIX (the packed extension, with the codchi program in it) and
// CODCHI_TEST_FLAKE_NIXPKGS (the nixpkgs that machines are made of).

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Editor, eventually, required, StepFailed, Steps } from "./harness.mjs";

const name = "sample-vscode";
// Every character that a shell, a unit file or a URL would trip over.
const token = `tok_"it's $HOME \`x\` %20 \\`;
const passphrase = "correct horse battery staple";
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
  codchi.hostSecrets.caCertificates = true;
  codchi.hostSecrets.sshAgent = true;
  codchi.optionalCapabilities = [ "fuse" "cuda" ];

  environment.systemPackages = [ pkgs.hello pkgs.openssh ];
}
`;

const steps = new Steps();
const desk = mkdtempSync(join(tmpdir(), "codchi-desk-"));
let agent;
let editor;
try {
  agent = await startAgent();
  editor = await Editor.start({
    name: "person",
    vsix: required("CODCHI_LAB_VSIX"),
    files: { "codchi.nix": module, "broken/codchi.nix": "{ ... }:\n{\n  services.nothing.enable = true;\n}\n" },
    settings: { "codchi.nixpkgs": `path:${required("CODCHI_TEST_FLAKE_NIXPKGS")}`, "codchi.sshConfig": "never" },
    env: { SSH_AUTH_SOCK: agent.socket },
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

  /** Moves the mouse over a word of the module, until something of this text is shown there. */
  const pointAt = async (word, told) => {
    await eventually(`${told} over ${word}`, async () => {
      // What is shown of another word would be in the way; and a line moves when a lens comes above it.
      await page.mouse.move(0, 0);
      await page.locator(".monaco-resizable-hover .monaco-hover").waitFor({ state: "hidden", timeout: 2000 });
      await page.locator(".view-line span", { hasText: new RegExp(`^"?${word}"?$`) }).first().hover({ timeout: 2000 });
      await page.locator(".monaco-hover", { hasText: told }).first().waitFor({ timeout: 4000 });
      return true;
    });
  };

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
    await pointAt("SERVICE_TOKEN", "secret-not-set");
    await editor.shot("hover over the secret");
  });

  await step("is told over a capability and a host secret what this computer has", async () => {
    for (const [what, told] of [
      ["cuda", "This computer does not offer it"],
      ["sshAgent", agent.socket],
    ]) {
      await pointAt(what, told);
      await editor.shot(`hover over ${what}`);
    }
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

  await step("is asked whether the machine may have what is this computer's, and what that means", async () => {
    const question = (what) => page.locator(".monaco-dialog-box", { hasText: `Let the code machine ${name} use ${what} of this computer?` });
    const certificates = question("the certificate authorities");
    await certificates.waitFor();
    await certificates.getByRole("button", { name: "Don't Allow" }).click();
    const sshAgent = question("the SSH agent");
    await sshAgent.getByText("log in and sign with all keys of your agent").waitFor();
    await sshAgent.getByText(`The module ${editor.workspace} asks for it.`).waitFor();
    await editor.shot("may the machine have the SSH agent");
    await sshAgent.getByRole("button", { name: "Allow", exact: true }).click();
  });

  await step("watches it being built and become running in the tree", async () => {
    const row = machines.filter({ hasText: name });
    await row.filter({ hasText: "creating" }).waitFor();
    await editor.shot("being created");
    await row.filter({ hasText: "running · generation 1" }).waitFor({ timeout: 180_000 });
    await row.locator(".monaco-tl-twistie").click();
    await machines.filter({ hasText: "Host Secrets" }).waitFor();
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

  await step("sees in the tree what the machine has and may have", async () => {
    for (const group of ["Secrets", "Host Secrets", "Capabilities"]) {
      await machines.filter({ has: page.locator(".label-name", { hasText: new RegExp(`^${group}$`) }) }).locator(".monaco-tl-twistie").click();
    }
    for (const [child, description] of [
      ["SERVICE_TOKEN", "set"],
      ["SIGNING_KEY", "set"],
      ["ca-certificates", "denied"],
      ["ssh-agent", "given"],
      ["fuse", "works"],
      ["cuda", "not on this computer"],
    ]) {
      await machines.filter({ hasText: child }).filter({ hasText: description }).waitFor();
    }
    await editor.shot("secrets, host secrets and capabilities");
  });

  await step("uses the SSH agent in the machine, and takes it away while it runs", async () => {
    const row = machines.filter({ hasText: "ssh-agent" });
    await editor.command("Codchi: Open Terminal");
    await editor.terminalText.filter({ hasText: `codchi@${name}` }).waitFor();
    await editor.typeInTerminal("ssh-add -l");
    await editor.terminalText.filter({ hasText: "desk-key" }).waitFor();
    await row.hover();
    await editor.shot("the buttons of a host secret");
    await row.getByRole("button", { name: "Deny" }).click();
    await row.filter({ hasText: "denied" }).waitFor();
    await editor.toast("Taking ssh-agent").waitFor({ state: "detached" });
    await editor.typeInTerminal("clear; ssh-add -l || echo nothing to sign with");
    await eventually("no key", async () => /^nothing to sign with/m.test(spaces(await editor.terminalText.innerText())));
    assert.ok(!(await editor.terminalText.innerText()).includes("desk-key"));
    await editor.shot("the SSH agent is taken away");
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

  await step("stops and starts it from the tree, asked for the passphrase that the vault has by now", async () => {
    const row = machines.filter({ hasText: name }).first();
    await row.hover();
    await row.getByRole("button", { name: "Stop", exact: true }).click();
    await row.filter({ hasText: "stopped" }).waitFor({ timeout: 60_000 });
    await editor.shot("stopped");
    const file = join(desk, "passphrase");
    writeFileSync(file, passphrase, { mode: 0o600 });
    await editor.codchi("vault", "passphrase", "--passphrase-file", file);
    // For what cleans up. The server has the environment that it was started with.
    editor.env.CODCHI_VAULT_PASSPHRASE_FILE = file;
    await machines.filter({ hasText: "is locked" }).waitFor();
    await editor.shot("the vault is locked");
    await row.hover();
    await row.getByRole("button", { name: "Start", exact: true }).click();
    await quick.getByText("Passphrase of the secret vault").waitFor();
    assert.equal(await quickInput.getAttribute("type"), "password");
    await quickInput.fill("wrong");
    await page.keyboard.press("Enter");
    await quick.getByText("That was not the passphrase").waitFor();
    await editor.shot("asked for the passphrase again");
    await quickInput.fill(passphrase);
    await page.keyboard.press("Enter");
    await row.filter({ hasText: "running" }).waitFor({ timeout: 60_000 });
    await machines.filter({ hasText: "is locked" }).waitFor({ state: "detached" });
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
  try {
    for (const machine of editor === undefined ? [] : JSON.parse(await editor.codchi("status", "--json"))) {
      await editor.codchi("delete", machine.name, "--secrets", "--yes");
    }
  } finally {
    await editor?.close();
    // It removes its socket when it ends, which the removal of the folder would trip over.
    if (agent?.process.kill()) {
      await once(agent.process, "exit");
    }
    rmSync(desk, { recursive: true, force: true });
  }
}

/** An SSH agent with a key that goes by `desk-key`. */
async function startAgent() {
  const socket = join(desk, "agent");
  const started = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  await eventually("the agent's socket", async () => existsSync(socket));
  const file = join(desk, "key");
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "desk-key", "-f", file]);
  execFileSync("ssh-add", ["-q", file], { env: { ...process.env, SSH_AUTH_SOCK: socket }, stdio: "ignore" });
  return { process: started, socket };
}

/** The terminal draws spaces as no-break spaces. */
function spaces(text) {
  return text.replaceAll("\u00a0", " ");
}
