// Terminals in machines: `codchi exec NAME` on a pty. No SSH is needed for them.

import * as vscode from "vscode";
import type { Ctx } from "./ctx";

/** Opens a terminal in a machine, or shows the one that is open. `command` is the program and its arguments. */
export function openTerminal(ctx: Ctx, name: string, command?: string[]): void {
  const options = terminalOptions(ctx, name, command);
  const terminal =
    vscode.window.terminals.find((open) => open.name === options.name && open.exitStatus === undefined) ??
    vscode.window.createTerminal(options);
  terminal.show();
}

export function terminalOptions(ctx: Ctx, name: string, command?: string[]): vscode.TerminalOptions {
  const [shellPath, ...shellArgs] = command ?? [ctx.program ?? "codchi", "exec", name];
  return {
    name: `codchi: ${name}`,
    ...(shellPath === undefined ? {} : { shellPath, shellArgs }),
    iconPath: new vscode.ThemeIcon("vm"),
  };
}
