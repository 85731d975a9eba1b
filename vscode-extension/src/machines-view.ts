// The Code Machines view: machines, and below each what is wrong with it, its modules, its secrets and what it may have.

import { existsSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import * as vscode from "vscode";
import type { Ctx } from "./ctx";
import {
  type GenerationNode,
  type GenerationsNode,
  generationItem,
  generationNodes,
  generationsItem,
} from "./generations";
import { description, details, icon } from "./machine-texts";
import { type OfferNode, type OffersNode, offerItem, offerNodes, offersItem, offersNodes } from "./offers";
import type { Drift, MachineStatus } from "./protocol";
import { type SecretNode, type SecretsNode, secretItem, secretNodes, secretsItem } from "./secrets";

/** What stands in the view; what a command gets that is run from it. */
export type Node =
  | { kind: "machine"; machine: MachineStatus }
  | { kind: "problem"; machine: MachineStatus; text: string }
  | { kind: "drift"; machine: MachineStatus; drift: Drift }
  | { kind: "module"; machine: MachineStatus; source: string }
  | SecretsNode
  | SecretNode
  | OffersNode
  | OfferNode
  | GenerationsNode
  | GenerationNode;

export class MachinesView implements vscode.TreeDataProvider<Node>, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private readonly disposables: vscode.Disposable[];

  constructor(private readonly ctx: Ctx) {
    const view = vscode.window.createTreeView("codchi.machines", { treeDataProvider: this });
    this.disposables = [
      this.changed,
      view,
      ctx.onDidChange(() => {
        this.changed.fire();
      }),
    ];
  }

  getChildren(): Node[];
  getChildren(node?: Node): Node[] | Promise<Node[]>;
  getChildren(node?: Node): Node[] | Promise<Node[]> {
    if (node === undefined) {
      return this.ctx.machines.map((machine) => ({ kind: "machine", machine }));
    }
    if (node.kind === "generations") {
      return generationNodes(this.ctx, node.machine);
    }
    if (node.kind === "secrets") {
      return secretNodes(node.machine);
    }
    if (node.kind === "hostSecrets" || node.kind === "capabilities") {
      return offerNodes(node);
    }
    if (node.kind !== "machine") {
      return [];
    }
    const { machine } = node;
    return [
      ...machine.problems.map((text): Node => ({ kind: "problem", machine, text })),
      ...machine.drift.map((drift): Node => ({ kind: "drift", machine, drift })),
      ...machine.modules.map((source): Node => ({ kind: "module", machine, source })),
      ...(machine.secrets.length === 0 ? [] : [{ kind: "secrets", machine } as const]),
      ...offersNodes(machine),
      ...(machine.generation === 0 ? [] : [{ kind: "generations", machine } as const]),
    ];
  }

  getTreeItem(node: Node): vscode.TreeItem {
    switch (node.kind) {
      case "machine":
        return machineItem(node.machine);
      case "problem":
        return problemItem(node.machine, node.text);
      case "drift":
        return driftItem(node.machine, node.drift);
      case "module":
        return moduleItem(node.machine, node.source);
      case "secrets":
        return secretsItem(node.machine);
      case "secret":
        return secretItem(node);
      case "hostSecrets":
      case "capabilities":
        return offersItem(node);
      case "offer":
        return offerItem(node);
      case "generations":
        return generationsItem(node.machine);
      case "generation":
        return generationItem(node);
    }
  }

  dispose(): void {
    vscode.Disposable.from(...this.disposables).dispose();
  }
}

function machineItem(machine: MachineStatus): vscode.TreeItem {
  const item = new vscode.TreeItem(machine.name, vscode.TreeItemCollapsibleState.Collapsed);
  item.id = machine.name;
  item.description = description(machine);
  item.iconPath = icon(machine);
  item.tooltip = details(machine);
  item.contextValue = `machine.${machine.state}`;
  item.accessibilityInformation = { label: `${machine.name}, ${description(machine)}` };
  return item;
}

function problemItem(machine: MachineStatus, text: string): vscode.TreeItem {
  const item = new vscode.TreeItem(text);
  item.id = `${machine.name}/problem/${text}`;
  item.iconPath = new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground"));
  item.tooltip = text;
  return item;
}

function driftItem(machine: MachineStatus, { kind, message, cure }: Drift): vscode.TreeItem {
  const item = new vscode.TreeItem(message);
  item.id = `${machine.name}/drift/${kind}/${message}`;
  item.iconPath = new vscode.ThemeIcon("info", new vscode.ThemeColor("list.highlightForeground"));
  item.tooltip = message;
  // With the button of the operation that mends it.
  item.contextValue = cure === null ? "drift" : `drift.${cure}`;
  return item;
}

function moduleItem(machine: MachineStatus, source: string): vscode.TreeItem {
  const [place = source, output] = source.split("#");
  const item = new vscode.TreeItem(basename(place) + (output === undefined ? "" : `#${output}`));
  item.id = `${machine.name}/module/${source}`;
  const personal = machine.personalModules.includes(source);
  item.description = personal ? `${place} · personal` : place;
  item.tooltip = source;
  item.iconPath = new vscode.ThemeIcon("package");
  item.contextValue = "module";
  const file = moduleFile(place);
  if (file !== undefined) {
    item.command = { command: "vscode.open", title: "Open Module", arguments: [vscode.Uri.file(file)] };
  }
  return item;
}

/** The file to look at for a local module. */
function moduleFile(place: string): string | undefined {
  if (!existsSync(place)) {
    return undefined;
  }
  return statSync(place).isDirectory()
    ? ["codchi.nix", "flake.nix", "default.nix"].map((name) => join(place, name)).find(existsSync)
    : place;
}
