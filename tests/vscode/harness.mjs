// A real VS Code (code-server) and a headless Chromium that looks at it, for one test: a home, settings, ports and
// process group of its own, and nothing of them left when it is closed.
//
// From the environment, as `cargo xtask test` sets it:
//   CODCHI_LAB_CODE_SERVER  code-server's entry.js        CODCHI_LAB_NODE  the Node.js that runs it
//   CODCHI_LAB_CHROMIUM     Chromium (default: `chromium` on PATH)
// All else that is set there (LXD_DIR, NIX_CONFIG, …) reaches the editor, and so codchi.

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

export const repository = resolve(import.meta.dirname, "../..");
const screenshots = join(repository, "target/screenshots");

/** Settings that keep the editor quiet and its texts readable from outside. */
const quiet = {
  "workbench.startupEditor": "none",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.tips.enabled": false,
  "workbench.reduceMotion": "on",
  "workbench.enableExperiments": false,
  "chat.disableAIFeatures": true,
  "telemetry.telemetryLevel": "off",
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "git.enabled": false,
  "npm.fetchOnlinePackageInfo": false,
  "editor.minimap.enabled": false,
  "editor.cursorBlinking": "solid",
  "window.restoreWindows": "none",
  "window.confirmBeforeClose": "never",
  "window.dialogStyle": "custom",
  // Drawn as elements of the page, the terminal's text can be read.
  "terminal.integrated.gpuAcceleration": "off",
  "terminal.integrated.enablePersistentSessions": false,
  "terminal.integrated.confirmOnExit": "never",
};

/** The value of a variable that the lab sets. */
export function required(name) {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set. Run this test with \`cargo xtask test\`, which prepares all it needs.`);
  }
  return value;
}

/** Counts steps. A failed one is told and thrown on, for what comes after builds on it. */
export class Steps {
  passed = 0;
  failed = 0;

  /** @param {string} name @param {() => Promise<unknown>} step @param {(name: string) => Promise<unknown>} [onFailure] */
  async step(name, step, onFailure) {
    const began = Date.now();
    try {
      await step();
      this.passed++;
      console.log(`ok   ${name} (${Date.now() - began} ms)`);
    } catch (error) {
      this.failed++;
      console.log(`FAIL ${name} (${Date.now() - began} ms)\n     ${String(error?.stack ?? error).split("\n").slice(0, 12).join("\n     ")}`);
      await onFailure?.(name).catch(() => undefined);
      throw new StepFailed(name);
    }
  }

  /** Prints the sum; gives the exit code. */
  sum() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed > 0 || this.passed === 0 ? 1 : 0;
  }
}

/** A failed step, told already. */
export class StepFailed extends Error {}

export class Editor {
  /** Requests that went anywhere but to this computer. */
  external = [];
  #root;
  #server;
  #serverExited;
  #browser;
  #port;
  #name;
  #shots = 0;

  /**
   * Starts the server with a workspace of `files` (name to text). `vsix` is installed; `env` is added to the environment;
   * `options` to code-server's command line; `home` are files of the home folder. Unless `trusts`, the folder is not trusted.
   *
   * @param {{ name: string, files: Record<string, string>, settings?: object, vsix?: string, env?: Record<string, string>, options?: string[], trusts?: boolean, home?: Record<string, string> }} setup
   */
  static async start({ name, files, home = {}, settings = {}, vsix, env = {}, options = [], trusts = true }) {
    const editor = new Editor();
    try {
      await editor.#start({ name, files, home, settings, vsix, env, options, trusts });
      return editor;
    } catch (error) {
      await editor.close();
      throw error;
    }
  }

