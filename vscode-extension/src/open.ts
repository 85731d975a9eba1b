// Remote windows: a machine's folder through whichever Remote-SSH extension is installed.

import * as vscode from "vscode";
import type { Ctx } from "./ctx";
import type { Attach } from "./protocol";
import { openTerminal } from "./terminal";

/** The extensions that open `ssh-remote+HOST`, of VS Code and of the editors made from it. */
const remoteSsh = [
  "ms-vscode-remote.remote-ssh",
  "jeanp413.open-remote-ssh",
  "anysphere.remote-ssh",
  "codeium.windsurf-remote-openssh",
  "google.antigravity-remote-openssh",
];

/** Opens a window in the machine; where that cannot be done, says why and offers a terminal. */
export async function openWindow(ctx: Ctx, attach: Attach): Promise<void> {
  const { sshHost, folder, name } = attach;
  const extension = remoteSsh.find((id) => vscode.extensions.getExtension(id) !== undefined);
  if (extension === undefined) {
    await offerTerminal(
      ctx,
      attach,
      `A window in ${name} needs a Remote - SSH extension, and none is installed. A terminal needs nothing.`,
      "Install Remote - SSH",
      () => vscode.commands.executeCommand("workbench.extensions.search", remoteSshSearch()),
    );
  } else if (sshHost === null) {
    await offerTerminal(
      ctx,
      attach,
      `A window in ${name} needs its host in your SSH configuration, which codchi may not touch. A terminal needs nothing.`,
      "Open Settings",
      () => vscode.commands.executeCommand("workbench.action.openSettings", "codchi.sshConfig"),
    );
  } else {
    await tellPlatform(sshHost);
    const uri = vscode.Uri.from({ scheme: "vscode-remote", authority: `ssh-remote+${sshHost}`, path: folder });
    await vscode.commands.executeCommand("vscode.openFolder", uri, { forceNewWindow: true });
  }
}

async function offerTerminal(
  ctx: Ctx,
  attach: Attach,
  message: string,
  remedy: string,
  apply: () => Thenable<unknown>,
): Promise<void> {
  const terminal = "Open Terminal";
  const choice = await vscode.window.showInformationMessage(message, terminal, remedy);
  if (choice === terminal) {
    openTerminal(ctx, attach.name, attach.terminal);
  } else if (choice === remedy) {
    await apply();
  }
}

/** The marketplace's name of the extension: Microsoft's for VS Code itself, the open one for builds without it. */
function remoteSshSearch(): string {
  return vscode.env.appName.startsWith("Visual Studio Code") ? "ms-vscode-remote.remote-ssh" : "jeanp413.open-remote-ssh";
}

/** Spares the person the question which system the host runs. Not every Remote-SSH extension has the setting. */
async function tellPlatform(host: string): Promise<void> {
  const config = vscode.workspace.getConfiguration("remote.SSH");
  const setting = config.inspect<Record<string, string>>("remotePlatform");
  if (setting?.defaultValue === undefined || setting.globalValue?.[host] === "linux") {
    return;
  }
  const target = vscode.ConfigurationTarget.Global;
  await config.update("remotePlatform", { ...setting.globalValue, [host]: "linux" }, target);
}
