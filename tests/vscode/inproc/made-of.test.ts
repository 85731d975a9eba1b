// What a machine is made of, as a person changes it.

import * as assert from "node:assert/strict";
import * as vscode from "vscode";
import { commandsSent, forget, machine, replacing, setMachines, until, workspaceFolder } from "./world";

const remote = "https://example.org/team/project#default";

/** Picks the entry with this label of every list; the labels that were offered last. */
async function picking(label: string, body: () => Promise<unknown>): Promise<string[]> {
  let labels: string[] = [];
  const pick = (items: vscode.QuickPickItem[]) => {
    labels = items.map((item) => item.label);
    return Promise.resolve(items.find((item) => item.label === label));
  };
  await replacing(vscode.window, "showQuickPick", pick as never, body);
  return labels;
}

describe("made of", () => {
  beforeEach(async () => {
    await setMachines([machine("alpha", { modules: [workspaceFolder(), remote] })]);
    forget();
  });

  it("adds a module that the machine lacks, a git URL, or the person's own", async () => {
    const input = () => Promise.resolve("https://example.org/tools");
    const labels = await replacing(vscode.window, "showInputBox", input as never, () =>
      picking("Enter a Git URL…", async () => vscode.commands.executeCommand("codchi.addModule", "alpha")),
    );
    assert.deepEqual(labels, ["other", "Choose a Folder…", "Enter a Git URL…", "My Personal Modules"]);
    await picking("My Personal Modules", async () => vscode.commands.executeCommand("codchi.addModule", "alpha"));
    assert.deepEqual(
      commandsSent().map(({ command, argument }) => [command, argument]),
      [
        ["codchi.module.add", { name: "alpha", modules: ["https://example.org/tools"] }],
        ["codchi.module.add", { name: "alpha", personal: true }],
      ],
    );
  });

  it("takes a module of the tree from elsewhere, or removes it", async () => {
    const { view } = await setMachines([machine("alpha", { modules: [remote] })]);
    forget();
    const [node] = (await view.getChildren(view.getChildren()[0])).filter(({ kind }) => kind === "module");
    await picking("other", async () => vscode.commands.executeCommand("codchi.setModule", node));
    await vscode.commands.executeCommand("codchi.removeModule", node);
    // From the palette, the server asks which.
    await vscode.commands.executeCommand("codchi.removeModule");
    assert.deepEqual(
      commandsSent().map(({ command, argument }) => [command, argument]),
      [
        ["codchi.module.set", { name: "alpha", source: `${workspaceFolder()}/other`, module: remote }],
        ["codchi.module.remove", { name: "alpha", module: remote }],
        ["codchi.module.remove", { name: "alpha" }],
      ],
    );
  });

  it("says from what to what it updated, and rebuilds where the person wants that", async () => {
    let told: string[] = [];
    const show = (...message: string[]) => {
      told = message;
      return Promise.resolve("Rebuild");
    };
    await replacing(vscode.window, "showInformationMessage", show, async () => {
      await vscode.commands.executeCommand("codchi.updateMachine", "alpha");
      await until("the rebuild", () => commandsSent().some(({ command }) => command === "codchi.machine.rebuild"));
    });
    assert.deepEqual(told, [
      `Newer revisions are locked for code machine alpha: ${remote}: 2025-11-03 0123456 → 2025-11-05 abcdef0.`,
      "Rebuild",
    ]);
  });

  it("says that there is nothing newer", async () => {
    await setMachines([machine("newest")]);
    let told: string[] = [];
    const show = (...message: string[]) => {
      told = message;
      return Promise.resolve(undefined);
    };
    await replacing(vscode.window, "showInformationMessage", show, async () => {
      await vscode.commands.executeCommand("codchi.updateMachine", "newest");
      await until("the message", () => told.length > 0);
    });
    assert.deepEqual(told, ["Nothing newer is there for code machine newest."]);
  });

  it("lets the server ask for the nixpkgs", async () => {
    await vscode.commands.executeCommand("codchi.chooseNixpkgs", "alpha");
    assert.deepEqual(commandsSent()[0]?.argument, { name: "alpha" });
  });
});
