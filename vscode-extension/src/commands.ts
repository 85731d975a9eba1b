// One function per command of the palette and the tree; main.ts gives them their names.

import * as vscode from "vscode";
import type { Ctx } from "./ctx";
import { showChecks } from "./doctor";
import { findModules, folderMachines, moduleMachines, moduleOf } from "./folder";
import { pickItem } from "./machine-texts";
import type { Node } from "./machines-view";
import { openWindow } from "./open";
import { pickModule } from "./pick-module";
import { previewRebuild } from "./preview";
import type { MachineStatus, Params } from "./protocol";
import { run, showFile } from "./run";
import { setValue } from "./secrets";
import { openTerminal as openTerminalIn } from "./terminal";

/** What a pick list of modules is called where a machine is made of one. */
const CREATE = "Create Code Machine";

/** What a command about a machine may be given: an entry of the tree, a name, or nothing. */
export type MachineArgument = Node | string | undefined;

export async function openMachine(ctx: Ctx, argument?: MachineArgument | vscode.Uri): Promise<void> {
  if (argument instanceof vscode.Uri) {
    const module = moduleOf(argument.fsPath);
    const machine = await pick(moduleMachines(ctx.machines, module), "Which code machine of this module?");
    return machine === "closed" ? undefined : open(ctx, machine === "none" ? { module } : { name: machine.name });
  }
  const known = given(ctx, argument);
  if (known !== undefined) {
    return open(ctx, { name: known.name });
  }
  const ours = await pick(folderMachines(ctx.machines), "Which code machine of this folder?");
  if (ours !== "none") {
    return ours === "closed" ? undefined : open(ctx, { name: ours.name });
  }
  const [only, ...more] = await findModules();
  if (only !== undefined) {
    const module = more.length === 0 ? only : await pickModule([only, ...more], CREATE);
    return module === undefined ? undefined : open(ctx, { module });
  }
  const any = await pick(ctx.machines, "Which code machine?");
  if (any === "none") {
    void tellNoMachines();
  } else if (any !== "closed") {
    await open(ctx, { name: any.name });
  }
}

async function open(ctx: Ctx, params: Params<"codchi.machine.open">): Promise<void> {
  const attach = (await trusted()) ? await run(ctx, "codchi.machine.open", params) : undefined;
  if (attach !== undefined) {
    await openWindow(ctx, attach);
  }
}

export async function createMachine(ctx: Ctx, file?: vscode.Uri): Promise<void> {
  if (!(await trusted())) {
    return;
  }
  const module = file instanceof vscode.Uri ? moduleOf(file.fsPath) : await chooseModule();
  if (module !== undefined) {
    await create(ctx, { module });
  }
}

async function create(ctx: Ctx, params: Params<"codchi.machine.create">): Promise<void> {
  const created = await run(ctx, "codchi.machine.create", params);
  if (created !== undefined) {
    void tellCreated(ctx, created.name);
  }
}

async function tellCreated(ctx: Ctx, name: string): Promise<void> {
  const window = "Open in Code Machine";
  const terminal = "Open Terminal";
  const choice = await vscode.window.showInformationMessage(`Code machine ${name} is running.`, window, terminal);
  if (choice === window) {
    await openMachine(ctx, name);
  } else if (choice === terminal) {
    openTerminalIn(ctx, name);
  }
}

export async function rebuildMachine(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "Which code machine shall be rebuilt?");
  if (machine !== undefined && (await trusted())) {
    await run(ctx, "codchi.machine.rebuild", { name: machine.name });
  }
}

export async function startMachine(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "Which code machine shall be started?", ({ state }) => state !== "running");
  if (machine !== undefined) {
    await run(ctx, "codchi.machine.start", { name: machine.name });
  }
}

export async function stopMachine(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "Which code machine shall be stopped?", ({ state }) => state !== "stopped");
  if (machine !== undefined) {
    await run(ctx, "codchi.machine.stop", { name: machine.name });
  }
}

export async function deleteMachine(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "Which code machine shall be deleted?", undefined, "always ask");
  if (machine !== undefined) {
    await run(ctx, "codchi.machine.delete", { name: machine.name });
  }
}

