// Activation: makes the shared context, puts the views and commands on it, and starts the server.

import * as vscode from "vscode";
import * as commands from "./commands";
import * as copies from "./copies";
import { Ctx } from "./ctx";
import { EvaluationStatus } from "./evaluation-status";
import { freeDiskSpace } from "./free-space";
import { deleteGeneration, rollBack } from "./generations";
import { MachinesView } from "./machines-view";
import * as madeOf from "./made-of";
import * as offers from "./offers";
import { previewRebuild, registerPreviews } from "./preview";
import * as secrets from "./secrets";
import { StatusBar } from "./status-bar";
import { terminalOptions } from "./terminal";

/** What other extensions (and tests) get. */
export interface Api {
  readonly ctx: Ctx;
  readonly view: MachinesView;
}

const commandTable: Record<string, (ctx: Ctx, ...args: never[]) => unknown> = {
  "codchi.openMachine": commands.openMachine,
  "codchi.createMachine": commands.createMachine,
  "codchi.rebuildMachine": commands.rebuildMachine,
  "codchi.updateMachine": madeOf.updateMachine,
  "codchi.addModule": madeOf.addModule,
  "codchi.setModule": madeOf.setModule,
  "codchi.removeModule": madeOf.removeModule,
  "codchi.chooseNixpkgs": madeOf.chooseNixpkgs,
  "codchi.previewRebuild": previewRebuild,
  "codchi.rollBack": rollBack,
  "codchi.rollBackToGeneration": rollBack,
  "codchi.deleteGeneration": deleteGeneration,
  "codchi.startMachine": commands.startMachine,
  "codchi.stopMachine": commands.stopMachine,
  "codchi.deleteMachine": commands.deleteMachine,
  "codchi.renameMachine": copies.renameMachine,
  "codchi.duplicateMachine": copies.duplicateMachine,
  "codchi.exportMachine": copies.exportMachine,
  "codchi.importMachine": copies.importMachine,
  "codchi.openTerminal": commands.openTerminal,
  "codchi.showLog": commands.showLog,
  "codchi.setSecret": secrets.setSecret,
  "codchi.rotateSecret": secrets.rotateSecret,
  "codchi.removeSecret": secrets.removeSecret,
  "codchi.allowOffer": offers.allowOffer,
  "codchi.denyOffer": offers.denyOffer,
  "codchi.runDoctor": commands.doctor,
  "codchi.freeDiskSpace": freeDiskSpace,
  "codchi.refresh": commands.refresh,
  "codchi.restartServer": commands.restartServer,
  "codchi.showServerOutput": commands.showServerOutput,
  "codchi.showMachineMenu": commands.showMachineMenu,
};

let active: Ctx | undefined;

export function activate(context: vscode.ExtensionContext): Api {
  const ctx = new Ctx(context.extensionPath, commands.runServerCommand);
  const view = new MachinesView(ctx);
  active = ctx;
  context.subscriptions.push(ctx, view, new StatusBar(ctx), new EvaluationStatus(ctx), registerPreviews());
  for (const [name, command] of Object.entries(commandTable)) {
    const registered = vscode.commands.registerCommand(name, (...args: unknown[]) => command(ctx, ...(args as never[])));
    context.subscriptions.push(registered);
  }
  context.subscriptions.push(
    vscode.window.registerTerminalProfileProvider("codchi.machine", {
      provideTerminalProfile: async () => {
        const machine = await commands.chooseForTerminal(ctx);
        return machine === undefined ? undefined : new vscode.TerminalProfile(terminalOptions(ctx, machine.name));
      },
    }),
    vscode.workspace.onDidChangeConfiguration(async (event) => {
      if (event.affectsConfiguration("codchi.server")) {
        await ctx.restart();
      } else if (event.affectsConfiguration("codchi")) {
        await ctx.sendSettings();
      }
    }),
    vscode.workspace.onDidGrantWorkspaceTrust(() => ctx.sendSettings()),
  );
  // Not awaited: activation shall not wait for the server.
  void ctx.start();
  return { ctx, view };
}

export async function deactivate(): Promise<void> {
  await active?.stop();
}
