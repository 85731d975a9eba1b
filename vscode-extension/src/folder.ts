// What this window's folders have to do with machines: which machine is theirs, and which modules are in them.

import { existsSync, realpathSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative } from "node:path";
import * as vscode from "vscode";
import type { MachineStatus } from "./protocol";
import { remoteMachine } from "./remote-folder";

/** The machines of this window's folders: their project or one of their modules is in a folder, or holds it. */
export function folderMachines(machines: readonly MachineStatus[]): MachineStatus[] {
  const inside = remoteMachine();
  if (inside !== undefined) {
    return machines.filter((machine) => machine.name === inside);
  }
  const folders = localFolders();
  return machines.filter((machine) =>
    [machine.project ?? [], machine.moduleFolders]
      .flat()
      .some((theirs) => folders.some((ours) => holds(ours, theirs) || holds(theirs, ours))),
  );
}

/** The machines that a module was made into. */
export function moduleMachines(machines: readonly MachineStatus[], module: string): MachineStatus[] {
  const folder = module.endsWith(".nix") ? dirname(module) : module;
  return machines.filter((machine) => machine.moduleFolders.some((theirs) => theirs === folder || theirs === real(folder)));
}

function localFolders(): string[] {
  return (vscode.workspace.workspaceFolders ?? [])
    .filter(({ uri }) => uri.scheme === "file")
    .flatMap(({ uri }) => [...new Set([uri.fsPath, real(uri.fsPath)])]);
}

function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function holds(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === "" || (!way.startsWith("..") && !isAbsolute(way));
}

/**
 * The source of the module that a file belongs to: its folder where codchi would take this very file from it, else
 * the file.
 */
export function moduleOf(file: string): string {
  const folder = dirname(file);
  const name = basename(file);
  const folderIsModule = name === "flake.nix" || (name === "codchi.nix" && !existsSync(join(folder, "flake.nix")));
  return folderIsModule ? folder : file;
}

/** The modules in this window's folders, the one in the active editor first. */
export async function findModules(): Promise<string[]> {
  const found = await vscode.workspace.findFiles("**/{codchi,flake}.nix", "**/{node_modules,target,result,.direnv}/**", 100);
  const files = found.filter(({ scheme }) => scheme === "file").map(({ fsPath }) => fsPath);
  // A codchi.nix beside a flake.nix is what the flake's output is made of: one module, not two.
  const modules = files
    .filter((file) => !(basename(file) === "codchi.nix" && files.includes(join(dirname(file), "flake.nix"))))
    .map(moduleOf)
    .sort((a, b) => a.length - b.length || a.localeCompare(b));
  const active = vscode.window.activeTextEditor?.document.uri;
  const first = active?.scheme === "file" ? modules.find((module) => module === moduleOf(active.fsPath)) : undefined;
  return [...new Set(first === undefined ? modules : [first, ...modules])];
}
