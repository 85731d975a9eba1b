// Generations in the tree, rolling back, and the preview of a rebuild.

import * as assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as vscode from "vscode";
import type { Node } from "../../../vscode-extension/src/machines-view";
import { commandsSent, forget, machine, replacing, setMachines, until, worldFolder } from "./world";

/** The entries below the only machine's generations. */
async function generations(): Promise<{ nodes: Node[]; items: vscode.TreeItem[] }> {
  const { view } = await setMachines([machine("alpha", { generation: 2 })]);
  const below = await view.getChildren(view.getChildren()[0]);
  const nodes = await view.getChildren(below.find(({ kind }) => kind === "generations"));
  return { nodes, items: nodes.map((node) => view.getTreeItem(node)) };
}

const sent = (command: string) => commandsSent().filter((one) => one.command === command);

describe("generations", () => {
  beforeEach(forget);

  it("lists the newest first, and the current one cannot be rolled back to or deleted", async () => {
    const { items } = await generations();
    assert.deepEqual(
      items.map(({ label, contextValue }) => [label, contextValue]),
      [
        ["Generation 2", "generation.current"],
        ["Generation 1", "generation"],
      ],
    );
    assert.match(String(items[0]?.description), /^current · /);
    assert.equal(items[0]?.tooltip, "1 package added");
  });

  it("rolls back to and deletes the one that was clicked", async () => {
    const { nodes } = await generations();
    await vscode.commands.executeCommand("codchi.rollBackToGeneration", nodes[1]);
    assert.deepEqual(sent("codchi.machine.rollback")[0]?.argument, { name: "alpha", generation: 1 });
    await vscode.commands.executeCommand("codchi.deleteGeneration", nodes[1]);
    assert.deepEqual(sent("codchi.machine.discard")[0]?.argument, { name: "alpha", generations: [1] });
  });

  it("asks to which generation, and offers only others", async () => {
    await setMachines([machine("alpha", { generation: 2 })]);
    let offered: vscode.QuickPickItem[] = [];
    const pick = (items: vscode.QuickPickItem[]) => {
      offered = items;
      return Promise.resolve(items[0]);
    };
    await replacing(vscode.window, "showQuickPick", pick, async () => vscode.commands.executeCommand("codchi.rollBack", "alpha"));
    assert.deepEqual(
      offered.map(({ label }) => label),
      ["Generation 1"],
    );
    assert.deepEqual(sent("codchi.machine.rollback")[0]?.argument, { name: "alpha", generation: 1 });
  });

  it("shows a preview as a document, and compares once it may build", async () => {
    await setMachines([machine("alpha")]);
    const yes = (_message: string, button: string) => Promise.resolve(button);
    await replacing(vscode.window, "showInformationMessage", yes, async () => {
      await vscode.commands.executeCommand("codchi.previewRebuild", "alpha");
      await until("the comparison", () => sent("codchi.machine.preview").length === 2);
    });
    assert.deepEqual(
      sent("codchi.machine.preview").map(({ argument }) => argument["build"]),
      [false, true],
    );
    const uri = vscode.Uri.from({ scheme: "codchi-preview", path: "/Rebuild of alpha.md" });
    const text = async () => (await vscode.workspace.openTextDocument(uri)).getText();
    assert.match(await text(), /^# Rebuild of alpha\n/);
  });

  it("leads to the definition of what failed", async () => {
    await setMachines([machine("broken")]);
    writeFileSync(join(worldFolder, "codchi.nix"), "{\n  systemd.services.broken.script = \"exit 1\";\n}\n");
    const first = (_message: string, button: string) => Promise.resolve(button);
    await replacing(vscode.window, "showErrorMessage", first, async () => {
      await vscode.commands.executeCommand("codchi.previewRebuild", "broken");
      const editor = await until("the file", () => {
        const shown = vscode.window.activeTextEditor;
        return shown?.document.fileName.endsWith("codchi.nix") === true && shown.document.uri.fsPath.startsWith(worldFolder) && shown;
      });
      assert.deepEqual([editor.selection.active.line, editor.selection.active.character], [1, 2]);
    });
  });
});
