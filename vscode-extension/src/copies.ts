// Machines under another name, as a copy, in a file and out of one.

import * as vscode from "vscode";
import { choose, type MachineArgument, trusted } from "./commands";
import type { Ctx } from "./ctx";
import { run } from "./run";

/** What an export is called. */
const FILTERS = { "Exported code machines": ["codchi"] };

export async function renameMachine(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "Which code machine shall be renamed?");
  if (machine !== undefined) {
    await run(ctx, "codchi.machine.rename", { name: machine.name });
  }
}

export async function duplicateMachine(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "Which code machine shall be duplicated?");
  if (machine !== undefined) {
    await run(ctx, "codchi.machine.duplicate", { name: machine.name });
  }
}

export async function exportMachine(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "Which code machine shall be exported?");
  if (machine === undefined) {
    return;
  }
  const { name } = machine;
  const secrets = await withSecrets(name);
  if (secrets === undefined) {
    return;
  }
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const suggested = folder === undefined ? {} : { defaultUri: vscode.Uri.joinPath(folder, "..", `${name}.codchi`) };
  const file = await vscode.window.showSaveDialog({ title: `Export ${name}`, filters: FILTERS, ...suggested });
  if (file === undefined) {
    return;
  }
  const done = await run(ctx, "codchi.machine.export", { name, file: file.fsPath, secrets });
  if (done !== undefined) {
    void vscode.window.showInformationMessage(`Code machine ${name} is in ${done.file}. The project folder is not in it.`);
  }
}

async function withSecrets(name: string): Promise<boolean | undefined> {
  const items = [
    { label: "Without secrets", detail: "They are asked for where the machine is imported.", secrets: false },
    { label: "With secrets", detail: "Encrypted to a passphrase that you choose.", secrets: true },
  ];
  return (await vscode.window.showQuickPick(items, { title: `Export ${name}` }))?.secrets;
}

export async function importMachine(ctx: Ctx): Promise<void> {
  if (!(await trusted())) {
    return;
  }
  const [picked] = (await vscode.window.showOpenDialog({ title: "Import Code Machine", filters: FILTERS })) ?? [];
  const file = picked?.fsPath;
  const exported = file === undefined ? undefined : await run(ctx, "codchi.machine.exported", { file });
  if (file === undefined || exported === undefined) {
    return;
  }
  let project: string | undefined;
  if (exported.project !== null && !exported.projectFound) {
    const title = `Where is ${exported.project} on this computer?`;
    const options = { title, canSelectFiles: false, canSelectFolders: true, openLabel: "Take This Folder" };
    project = (await vscode.window.showOpenDialog(options))?.[0]?.fsPath;
    if (project === undefined) {
      return;
    }
  }
  const imported = await run(ctx, "codchi.machine.import", { file, ...(project === undefined ? {} : { project }) });
  if (imported !== undefined) {
    void tellImported(imported.name);
  }
}

async function tellImported(name: string): Promise<void> {
  const open = "Open in Code Machine";
  if ((await vscode.window.showInformationMessage(`Code machine ${name} is imported.`, open)) === open) {
    await vscode.commands.executeCommand("codchi.openMachine", name);
  }
}
