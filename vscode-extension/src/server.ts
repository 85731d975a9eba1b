// Finding the codchi program: the setting, else the one in this extension, else the one on PATH.

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import * as vscode from "vscode";

/** No usable program; the message says where was looked and what to do. */
export class ServerNotFound extends Error {}

const executable = process.platform === "win32" ? "codchi.exe" : "codchi";

/** Where a working program is. Throws {@link ServerNotFound}. */
export async function findServer(extensionPath: string): Promise<string> {
  const configured = vscode.workspace.getConfiguration("codchi").get<string>("server.path", "").trim();
  if (configured !== "") {
    const path = configured.replace(/^~(?=[\\/])/, homedir());
    const why = await whyNotUsable(path);
    if (why !== undefined) {
      throw new ServerNotFound(
        `The setting codchi.server.path names ${path}, which ${why}. Correct it, or empty it to use the program that comes with the extension.`,
      );
    }
    return path;
  }
  const tried: string[] = [];
  for (const path of [join(extensionPath, "bin", executable), ...onPath()]) {
    const why = await whyNotUsable(path);
    if (why === undefined) {
      return path;
    }
    tried.push(`${path} ${why}`);
  }
  throw new ServerNotFound(
    tried.length === 0
      ? "The codchi program was not found: it is not in this extension and not on PATH. Install it, or name it in the setting codchi.server.path."
      : `No codchi program works: ${tried.join("; ")}. Install one that does, or name it in the setting codchi.server.path.`,
  );
}

function onPath(): string[] {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, executable))
    .filter((path) => existsSync(path));
}

/** Runs it once: a program for another architecture or with a missing library exists and still does not work. */
async function whyNotUsable(path: string): Promise<string | undefined> {
  if (!existsSync(path)) {
    return "does not exist";
  }
  try {
    await promisify(execFile)(path, ["--version"], { timeout: 10_000 });
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "EACCES" ? "is not executable" : `does not run (${code ?? (error as Error).message})`;
  }
}
