// What a machine's state is called and looks like, the same in the tree, the status bar and the pick lists.

import * as vscode from "vscode";
import type { Drift, MachineStatus } from "./protocol";

const operations = {
  create: "creating",
  rebuild: "rebuilding",
  rollback: "rolling back",
  update: "updating",
  start: "starting",
  deliver: "delivering secrets",
  stop: "stopping",
  delete: "deleting",
  rename: "renaming",
  duplicate: "duplicating",
  export: "exporting",
  import: "importing",
} as const;

const icons = {
  running: ["vm-running", "testing.iconPassed"],
  stopped: ["vm-outline", "disabledForeground"],
  busy: ["loading~spin", undefined],
  interrupted: ["debug-pause", "list.warningForeground"],
  missing: ["circle-slash", "list.errorForeground"],
  unknown: ["question", "list.warningForeground"],
  orphaned: ["debug-disconnect", "list.warningForeground"],
} as const;

/** One word: the state, or what is being done. An interrupted machine names its operation too, but nobody is at it. */
export function stateText({ state, operation }: MachineStatus): string {
  return state === "busy" && operation !== null ? operations[operation] : state;
}

/** State and generation, e.g. `running · generation 3`; and what has changed since. */
export function description(machine: MachineStatus): string {
  if (machine.generation === 0) {
    return stateText(machine);
  }
  const told = (drift: Drift["kind"], text: string) => (machine.drift.some(({ kind }) => kind === drift) ? text : "");
  const generation = `${told("module-changed", "module changed since ")}generation ${machine.generation}`;
  const others = told("secrets-changed", " · secrets changed") + told("instance-changed", " · instance changed");
  return `${stateText(machine)} · ${generation}${others}`;
}

export function icon(machine: MachineStatus): vscode.ThemeIcon {
  const [id, color] = icons[machine.state];
  return color === undefined ? new vscode.ThemeIcon(id) : new vscode.ThemeIcon(id, new vscode.ThemeColor(color));
}

/** What is known of a machine, for a tooltip. */
export function details(machine: MachineStatus): vscode.MarkdownString {
  const text = new vscode.MarkdownString("", true);
  const row = (name: string, value: string) => {
    text.appendMarkdown(`\n\n${name}: `).appendText(value);
  };
  text.appendMarkdown("**").appendText(machine.name).appendMarkdown("** — ").appendText(description(machine));
  for (const problem of machine.problems) {
    text.appendMarkdown("\n\n$(warning) ").appendText(problem);
  }
  for (const { message } of machine.drift) {
    text.appendMarkdown("\n\n$(info) ").appendText(message);
  }
  if (machine.project !== null) {
    row("Project", `${machine.project} → ${machine.workspace}`);
  }
  row("Modules", machine.modules.join(", "));
  row("nixpkgs", machine.nixpkgs);
  row("Driver", machine.driver);
  row("SSH", `ssh ${machine.sshHost}`);
  return text;
}

/** A machine as an entry of a pick list. */
export function pickItem(machine: MachineStatus): vscode.QuickPickItem & { machine: MachineStatus } {
  return {
    machine,
    label: machine.name,
    description: description(machine),
    detail: machine.modules.join(", "),
    iconPath: icon(machine),
  };
}