/** The machine of a terminal that is opened as a profile. */
export async function chooseForTerminal(ctx: Ctx, argument?: MachineArgument): Promise<MachineStatus | undefined> {
  return choose(ctx, argument, "A terminal in which code machine?");
}

export async function openTerminal(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await chooseForTerminal(ctx, argument);
  if (machine !== undefined) {
    openTerminalIn(ctx, machine.name);
  }
}

export async function showLog(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  // A link in a progress notification may not know the name yet: then what is under way is meant.
  const busy = ctx.machines.filter(({ state }) => state === "busy");
  const name = typeof argument === "string" ? argument : argument === undefined && busy.length === 1 ? busy[0]?.name : undefined;
  const chosen = name ?? (await choose(ctx, argument, "The log of which code machine?"))?.name;
  if (chosen === undefined) {
    return;
  }
  const log = await run(ctx, "codchi.machine.log", { name: chosen });
  if (typeof log?.path === "string") {
    await showFile(log.path);
  } else if (log !== undefined) {
    void vscode.window.showInformationMessage(`Code machine ${chosen} has no log yet.`);
  }
}

export async function doctor(ctx: Ctx): Promise<void> {
  const result = await run(ctx, "codchi.doctor", {});
  if (result !== undefined) {
    await showChecks(result.checks);
  }
}

export async function refresh(ctx: Ctx): Promise<void> {
  const machines = await run(ctx, "codchi.machine.list", {});
  if (machines !== undefined) {
    ctx.setMachines(machines);
  }
}

export async function restartServer(ctx: Ctx): Promise<void> {
  await ctx.restart();
}

export function showServerOutput(ctx: Ctx): void {
  ctx.output.show();
}

/** The menu of the status bar item. */
export async function showMachineMenu(ctx: Ctx): Promise<void> {
  const machine = await pick(folderMachines(ctx.machines), "Which code machine?");
  const chosen = machine === "none" ? await choose(ctx, undefined, "Which code machine?") : machine;
  if (chosen === undefined || chosen === "closed") {
    return;
  }
  const { name, state } = chosen;
  const idle = state !== "busy";
  const entries: [icon: string, label: string, command: string, when: boolean][] = [
    ["vm-connect", "Open in Code Machine", "codchi.openMachine", idle],
    ["terminal", "Open Terminal", "codchi.openTerminal", idle],
    ["tools", "Rebuild", "codchi.rebuildMachine", idle],
    ["cloud-download", "Update", "codchi.updateMachine", idle],
    ["package", "Add Module", "codchi.addModule", idle],
    ["diff", "Preview Rebuild", "codchi.previewRebuild", idle],
    ["history", "Roll Back…", "codchi.rollBack", idle && chosen.generation > 0],
    ["debug-start", "Start", "codchi.startMachine", idle && state !== "running"],
    ["debug-stop", "Stop", "codchi.stopMachine", state === "running"],
    ["key", "Set Secret", "codchi.setSecret", chosen.secrets.length > 0],
    ["output", "Show Log", "codchi.showLog", true],
    ["edit", "Rename", "codchi.renameMachine", idle],
    ["copy", "Duplicate", "codchi.duplicateMachine", idle],
    ["save-as", "Export", "codchi.exportMachine", idle],
    ["trash", "Delete", "codchi.deleteMachine", idle],
  ];
  const items = entries
    .filter(([, , , when]) => when)
    .map(([icon, label, command]) => ({ label, iconPath: new vscode.ThemeIcon(icon), command }));
  const action = await vscode.window.showQuickPick(items, { title: `Code Machine ${name}` });
  if (action !== undefined) {
    await vscode.commands.executeCommand(action.command, name);
  }
}

