// A machine's generations: entries of the tree, and the commands that roll back to one or delete it.

import * as vscode from "vscode";
import { choose, type MachineArgument } from "./commands";
import type { Ctx } from "./ctx";
import { asWritten } from "./pick-text";
import type { GenerationStatus, MachineStatus } from "./protocol";
import { run } from "./run";

/** The entry of the tree below which a machine's generations are. */
export interface GenerationsNode {
  kind: "generations";
  machine: MachineStatus;
}

export interface GenerationNode {
  kind: "generation";
  machine: MachineStatus;
  generation: GenerationStatus;
}

/** What the server knows of them, the newest first; they are asked for when somebody looks. */
export async function generationNodes(ctx: Ctx, machine: MachineStatus): Promise<GenerationNode[]> {
  const answer = await run(ctx, "codchi.machine.generations", { name: machine.name });
  const newestFirst = [...(answer?.generations ?? [])].reverse();
  return newestFirst.map((generation) => ({ kind: "generation", machine, generation }));
}

export function generationsItem(machine: MachineStatus): vscode.TreeItem {
  const item = new vscode.TreeItem("Generations", vscode.TreeItemCollapsibleState.Collapsed);
  // With the generation: what was listed before another one became current is asked for anew.
  item.id = `${machine.name}/generations/${machine.generation}`;
  item.description = `current: ${machine.generation}`;
  item.iconPath = new vscode.ThemeIcon("history");
  item.contextValue = "generations";
  return item;
}

export function generationItem({ machine, generation }: GenerationNode): vscode.TreeItem {
  const { number, current, summary } = generation;
  const item = new vscode.TreeItem(`Generation ${number}`);
  item.id = `${machine.name}/generation/${number}`;
  item.description = [current ? "current" : "", date(generation)].filter((part) => part !== "").join(" · ");
  item.tooltip = summary === "" ? `Generation ${number}` : summary;
  item.iconPath = new vscode.ThemeIcon(current ? "circle-filled" : "circle-outline");
  item.contextValue = current ? "generation.current" : "generation";
  item.accessibilityInformation = { label: `generation ${number}, ${item.description}` };
  return item;
}

function date({ created }: GenerationStatus): string {
  return created === 0 ? "" : new Date(created * 1000).toLocaleString();
}

export async function rollBack(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "Which code machine shall be rolled back?");
  if (machine === undefined) {
    return;
  }
  const number = isGeneration(argument) ? argument.generation.number : await pickGeneration(ctx, machine);
  if (number !== undefined) {
    await run(ctx, "codchi.machine.rollback", { name: machine.name, generation: number });
  }
}

async function pickGeneration(ctx: Ctx, machine: MachineStatus): Promise<number | undefined> {
  const others = (await generationNodes(ctx, machine)).filter(({ generation }) => !generation.current);
  if (others.length === 0) {
    void vscode.window.showInformationMessage(`${machine.name} has no other generation.`);
    return undefined;
  }
  const items = others.map(({ generation }) => ({
    label: `Generation ${generation.number}`,
    description: date(generation),
    detail: asWritten(generation.summary),
    number: generation.number,
  }));
  const options = { title: `Roll Back ${machine.name}`, placeHolder: "To which generation?" };
  return (await vscode.window.showQuickPick(items, options))?.number;
}

export async function deleteGeneration(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  if (isGeneration(argument)) {
    const { machine, generation } = argument;
    await run(ctx, "codchi.machine.discard", { name: machine.name, generations: [generation.number] });
    ctx.setMachines(ctx.machines);
  }
}

function isGeneration(argument: MachineArgument): argument is GenerationNode {
  return typeof argument === "object" && argument.kind === "generation";
}
