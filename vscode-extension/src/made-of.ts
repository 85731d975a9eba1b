// Commands about what a machine is made of: its modules, its nixpkgs, newer revisions of both.

import * as vscode from "vscode";
import { type MachineArgument, choose, trusted } from "./commands";
import type { Ctx } from "./ctx";
import { findModules } from "./folder";
import { pickModule } from "./pick-module";
import type { InputChange, Revision, Updated } from "./protocol";
import { run } from "./run";

/** What stands for the person's own modules in the pick list: no module is written so. */
const PERSONAL = "";

export async function addModule(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "To which code machine shall a module be added?");
  if (machine === undefined || !(await trusted())) {
    return;
  }
  const found = (await findModules()).filter((module) => !machine.modules.includes(module));
  const personal = { label: "My Personal Modules", icon: "account", source: PERSONAL };
  const module = await pickModule(found, `Add a Module to ${machine.name}`, [personal]);
  if (module !== undefined) {
    const { name } = machine;
    await run(ctx, "codchi.module.add", module === PERSONAL ? { name, personal: true } : { name, modules: [module] });
  }
}

/** Takes a module from elsewhere, as from a local clone. */
export async function setModule(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "A module of which code machine shall be taken from elsewhere?");
  if (machine === undefined || !(await trusted())) {
    return;
  }
  const module = moduleOf(argument);
  const source = await pickModule(
    (await findModules()).filter((found) => !machine.modules.includes(found)),
    module === undefined ? `Take a Module of ${machine.name} from Elsewhere` : `Take ${module} from Elsewhere`,
  );
  if (source !== undefined) {
    await run(ctx, "codchi.module.set", { name: machine.name, source, ...(module === undefined ? {} : { module }) });
  }
}

export async function removeModule(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "From which code machine shall a module be removed?");
  if (machine !== undefined && (await trusted())) {
    const module = moduleOf(argument);
    await run(ctx, "codchi.module.remove", { name: machine.name, ...(module === undefined ? {} : { module }) });
  }
}

export async function chooseNixpkgs(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "The nixpkgs of which code machine?");
  if (machine !== undefined && (await trusted())) {
    await run(ctx, "codchi.machine.nixpkgs", { name: machine.name });
  }
}

export async function updateMachine(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "Which code machine shall be updated?");
  if (machine === undefined || !(await trusted())) {
    return;
  }
  const module = moduleOf(argument);
  const updated = await run(ctx, "codchi.machine.update", {
    name: machine.name,
    ...(module === undefined ? {} : { module }),
  });
  if (updated !== undefined) {
    // Not awaited: the notification may stay for as long as the person likes.
    void tellUpdated(ctx, machine.name, updated);
  }
}

async function tellUpdated(ctx: Ctx, name: string, { machines }: Updated): Promise<void> {
  const changes = machines.flatMap((machine) => machine.changes).filter((change) => !isSame(change));
  if (changes.length === 0) {
    void vscode.window.showInformationMessage(`Nothing newer is there for code machine ${name}.`);
    return;
  }
  const rebuild = "Rebuild";
  const lines = changes.map((change) => `${change.name}: ${text(change.from)} → ${text(change.to)}`);
  const message = `Newer revisions are locked for code machine ${name}: ${lines.join("; ")}.`;
  if ((await vscode.window.showInformationMessage(message, rebuild)) === rebuild) {
    await run(ctx, "codchi.machine.rebuild", { name });
  }
}

function isSame({ from, to }: InputChange): boolean {
  return from?.hash === to?.hash && from?.commit === to?.commit;
}

/** Day and short commit, or else the hash. */
function text(revision: Revision | null): string {
  if (revision === null) {
    return "nothing";
  }
  const { commit, date, hash } = revision;
  if (commit === null) {
    return hash ?? "unknown";
  }
  const day = date === null ? "" : `${new Date(date * 1000).toISOString().slice(0, 10)} `;
  return `${day}${commit.slice(0, 7)}`;
}

/** The module that an entry of the tree is about. */
function moduleOf(argument: MachineArgument): string | undefined {
  return typeof argument === "object" && argument.kind === "module" ? argument.source : undefined;
}
