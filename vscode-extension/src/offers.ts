// What a machine may have of this computer, host secrets and capabilities: entries of the tree, and the commands that allow
// and deny it.

import * as vscode from "vscode";
import { choose, type MachineArgument } from "./commands";
import type { Ctx } from "./ctx";
import { asWritten } from "./pick-text";
import { type CapabilityStatus, type HostSecretStatus, hostSecretNames, type MachineStatus } from "./protocol";
import { run } from "./run";

/** The entries of the tree below which they are. */
export interface OffersNode {
  kind: "hostSecrets" | "capabilities";
  machine: MachineStatus;
}

export interface OfferNode {
  kind: "offer";
  of: OffersNode["kind"];
  machine: MachineStatus;
  name: string;
  state: State;
  /** Whether the modules cannot do without. */
  required: boolean;
  tooltip: string;
}

type State = keyof typeof states;

/** What each state is called, its icon, and what the person can make of it. */
const states = {
  works: { text: "works", icon: "pass", color: "testing.iconPassed", can: ["deny"] },
  given: { text: "given", icon: "pass", color: undefined, can: ["deny"] },
  denied: { text: "denied", icon: "circle-slash", color: "disabledForeground", can: ["allow"] },
  open: { text: "not asked yet", icon: "question", color: "list.warningForeground", can: ["allow", "deny"] },
  missing: { text: "not on this computer", icon: "warning", color: "list.warningForeground", can: ["deny"] },
  broken: { text: "does not work", icon: "error", color: "list.errorForeground", can: ["deny"] },
} as const;

export function offersNodes(machine: MachineStatus): OffersNode[] {
  const kinds: OffersNode["kind"][] = ["hostSecrets", "capabilities"];
  return kinds.filter((kind) => machine[kind].length > 0).map((kind) => ({ kind, machine }));
}

export function offerNodes({ kind, machine }: OffersNode): OfferNode[] {
  return kind === "hostSecrets"
    ? machine.hostSecrets.map((secret) => hostSecretNode(machine, secret))
    : machine.capabilities.map((capability) => capabilityNode(machine, capability));
}

function hostSecretNode(machine: MachineStatus, secret: HostSecretStatus): OfferNode {
  const { name, asked, allowed, available, message } = secret;
  const state = allowed === null ? "open" : !allowed ? "denied" : available ? "given" : "missing";
  const tooltip = lines(message, asked ? "" : "No module of the machine asks for it.");
  return { kind: "offer", of: "hostSecrets", machine, name, state, required: false, tooltip };
}

const unasked = { asked: false, allowed: null, available: true, message: "" };

function capabilityNode(machine: MachineStatus, capability: CapabilityStatus): OfferNode {
  const { name, required, message, remedy } = capability;
  const state = capabilityState(machine, capability);
  return { kind: "offer", of: "capabilities", machine, name, state, required, tooltip: lines(message, remedy ?? "") };
}

function capabilityState(machine: MachineStatus, { name, allowed, available, works }: CapabilityStatus): State {
  if (!allowed) {
    // The SSH agent is a host secret, too: it alone is not allowed before somebody has answered.
    const answer = machine.hostSecrets.find((secret) => secret.name === name)?.allowed;
    return answer === null ? "open" : "denied";
  }
  return !available ? "missing" : works === null ? "given" : works ? "works" : "broken";
}

export function offersItem({ kind, machine }: OffersNode): vscode.TreeItem {
  const label = kind === "hostSecrets" ? "Host Secrets" : "Capabilities";
  const item = new vscode.TreeItem(label, vscode.TreeItemCollapsibleState.Collapsed);
  const nodes = offerNodes({ kind, machine });
  const amiss = (["open", "missing", "broken"] as const).map((state) => {
    const count = nodes.filter((node) => node.state === state).length;
    return count === 0 ? "" : `${count} ${states[state].text}`;
  });
  item.id = `${machine.name}/${kind}`;
  item.description = amiss.filter((part) => part !== "").join(" · ");
  item.iconPath = new vscode.ThemeIcon(kind === "hostSecrets" ? "lock" : "circuit-board");
  item.contextValue = kind;
  return item;
}

export function offerItem({ of, machine, name, state, required, tooltip }: OfferNode): vscode.TreeItem {
  const { text, icon, color, can } = states[state];
  const item = new vscode.TreeItem(name);
  item.id = `${machine.name}/${of}/${name}`;
  item.description = required ? `${text} · required` : text;
  item.tooltip = tooltip;
  item.iconPath = new vscode.ThemeIcon(icon, color === undefined ? undefined : new vscode.ThemeColor(color));
  // With what the buttons can make of it.
  item.contextValue = `offer.${can.join(".")}`;
  item.accessibilityInformation = { label: `${name}, ${item.description}` };
  return item;
}

function lines(...texts: string[]): string {
  return texts.filter((text) => text !== "").join("\n");
}

export async function allowOffer(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  await permit(ctx, argument, true);
}

export async function denyOffer(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  await permit(ctx, argument, false);
}

async function permit(ctx: Ctx, argument: MachineArgument, allowed: boolean): Promise<void> {
  const chosen = await chooseOffer(ctx, argument, allowed);
  if (chosen !== undefined) {
    await run(ctx, "codchi.machine.permit", { name: chosen.machine.name, offer: chosen.name, allowed });
  }
}

async function chooseOffer(ctx: Ctx, argument: MachineArgument, allowed: boolean): Promise<OfferNode | undefined> {
  if (typeof argument === "object" && argument.kind === "offer") {
    return argument;
  }
  const machine = await choose(ctx, argument, `${allowed ? "Allow" : "Deny"} something to which code machine?`);
  if (machine === undefined) {
    return undefined;
  }
  const can = allowed ? "allow" : "deny";
  const listed = offersNodes(machine).flatMap(offerNodes);
  // A host secret may be given that no module asks for; the SSH agent is a capability, too, and listed once.
  const others = allowed ? hostSecretNames.map((name) => hostSecretNode(machine, { ...unasked, name })) : [];
  const all = new Map([...others, ...listed].map((node) => [node.name, node]));
  const nodes = [...all.values()].filter(({ state }) => (states[state].can as readonly string[]).includes(can));
  if (nodes.length === 0) {
    const none = allowed ? "has all that it may have" : "has nothing of this computer that could be denied";
    void vscode.window.showInformationMessage(`Code machine ${machine.name} ${none}.`);
    return undefined;
  }
  const items = nodes.map((node) => ({
    label: node.name,
    description: states[node.state].text,
    detail: asWritten(node.tooltip.replaceAll("\n", " ")),
    node,
  }));
  const placeHolder = allowed ? `What may ${machine.name} have of this computer?` : `What may ${machine.name} not have?`;
  return (await vscode.window.showQuickPick(items, { placeHolder, matchOnDetail: true }))?.node;
}