  get workspace() {
    return join(this.#root, "sample");
  }

  get home() {
    return join(this.#root, "home");
  }

  /** Where extensions are installed. */
  get extensions() {
    return join(this.#root, "extensions");
  }

  /** The environment of the editor, and of whatever it starts. */
  env = {};

  async #start({ name, files, home, settings, vsix, env, options, trusts }) {
    this.#name = name;
    this.#root = mkdtempSync(join(tmpdir(), `codchi-${name}-`));
    const user = join(this.#root, "user");
    for (const folder of [join(user, "User"), this.extensions, this.workspace, this.home, screenshots]) {
      mkdirSync(folder, { recursive: true });
    }
    writeFileSync(join(user, "User/settings.json"), JSON.stringify({ ...quiet, ...settings }, null, 2));
    writeFileSync(join(this.#root, "config.yaml"), "");
    for (const [folder, texts] of [
      [this.workspace, files],
      [this.home, home],
    ]) {
      for (const [file, text] of Object.entries(texts)) {
        mkdirSync(dirname(join(folder, file)), { recursive: true });
        writeFileSync(join(folder, file), text);
      }
    }
    this.env = {
      ...process.env,
      HOME: this.home,
      XDG_CONFIG_HOME: join(this.home, ".config"),
      XDG_DATA_HOME: join(this.home, ".local/share"),
      XDG_STATE_HOME: join(this.home, ".local/state"),
      XDG_CACHE_HOME: join(this.home, ".cache"),
      LANG: "C.UTF-8",
      SHELL: "/bin/sh",
      EXTENSIONS_GALLERY: "{}", // else it asks a gallery on the internet
      ...env,
    };
    delete this.env.DBUS_SESSION_BUS_ADDRESS; // the keyring of whoever runs the test is not the test's

    const node = required("CODCHI_LAB_NODE");
    const codeServer = [
      required("CODCHI_LAB_CODE_SERVER"),
      ...["--config", join(this.#root, "config.yaml"), "--user-data-dir", user, "--extensions-dir", this.extensions],
    ];
    if (vsix !== undefined) {
      await promisify(execFile)(node, [...codeServer, "--install-extension", vsix], { env: this.env });
    }
    this.#port = await freePort();
    const log = openSync(join(screenshots, `${name}-server.log`), "w");
    this.#server = spawn(
      node,
      [
        ...codeServer,
        ...["--auth", "none", "--bind-addr", `127.0.0.1:${this.#port}`, "--reconnection-grace-time", "2"],
        ...["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"],
        ...(trusts ? ["--disable-workspace-trust"] : []),
        ...options,
      ],
      { env: this.env, detached: true, stdio: ["ignore", log, log] },
    );
    closeSync(log);
    this.#serverExited = once(this.#server, "exit");
    await this.#healthy();
    this.#browser = await chromium.launch({
      executablePath: process.env.CODCHI_LAB_CHROMIUM ?? onPath("chromium"),
      headless: true,
      env: { ...process.env, HOME: this.home },
      args: [
        ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"],
        ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
      ],
    });
    const context = await this.#browser.newContext({
      viewport: { width: 1280, height: 800 },
      locale: "en-US",
      permissions: ["clipboard-read", "clipboard-write"],
    });
    context.on("request", (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (/^(http|ws)/.test(protocol) && hostname !== "127.0.0.1") {
        this.external.push(request.url());
      }
    });
    this.page = await context.newPage();
    this.page.setDefaultTimeout(20_000);
  }

  async #healthy() {
    const deadline = Date.now() + 30_000;
    for (;;) {
      const answer = await fetch(`http://${this.authority}/healthz`).catch(() => undefined);
      if (answer?.ok) {
        return;
      }
      if (Date.now() > deadline || this.#server.exitCode !== null) {
        throw new Error(`code-server did not start; its log is target/screenshots/${this.#name}-server.log`);
      }
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  get authority() {
    return `127.0.0.1:${this.#port}`;
  }

  /** Opens the workspace in the page. `query` is added to the address. */
  async open(query = {}) {
    await this.page.goto(`http://${this.authority}/?${new URLSearchParams({ folder: this.workspace, ...query })}`);
  }

  /** Runs the codchi of the installed extension, as the editor would; what it prints. */
  async codchi(...args) {
    const extension = readdirSync(this.extensions).find((folder) => folder.startsWith("codchi.codchi-"));
    const program = join(this.extensions, extension ?? "missing", "bin/codchi");
    return (await promisify(execFile)(program, args, { env: this.env, timeout: 60_000 })).stdout;
  }

  /** Keeps a numbered picture of the page in target/screenshots. */
  async shot(name) {
    const number = String(++this.#shots).padStart(2, "0");
    await this.page.screenshot({ path: join(screenshots, `${this.#name}-${number}-${name.replace(/\W+/g, "-")}.png`) });
  }

  /** Stops everything and removes its files. */
  async close() {
    await this.#browser?.close();
    if (this.#server !== undefined && this.#server.exitCode === null && this.#server.signalCode === null) {
      const signal = (name) => {
        try {
          process.kill(-this.#server.pid, name);
        } catch {
          // It is gone.
        }
      };
      signal("SIGTERM");
      const timeout = setTimeout(() => signal("SIGKILL"), 8000);
      await this.#serverExited;
      clearTimeout(timeout);
    }
    if (this.#root !== undefined) {
      rmSync(this.#root, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    }
  }

  // What a person does.

  /** The palette, pick lists and input boxes alike. */
  get quick() {
    return this.page.locator(".quick-input-widget");
  }

  get quickInput() {
    return this.quick.locator(".quick-input-box input");
  }

  /** Runs a command from the palette by what it is called there. */
  async command(title) {
    await this.page.keyboard.press("F1");
    await this.quickInput.waitFor({ state: "visible" });
    await this.quickInput.fill(`>${title}`);
    await this.quick.getByRole("option", { name: title, exact: false }).first().click();
  }

  /** A notification that holds `text`. */
  toast(text) {
    return this.page.locator(".notifications-toasts .notification-list-item", { hasText: text });
  }

  /** Types a line into the terminal in front. */
  async typeInTerminal(line) {
    await this.page.locator(".terminal-wrapper.active .xterm-helper-textarea").focus();
    await this.page.keyboard.type(line);
    await this.page.keyboard.press("Enter");
  }

  /** What the terminal in front shows. */
  get terminalText() {
    return this.page.locator(".terminal-wrapper.active .xterm-rows");
  }
}

/** Waits until `probe` gives something true. */
export async function eventually(what, probe, milliseconds = 20_000) {
  const deadline = Date.now() + milliseconds;
  while (!(await probe().catch(() => false))) {
    if (Date.now() > deadline) {
      throw new Error(`did not come: ${what}`);
    }
    await new Promise((done) => setTimeout(done, 50));
  }
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

function onPath(program) {
  const folder = (process.env.PATH ?? "").split(delimiter).find((folder) => {
    try {
      closeSync(openSync(join(folder, program), "r"));
      return true;
    } catch {
      return false;
    }
  });
  if (folder === undefined) {
    throw new Error(`${program} is not on PATH`);
  }
  return join(folder, program);
}
