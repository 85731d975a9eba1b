// Finding the program, telling that there is none, and what is sent to it.

import * as assert from "node:assert/strict";
import * as vscode from "vscode";
import { extension, machine, readWorld, replacing, setMachines, until, worldFolder } from "./world";

const settings = () => vscode.workspace.getConfiguration("codchi");
const global = vscode.ConfigurationTarget.Global;

describe("server", () => {
  it("starts, announces that it can ask, and sends the settings", async () => {
    await extension();
    const initialize = readWorld<{
      capabilities: { experimental?: unknown };
      initializationOptions: unknown;
    }>("initialize.json");
    assert.deepEqual(initialize?.capabilities.experimental, { codchi: { input: true, evaluation: true } });
    assert.deepEqual(initialize.initializationOptions, { sshConfig: null });
  });

  it("is told changed settings", async () => {
    await extension();
    try {
      await settings().update("nixpkgs", "github:NixOS/nixpkgs", global);
      await settings().update("personalModules", ["~/nix/me"], global);
      await settings().update("sshConfig", "never", global);
      await settings().update("evaluation", "lenient", global);
      await settings().update("diagnostics", { "no-effect": "off" }, global);
      await settings().update("formatter", ["nixfmt", "--width=80"], global);
      const codchi = {
        nixpkgs: "github:NixOS/nixpkgs",
        personalModules: ["~/nix/me"],
        sshConfig: false,
        evaluation: "lenient",
        diagnostics: { "no-effect": "off" },
        formatter: ["nixfmt", "--width=80"],
      };
      const expected = { settings: { codchi } };
      await until("the settings", () => {
        try {
          assert.deepEqual(readWorld("configuration.json"), expected);
          return true;
        } catch {
          return false;
        }
      });
    } finally {
      await settings().update("nixpkgs", undefined, global);
      await settings().update("personalModules", undefined, global);
      await settings().update("sshConfig", undefined, global);
      await settings().update("evaluation", undefined, global);
      await settings().update("diagnostics", undefined, global);
      await settings().update("formatter", undefined, global);
    }
  });

  it("that is not there is told with a way to the setting, and comes back when the setting is right", async () => {
    const { ctx } = await extension();
    const told: unknown[][] = [];
    const opened: unknown[][] = [];
    const wrong = `${worldFolder}/nowhere`;
    const right = settings().get<string>("server.path");
    const execute = vscode.commands.executeCommand;
    await replacing(
      vscode.window,
      "showErrorMessage",
      (...message: unknown[]) => {
        told.push(message);
        return Promise.resolve("Open Settings");
      },
      () =>
        replacing(
          vscode.commands,
          "executeCommand",
          (...call: unknown[]) => {
            if (call[0] === "workbench.action.openSettings") {
              opened.push(call);
              return Promise.resolve();
            }
            return execute(...(call as [string]));
          },
          async () => {
            await settings().update("server.path", wrong, global);
            await until("the message", () => told.length > 0 && opened.length > 0);
          },
        ),
    );
    assert.match(String(told[0]?.[0]), /setting codchi\.server\.path names .*nowhere, which does not exist/);
    assert.deepEqual(told[0]?.slice(1), ["Open Settings", "Show Server Output"]);
    assert.deepEqual(opened, [["workbench.action.openSettings", "codchi.server.path"]]);
    assert.equal(ctx.state, "missing");
    await settings().update("server.path", right, global);
    await until("a running server", () => ctx.state === "running");
  });

  it("that exists and does not run is told so", async () => {
    const { ctx } = await extension();
    const told: string[] = [];
    const right = settings().get<string>("server.path");
    await replacing(
      vscode.window,
      "showErrorMessage",
      (message: string) => {
        told.push(message);
        return Promise.resolve(undefined);
      },
      async () => {
        await settings().update("server.path", "/bin/false", global);
        await until("the message", () => told.length > 0);
      },
    );
    assert.match(told[0] ?? "", /\/bin\/false, which does not run/);
    await settings().update("server.path", right, global);
    await until("a running server", () => ctx.state === "running");
  });

  it("can be restarted, and tells the machines anew", async () => {
    const { ctx } = await setMachines([machine("alpha")]);
    const before = ctx.client;
    await vscode.commands.executeCommand("codchi.restartServer");
    assert.notEqual(ctx.client, before);
    await until("the machines", () => ctx.machine("alpha"));
  });

  it("offers all commands in the palette under the names that people know", async () => {
    const manifest = vscode.extensions.getExtension("codchi.codchi")?.packageJSON as {
      contributes: { commands: { command: string; title: string; category: string }[] };
    };
    const titles = new Map(manifest.contributes.commands.map(({ command, title }) => [command, title]));
    assert.equal(titles.get("codchi.openMachine"), "Open in Code Machine");
    assert.equal(titles.get("codchi.createMachine"), "Create Code Machine");
    const registered = new Set(await vscode.commands.getCommands(true));
    for (const { command, category } of manifest.contributes.commands) {
      assert.ok(registered.has(command), `${command} is declared and not there`);
      assert.equal(category, "Codchi");
    }
  });
});
