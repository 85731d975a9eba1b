// Remote windows: a machine's folder through whichever extension for such windows is installed.

import * as vscode from "vscode";
import type { Ctx } from "./ctx";
import type { Attach } from "./protocol";
import { openTerminal } from "./terminal";

/** The extensions that open `ssh-remote+HOST`, of VS Code and of the editors made from it. */
const remoteSsh = {
  name: "Remote - SSH",
  ids: [
    "ms-vscode-remote.remote-ssh",
    "jeanp413.open-remote-ssh",
    "anysphere.remote-ssh",
    "codeium.windsurf-remote-openssh",
    "google.antigravity-remote-openssh",
  ],
  search: { code: "ms-vscode-remote.remote-ssh", others: "jeanp413.open-remote-ssh" },
};

/** Those that open `wsl+DISTRIBUTION`. */
const remoteWsl = {
  name: "WSL",
  ids: ["ms-vscode-remote.remote-wsl", "jeanp413.open-remote-wsl", "anysphere.remote-wsl", "codeium.windsurf-remote-wsl"],
  search: { code: "ms-vscode-remote.remote-wsl", others: "jeanp413.open-remote-wsl" },
};

/** Opens a window in the machine; where that cannot be done, says why and offers a terminal. */
export async function openWindow(ctx: Ctx, attach: Attach): Promise<void> {
  const { sshHost, remote, folder, name } = attach;
  const kind = remote?.startsWith("wsl+") ? remoteWsl : remoteSsh;
  const extension = kind.ids.find((id) => vscode.extensions.getExtension(id) !== undefined);
  if (extension === undefined) {
    await offerTerminal(
      ctx,
      attach,
      `A window in ${name} needs a ${kind.name} extension, and none is installed. A terminal needs nothing.`,
      `Install ${kind.name}`,
      () => vscode.commands.executeCommand("workbench.extensions.search", marketplaceName(kind.search)),
    );
  } else if (remote === null) {
    await offerTerminal(
      ctx,
      attach,
      `A window in ${name} needs its host in your SSH configuration, which codchi may not touch. A terminal needs nothing.`,
      "Open Settings",
      () => vscode.commands.executeCommand("workbench.action.openSettings", "codchi.sshConfig"),
    );
  } else {
    if (kind === remoteSsh && sshHost !== null) {
      await tellPlatform(sshHost);
    }
    const uri = vscode.Uri.from({ scheme: "vscode-remote", authority: remote, path: folder });
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

/** The marketplace's name of an extension: Microsoft's for VS Code itself, the open one for builds without it. */
function marketplaceName(search: { code: string; others: string }): string {
  return vscode.env.appName.startsWith("Visual Studio Code") ? search.code : search.others;
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