/** Runs a command that a lens or a code action of the server names, as if the person had chosen it in the palette. */
export async function runServerCommand(ctx: Ctx, command: string, args: unknown[]): Promise<unknown> {
  // The server makes these arguments itself, in the form that the protocol gives them.
  const params = args[0] as never;
  switch (command) {
    case "codchi.machine.create":
      return (await trusted()) ? create(ctx, params) : undefined;
    case "codchi.machine.open":
      return open(ctx, params);
    case "codchi.machine.rebuild":
    case "codchi.machine.update":
    case "codchi.machine.nixpkgs":
    case "codchi.module.add":
    case "codchi.module.set":
    case "codchi.module.remove":
      return (await trusted()) ? run(ctx, command, params) : undefined;
    case "codchi.machine.preview":
      return previewRebuild(ctx, (params as Params<"codchi.machine.preview">).name);
    case "codchi.machine.log":
      return showLog(ctx, (params as Params<"codchi.machine.log">).name);
    case "codchi.secret.set":
      return setValue(ctx, params);
    case "codchi.doctor":
      return doctor(ctx);
    case "codchi.machine.list":
    case "codchi.machine.generations":
    case "codchi.machine.rollback":
    case "codchi.machine.discard":
    case "codchi.machine.start":
    case "codchi.machine.stop":
    case "codchi.machine.delete":
    case "codchi.machine.rename":
    case "codchi.machine.duplicate":
    case "codchi.machine.export":
    case "codchi.machine.exported":
    case "codchi.machine.import":
    case "codchi.machine.permit":
    case "codchi.module.list":
    case "codchi.gc":
    case "codchi.secret.rotate":
    case "codchi.secret.remove":
    case "codchi.secret.extract":
      return run(ctx, command, params);
    default:
      throw new Error(`The server offers the command ${command}, which this version of the extension does not know.`);
  }
}

/** The machine that is meant: the given one, else the one that there is, else the one that the person picks. */
export async function choose(
  ctx: Ctx,
  argument: MachineArgument,
  question: string,
  filter: (machine: MachineStatus) => boolean = () => true,
  ask: "where it is not clear" | "always ask" = "where it is not clear",
): Promise<MachineStatus | undefined> {
  const known = given(ctx, argument);
  if (known !== undefined) {
    return known;
  }
  if (ctx.machines.length === 0) {
    void tellNoMachines();
    return undefined;
  }
  const candidates = ctx.machines.filter(filter);
  if (candidates.length === 0) {
    void vscode.window.showInformationMessage("There is no code machine for which that would change anything.");
    return undefined;
  }
  const ours = folderMachines(candidates);
  const sorted = [...ours, ...candidates.filter((machine) => !ours.includes(machine))];
  const picked = await pick(sorted, question, ask);
  return typeof picked === "string" ? undefined : picked;
}

function given(ctx: Ctx, argument: MachineArgument): MachineStatus | undefined {
  return typeof argument === "string" ? ctx.machine(argument) : argument?.machine;
}

/** One of `machines`: the only one, or the one picked. */
async function pick(
  machines: readonly MachineStatus[],
  question: string,
  ask: "where it is not clear" | "always ask" = "where it is not clear",
): Promise<MachineStatus | "none" | "closed"> {
  const [first, ...more] = machines;
  if (first === undefined) {
    return "none";
  }
  if (more.length === 0 && ask === "where it is not clear") {
    return first;
  }
  const picked = await vscode.window.showQuickPick(machines.map(pickItem), { placeHolder: question, matchOnDetail: true });
  return picked?.machine ?? "closed";
}

/** The module to make a machine of: the folder's, or what the person says. */
async function chooseModule(): Promise<string | undefined> {
  const modules = await findModules();
  return modules.length === 1 ? modules[0] : pickModule(modules, CREATE);
}

async function tellNoMachines(): Promise<void> {
  const create = "Create Code Machine";
  if ((await vscode.window.showInformationMessage("There is no code machine yet.", create)) === create) {
    await vscode.commands.executeCommand("codchi.createMachine");
  }
}

/** Building a machine runs what the folder's files say, so the person must trust them. */
export async function trusted(): Promise<boolean> {
  if (vscode.workspace.isTrusted) {
    return true;
  }
  const manage = "Manage Workspace Trust";
  const message = "A code machine runs what the files of this folder say. Trust the folder to make one of it.";
  if ((await vscode.window.showWarningMessage(message, manage)) === manage) {
    await vscode.commands.executeCommand("workbench.trust.manage");
  }
  return vscode.workspace.isTrusted;
}
