// A machine's secrets: entries of the tree, and the commands that set, rotate and remove one.

import * as vscode from "vscode";
import { choose, type MachineArgument } from "./commands";
import type { Ctx } from "./ctx";
import { asWritten } from "./pick-text";
import type { MachineStatus, Params, SecretStatus } from "./protocol";
import { run } from "./run";

/** The entry of the tree below which a machine's secrets are. */
export interface SecretsNode {
  kind: "secrets";
  machine: MachineStatus;
}

export interface SecretNode {
  kind: "secret";
  machine: MachineStatus;
  secret: SecretStatus;
}

export function secretNodes(machine: MachineStatus): SecretNode[] {
  return machine.secrets.map((secret) => ({ kind: "secret", machine, secret }));
}

export function secretsItem(machine: MachineStatus): vscode.TreeItem {
  const item = new vscode.TreeItem("Secrets", vscode.TreeItemCollapsibleState.Collapsed);
  const count = (what: string, is: (secret: SecretStatus) => boolean) => {
    const number = machine.secrets.filter(is).length;
    return number === 0 ? "" : `${number} ${what}`;
  };
  const parts = [count("not set", isMissing), count("stale", ({ stale }) => stale)];
  item.id = `${machine.name}/secrets`;
  item.description = parts.filter((part) => part !== "").join(" · ");
  item.iconPath = new vscode.ThemeIcon("key", machine.secrets.some(isMissing) ? warning() : undefined);
  item.contextValue = "secrets";
  return item;
}

export function secretItem({ machine, secret }: SecretNode): vscode.TreeItem {
  const { name, description, required, set, provider, stale, own, declaredBy, units } = secret;
  const from = provider === null ? `Set for ${own ? "this machine" : "all machines"}.` : `Comes from the provider ${provider}.`;
  const item = new vscode.TreeItem(name);
  const state = set ? (stale ? "set · stale" : "set") : "not set";
  item.id = `${machine.name}/secret/${name}`;
  item.description = [state, required ? "" : "optional", units.join(", ")].filter((part) => part !== "").join(" · ");
  item.tooltip = [
    description,
    set ? from : "Not set.",
    stale ? "The running machine has another value than the vault; starting it delivers this one." : "",
    declaredBy.length === 0 ? "" : `Declared by ${declaredBy.join(", ")}.`,
    units.length === 0 ? "" : `Used by ${units.map((unit) => `${unit}.service`).join(", ")}.`,
  ]
    .filter((line) => line !== "")
    .join("\n");
  item.iconPath = new vscode.ThemeIcon("key", isMissing(secret) ? warning() : undefined);
  item.contextValue = provider !== null ? "secret.provided" : set ? "secret.set" : "secret.missing";
  item.accessibilityInformation = { label: `secret ${name}, ${item.description}` };
  return item;
}

function isMissing({ required, set }: SecretStatus): boolean {
  return required && !set;
}

/** Whether it has a value that is ours to change. */
function inVault({ set, provider }: SecretStatus): boolean {
  return set && provider === null;
}

function warning(): vscode.ThemeColor {
  return new vscode.ThemeColor("list.warningForeground");
}

export async function setSecret(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const chosen = await chooseSecret(ctx, argument, "Set Secret", () => true);
  if (chosen !== undefined) {
    const { machine, secret } = chosen;
    await setValue(ctx, { name: secret.name, description: secret.description, machine: machine.name });
  }
}

/** Sets a secret that the server names, or that was chosen. */
export async function setValue(ctx: Ctx, params: Params<"codchi.secret.set">): Promise<void> {
  tell(params.name, "is set", await run(ctx, "codchi.secret.set", params));
}

export async function rotateSecret(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const chosen = await chooseSecret(ctx, argument, "Rotate Secret", inVault);
  if (chosen !== undefined) {
    const params = { name: chosen.secret.name, ...whose(chosen) };
    tell(params.name, "has a new value", await run(ctx, "codchi.secret.rotate", params));
  }
}

export async function removeSecret(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const chosen = await chooseSecret(ctx, argument, "Remove Secret", inVault);
  if (chosen === undefined) {
    return;
  }
  const { machine, secret } = chosen;
  const of = secret.own ? `the code machine ${machine.name}` : "all code machines";
  const remove = "Remove";
  const detail = "Code machines that run lose it at once. It cannot be brought back.";
  const answer = await vscode.window.showWarningMessage(
    `Remove the value of ${secret.name} of ${of}?`,
    { modal: true, detail },
    remove,
  );
  if (answer === remove) {
    await run(ctx, "codchi.secret.remove", { name: secret.name, ...whose(chosen) });
  }
}

/** Which of the two values a machine may get it has. */
function whose({ machine, secret }: SecretNode): { machine?: string } {
  return secret.own ? { machine: machine.name } : {};
}

function tell(name: string, what: string, answer: { set: boolean; delivered?: string[] } | undefined): void {
  if (answer?.set === true) {
    const delivered = answer.delivered ?? [];
    const where = delivered.length === 0 ? "" : `, delivered to ${delivered.join(", ")}`;
    vscode.window.setStatusBarMessage(`$(key) ${name} ${what}${where}`, 5000);
  }
}

async function chooseSecret(
  ctx: Ctx,
  argument: MachineArgument,
  title: string,
  filter: (secret: SecretStatus) => boolean,
): Promise<SecretNode | undefined> {
  if (typeof argument === "object" && argument.kind === "secret") {
    return argument;
  }
  const machine = await choose(ctx, argument, "A secret of which code machine?");
  if (machine === undefined) {
    return undefined;
  }
  const nodes = secretNodes(machine).filter(({ secret }) => filter(secret));
  if (nodes.length === 0) {
    const none = machine.secrets.length === 0 ? "The modules of NAME declare no secrets." : "No secret of NAME is set in the vault.";
    void vscode.window.showInformationMessage(none.replace("NAME", machine.name));
    return undefined;
  }
  const items = nodes.map((node) => ({
    label: node.secret.name,
    description: node.secret.set ? "set" : "not set",
    detail: asWritten(node.secret.description),
    iconPath: new vscode.ThemeIcon("key"),
    node,
  }));
  return (await vscode.window.showQuickPick(items, { title, placeHolder: "Which secret?" }))?.node;
}
