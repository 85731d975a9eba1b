// A window in a machine shows the project by its path in the machine; the server, on the host, knows it by the host's
// path. Both are the same folder, mounted: here paths are turned from one into the other.

import { execFile } from "node:child_process";
import { posix } from "node:path";
import { promisify } from "node:util";
import * as vscode from "vscode";
import type { MachineStatus } from "./protocol";

/** The name of the machine that this window is in; undefined where it is none. */
export function remoteMachine(): string | undefined {
  return /^(?:ssh-remote|wsl)\+codchi-([a-z0-9-]+)$/i.exec(remoteAuthority() ?? "")?.[1];
}

function remoteAuthority(): string | undefined {
  return vscode.workspace.workspaceFolders?.find(({ uri }) => uri.scheme === "vscode-remote")?.uri.authority;
}

/** Turns the URIs of a window in a machine into the host's `file:` URIs, and back. */
export class RemoteFolder {
  /** The host's folder, as the path of its URI: on Windows that of `C:\\x` is `/c:/x`. */
  private readonly project: string;

  /** `project` on the host is `workspace` in the machine. */
  constructor(
    readonly authority: string,
    project: string,
    private readonly workspace: string,
  ) {
    this.project = vscode.Uri.file(project).path;
  }

  toHost(uri: vscode.Uri): vscode.Uri {
    const path = uri.scheme === "vscode-remote" && uri.authority === this.authority ? moved(uri.path, this.workspace, this.project) : undefined;
    return path === undefined ? uri : vscode.Uri.from({ scheme: "file", path });
  }

  toWindow(uri: vscode.Uri): vscode.Uri {
    const path = uri.scheme === "file" ? moved(uri.path, this.project, this.workspace) : undefined;
    return path === undefined ? uri : vscode.Uri.from({ scheme: "vscode-remote", authority: this.authority, path });
  }
}

/** Asks `program` for the folder of the machine that this window is in: before the client starts, for it needs to know. */
export async function remoteFolder(program: string): Promise<RemoteFolder | undefined> {
  const name = remoteMachine();
  const authority = remoteAuthority();
  if (name === undefined || authority === undefined) {
    return undefined;
  }
  const { stdout } = await promisify(execFile)(program, ["status", "--json"], { timeout: 10_000 });
  const machine = (JSON.parse(stdout) as MachineStatus[]).find((machine) => machine.name === name);
  return typeof machine?.project === "string"
    ? new RemoteFolder(authority, machine.project, machine.workspace)
    : undefined;
}

function moved(path: string, from: string, to: string): string | undefined {
  const way = posix.relative(from, path);
  return way === ".." || way.startsWith("../") ? undefined : posix.join(to, way);
}
