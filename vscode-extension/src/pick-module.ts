// Where a module comes from: one that the editor has found, a folder, a git URL, or what else a command offers.

import { basename } from "node:path";
import * as vscode from "vscode";

/** An entry of the list beside the modules. */
export interface OtherModule {
  label: string;
  icon: string;
  source: string;
}

/** Asks for a module; undefined where the person closed the question. */
export async function pickModule(modules: string[], title: string, others: OtherModule[] = []): Promise<string | undefined> {
  const folder = { label: "Choose a Folder…", iconPath: new vscode.ThemeIcon("folder-opened"), source: () => pickFolder(title) };
  const url = { label: "Enter a Git URL…", iconPath: new vscode.ThemeIcon("repo"), source: () => enterUrl(title) };
  const items = modules.map((module) => ({
    label: basename(module),
    description: vscode.workspace.asRelativePath(module, true) === basename(module) ? "" : module,
    iconPath: new vscode.ThemeIcon("package"),
    source: () => Promise.resolve<string | undefined>(module),
  }));
  const more = others.map(({ label, icon, source }) => ({
    label,
    iconPath: new vscode.ThemeIcon(icon),
    source: () => Promise.resolve<string | undefined>(source),
  }));
  const picked = await vscode.window.showQuickPick([...items, folder, url, ...more], {
    title,
    placeHolder: "Which codchi module?",
    matchOnDescription: true,
  });
  return picked?.source();
}

async function pickFolder(title: string): Promise<string | undefined> {
  const [folder] =
    (await vscode.window.showOpenDialog({
      canSelectFiles: false,
      canSelectFolders: true,
      openLabel: title,
      title: "Folder with a codchi module",
    })) ?? [];
  return folder?.fsPath;
}

async function enterUrl(title: string): Promise<string | undefined> {
  return vscode.window.showInputBox({
    title,
    prompt: "Git URL of a repository with a codchi module; #OUTPUT takes one of several",
    placeHolder: "https://example.org/team/project#default",
    ignoreFocusOut: true,
  });
}
