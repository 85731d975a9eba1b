// The status bar item of this folder's machine. A click offers what can be done with it.

import * as vscode from "vscode";
import type { Ctx } from "./ctx";
import { findModules, folderMachines } from "./folder";
import { details, stateText } from "./machine-texts";
import type { MachineStatus } from "./protocol";

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem("codchi.machine", vscode.StatusBarAlignment.Left, 10);
  private readonly disposables: vscode.Disposable[];
  private hasModule = false;

  constructor(private readonly ctx: Ctx) {
    this.item.name = "Code Machine";
    const modules = vscode.workspace.createFileSystemWatcher("**/{codchi,flake}.nix", false, true, false);
    const look = () => void this.look();
    this.disposables = [
      this.item,
      modules,
      modules.onDidCreate(look),
      modules.onDidDelete(look),
      vscode.workspace.onDidChangeWorkspaceFolders(look),
      ctx.onDidChange(() => {
        this.show();
      }),
    ];
    look();
  }

  dispose(): void {
    vscode.Disposable.from(...this.disposables).dispose();
  }

  private async look(): Promise<void> {
    this.hasModule = (await findModules()).length > 0;
    this.show();
  }

  private show(): void {
    const [machine, ...others] = folderMachines(this.ctx.machines);
    if (machine !== undefined) {
      this.showMachine(machine, others.length);
    } else if (this.hasModule && this.ctx.state === "running") {
      this.item.text = "$(vm-outline) Create Code Machine";
      this.item.tooltip = "This folder has a codchi module and no code machine yet.";
      this.item.command = "codchi.createMachine";
      this.item.backgroundColor = undefined;
      this.item.show();
    } else {
      this.item.hide();
    }
  }

  private showMachine(machine: MachineStatus, others: number): void {
    const sign = machine.state === "busy" ? "loading~spin" : machine.state === "running" ? "vm-running" : "vm-outline";
    this.item.text = `$(${sign}) ${machine.name}: ${stateText(machine)}${others === 0 ? "" : ` (+${others})`}`;
    this.item.tooltip = details(machine);
    this.item.command = "codchi.showMachineMenu";
    this.item.backgroundColor =
      machine.problems.length === 0 ? undefined : new vscode.ThemeColor("statusBarItem.warningBackground");
    this.item.show();
  }
}
