// Renaming, duplicating, exporting and importing.

import * as assert from "node:assert/strict";
import * as vscode from "vscode";
import { commandsSent, forget, machine, replacing, setMachines } from "./world";

const sent = (command: string) => commandsSent().filter((one) => one.command === command);
const answering = async <T>(what: "showQuickPick" | "showSaveDialog" | "showOpenDialog", answer: T, work: () => Thenable<unknown>) =>
  replacing(vscode.window, what, () => Promise.resolve(answer) as never, async () => work());

describe("copies of a machine", () => {
  beforeEach(async () => {
    forget();
    await setMachines([machine("alpha")]);
  });

  it("leaves it to the server to ask for another name", async () => {
    await vscode.commands.executeCommand("codchi.renameMachine", "alpha");
    await vscode.commands.executeCommand("codchi.duplicateMachine", "alpha");
    assert.deepEqual(sent("codchi.machine.rename")[0]?.argument, { name: "alpha" });
    assert.deepEqual(sent("codchi.machine.duplicate")[0]?.argument, { name: "alpha" });
  });

  it("exports to the file that is chosen, with secrets only where that is", async () => {
    const file = vscode.Uri.file("/tmp/alpha.codchi");
    for (const secrets of [false, true]) {
      await answering("showQuickPick", { label: "", secrets }, async () =>
        answering("showSaveDialog", file, async () => vscode.commands.executeCommand("codchi.exportMachine", "alpha")),
      );
    }
    assert.deepEqual(
      sent("codchi.machine.export").map(({ argument }) => argument),
      [false, true].map((secrets) => ({ name: "alpha", file: file.fsPath, secrets })),
    );
  });

  it("exports nothing where a question is closed", async () => {
    await answering("showQuickPick", undefined, async () => vscode.commands.executeCommand("codchi.exportMachine", "alpha"));
    assert.deepEqual(sent("codchi.machine.export"), []);
  });

  it("imports, and asks for the project's folder only where it is not there", async () => {
    const open = async (file: string) =>
      answering("showOpenDialog", [vscode.Uri.file(file)], async () => vscode.commands.executeCommand("codchi.importMachine"));
    await open("/tmp/here.codchi");
    await open("/tmp/moved.codchi");
    assert.deepEqual(
      sent("codchi.machine.import").map(({ argument }) => argument),
      [{ file: "/tmp/here.codchi" }, { file: "/tmp/moved.codchi", project: "/tmp/moved.codchi" }],
    );
  });
});
