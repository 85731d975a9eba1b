// The world that the tests see: the extension, the stand-in server's folder, and replacements for what asks a person.

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as vscode from "vscode";
import type { Api } from "../../../vscode-extension/src/main";
import type { CapabilityStatus, HostSecretStatus, MachineStatus, SecretStatus } from "../../../vscode-extension/src/protocol";

const folder = process.env["CODCHI_FAKE"] ?? "";

/** Waits until `probe` gives something; what it gives. */
export async function until<T>(what: string, probe: () => T | undefined | false, milliseconds = 10_000): Promise<T> {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const found = probe();
    if (found !== undefined && found !== false) {
      return found;
    }
    if (Date.now() > deadline) {
      throw new Error(`did not come: ${what}`);
    }
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** The activated extension, its server running. */
export async function extension(): Promise<Api> {
  const found = vscode.extensions.getExtension<Api>("codchi.codchi");
  if (found === undefined) {
    throw new Error("the extension is not there");
  }
  const api = await found.activate();
  await until("a running server", () => api.ctx.state === "running");
  return api;
}

/** A running machine of no folder, but for `changes`. */
export function machine(name: string, changes: Partial<MachineStatus> = {}): MachineStatus {
  return {
    name,
    state: "running",
    operation: null,
    driver: "lxd",
    modules: ["https://example.org/team/project#default"],
    personalModules: [],
    nixpkgs: "pin",
    moduleFolders: [],
    project: null,
    workspace: `/home/codchi/${name}`,
    sshHost: `codchi-${name}`,
    generation: 1,
    secrets: [],
    hostSecrets: [],
    capabilities: [],
    log: null,
    problems: [],
    drift: [],
    ...changes,
  };
}

/** A required secret that is not set, but for `changes`. */
export function secret(name: string, changes: Partial<SecretStatus> = {}): SecretStatus {
  return { name, description: "", required: true, set: false, provider: null, own: false, stale: false, declaredBy: [], units: [], ...changes };
}

/** A host secret that is asked for, there and not answered about, but for `changes`. */
export function hostSecret(name: HostSecretStatus["name"], changes: Partial<HostSecretStatus> = {}): HostSecretStatus {
  return { name, asked: true, allowed: null, available: true, message: `There is ${name}.`, ...changes };
}

/** An optional capability that is there and allowed, but for `changes`. */
export function capability(name: string, changes: Partial<CapabilityStatus> = {}): CapabilityStatus {
  return { name, required: false, allowed: true, available: true, message: `There is ${name}.`, remedy: null, works: null, ...changes };
}

/** Makes these the machines that there are, and waits until the extension knows. */
export async function setMachines(machines: MachineStatus[]): Promise<Api> {
  const api = await extension();
  writeFileSync(join(folder, "machines.json"), JSON.stringify(machines));
  await vscode.commands.executeCommand("codchi.refresh");
  return api;
}

export function workspaceFolder(): string {
  const first = vscode.workspace.workspaceFolders?.[0];
  if (first === undefined) {
    throw new Error("no folder is open");
  }
  return first.uri.fsPath;
}

/** The commands that the server got since `forget`. */
export function commandsSent(): { command: string; argument: Record<string, unknown>; workDoneToken?: string }[] {
  const file = join(folder, "commands.jsonl");
  return existsSync(file)
    ? readFileSync(file, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as never)
    : [];
}

export function forget(): void {
  rmSync(join(folder, "commands.jsonl"), { force: true });
}

export function writeWorld(file: string, value: unknown): void {
  rmSync(join(folder, "answer.json"), { force: true });
  writeFileSync(join(folder, file), JSON.stringify(value));
}

/** A file that the server wrote; undefined as long as it has not. */
export function readWorld<T>(file: string): T | undefined {
  const path = join(folder, file);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as T) : undefined;
}

export const worldFolder = folder;

/** Replaces a function of the API for the time of `body`. */
export async function replacing<O extends object, K extends keyof O, T>(
  object: O,
  key: K,
  replacement: (...args: never[]) => unknown,
  body: () => Promise<T>,
): Promise<T> {
  const real = object[key];
  object[key] = replacement as O[K];
  try {
    return await body();
  } finally {
    object[key] = real;
  }
}
