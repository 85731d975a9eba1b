// Remote windows: through the SSH extension that there is, and never without one.

import * as assert from "node:assert/strict";
import * as vscode from "vscode";
import { commandsSent, forget, machine, replacing, setMachines, until, workspaceFolder } from "./world";

/** Runs `body` with the commands that open things recorded instead of run, and these extensions installed. */
async function recording(installed: string[], body: () => Promise<unknown>): Promise<unknown[][]> {
  const calls: unknown[][] = [];
  const execute = vscode.commands.executeCommand;
  const getExtension = vscode.extensions.getExtension;
  const record = (...call: unknown[]) => {
    if (call[0] === "vscode.openFolder" || call[0] === "workbench.extensions.search") {
      calls.push([call[0], call[1] instanceof vscode.Uri ? call[1].toString(true) : call[1], ...call.slice(2)]);
      return Promise.resolve();
    }
    return execute(...(call as [string]));
  };
  const find = (id: string) => (installed.includes(id) ? { id } : getExtension(id));
  await replacing(vscode.commands, "executeCommand", record, () =>
    replacing(vscode.extensions, "getExtension", find, async () => {
      await body();
    }),
  );
  return calls;
}

/** Runs `body` and answers the message that comes; the message. */
async function answering(answer: string | undefined, body: () => Promise<unknown>): Promise<string[]> {
  let told: string[] | undefined;
  const show = (...message: string[]) => {
    told = message;
    return Promise.resolve(answer);
  };
  await replacing(vscode.window, "showInformationMessage", show, body);
  return until("a message", () => told);
}

describe("open", () => {
  beforeEach(() => setMachines([machine("alpha"), machine("stopped", { state: "stopped" })]));
  afterEach(() =>
    // Asked again until they are gone: a terminal that is still being made does not hear the first time.
    until("closed terminals", () => {
      for (const terminal of vscode.window.terminals) {
        terminal.dispose();
      }
      return vscode.window.terminals.length === 0;
    }),
  );

  for (const id of ["ms-vscode-remote.remote-ssh", "jeanp413.open-remote-ssh", "google.antigravity-remote-openssh"]) {
    it(`opens the machine's folder through ${id}`, async () => {
      const calls = await recording([id], async () => vscode.commands.executeCommand("codchi.openMachine", "alpha"));
      assert.deepEqual(calls, [
        ["vscode.openFolder", "vscode-remote://ssh-remote+codchi-alpha/home/codchi/sample", { forceNewWindow: true }],
      ]);
    });
  }

  it("opens a distribution of WSL through its extension, and offers that where there is none", async () => {
    await setMachines([machine("windows", { driver: "wsl" })]);
    const open = async () => vscode.commands.executeCommand("codchi.openMachine", "windows");
    const folder = ["vscode.openFolder", "vscode-remote://wsl+codchi-windows/home/codchi/sample", { forceNewWindow: true }];
    assert.deepEqual(await recording(["ms-vscode-remote.remote-wsl"], open), [folder]);
    const calls = await recording(["ms-vscode-remote.remote-ssh"], async () => {
      await answering("Install WSL", open);
    });
    assert.deepEqual(calls, [["workbench.extensions.search", "jeanp413.open-remote-wsl"]]);
  });

  it("opens no folder without an SSH extension, says so, and opens a terminal where one is wanted", async () => {
    let told: string[] = [];
    const calls = await recording([], async () => {
      told = await answering("Open Terminal", async () => vscode.commands.executeCommand("codchi.openMachine", "alpha"));
    });
    assert.deepEqual(calls, []);
    assert.match(told[0] ?? "", /needs a Remote - SSH extension, and none is installed/);
    assert.deepEqual(told.slice(1), ["Open Terminal", "Install Remote - SSH"]);
    const terminal = await until("the terminal", () => vscode.window.terminals.find(({ name }) => name === "codchi: alpha"));
    const { shellPath, shellArgs } = terminal.creationOptions as vscode.TerminalOptions;
    assert.match(shellPath ?? "", /\/codchi$/);
    assert.deepEqual(shellArgs, ["exec", "alpha"]);
  });

  it("goes to the marketplace where the person wants the SSH extension", async () => {
    const calls = await recording([], async () => {
      await answering("Install Remote - SSH", async () => vscode.commands.executeCommand("codchi.openMachine", "alpha"));
    });
    assert.deepEqual(calls, [["workbench.extensions.search", "jeanp413.open-remote-ssh"]]);
  });

  it("opens no folder where the SSH configuration may not be touched, and says so", async () => {
    let told: string[] = [];
    const calls = await recording(["ms-vscode-remote.remote-ssh"], async () => {
      told = await answering(undefined, async () => vscode.commands.executeCommand("codchi.openMachine", "stopped"));
    });
    assert.deepEqual(calls, []);
    assert.match(told[0] ?? "", /which codchi may not touch/);
    assert.deepEqual(told.slice(1), ["Open Terminal", "Open Settings"]);
  });

  it("makes a machine of the module that a file belongs to", async () => {
    forget();
    const file = vscode.Uri.file(`${workspaceFolder()}/other/codchi.nix`);
    const calls = await recording(["ms-vscode-remote.remote-ssh"], async () =>
      vscode.commands.executeCommand("codchi.openMachine", file),
    );
    assert.deepEqual(commandsSent().map(({ argument }) => argument), [{ module: `${workspaceFolder()}/other` }]);
    assert.equal(calls.length, 1);
  });

  it("takes the machine that was made of a file's module", async () => {
    await setMachines([machine("alpha"), machine("beta", { moduleFolders: [`${workspaceFolder()}/other`] })]);
    forget();
    const file = vscode.Uri.file(`${workspaceFolder()}/other/codchi.nix`);
    await recording(["ms-vscode-remote.remote-ssh"], async () => vscode.commands.executeCommand("codchi.openMachine", file));
    assert.deepEqual(commandsSent().map(({ argument }) => argument), [{ name: "beta" }]);
  });

  it("opens one terminal for a machine, however often it is asked", async () => {
    await vscode.commands.executeCommand("codchi.openTerminal", "alpha");
    await vscode.commands.executeCommand("codchi.openTerminal", "alpha");
    assert.equal(vscode.window.terminals.filter(({ name }) => name === "codchi: alpha").length, 1);
  });
});
