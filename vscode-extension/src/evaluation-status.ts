// The language status of Nix files: whether Nix evaluates the modules of the open files, and if not, why.

import * as vscode from "vscode";
import type { Ctx } from "./ctx";
import type { EvaluationStatus as Status } from "./protocol";

/** What the item shows. */
interface Shown {
  text: string;
  detail: string;
  severity: vscode.LanguageStatusSeverity;
  busy: boolean;
}

export class EvaluationStatus implements vscode.Disposable {
  private item: vscode.LanguageStatusItem | undefined;
  private readonly listener: vscode.Disposable;

  constructor(private readonly ctx: Ctx) {
    this.listener = ctx.onDidChange(() => {
      this.show();
    });
  }

  dispose(): void {
    this.listener.dispose();
    this.item?.dispose();
  }

  private show(): void {
    const shown = describe(this.ctx.evaluation);
    if (shown === undefined) {
      this.item?.dispose();
      this.item = undefined;
      return;
    }
    this.item ??= this.make();
    Object.assign(this.item, shown);
  }

  private make(): vscode.LanguageStatusItem {
    const item = vscode.languages.createLanguageStatusItem("codchi.evaluation", { language: "nix" });
    item.name = "Codchi Module Evaluation";
    item.command = { command: "codchi.showServerOutput", title: "Show Log" };
    return item;
  }
}

/** What there is to show; nothing where no open file is of a module. */
function describe({ off, modules }: Status): Shown | undefined {
  const quiet = { severity: vscode.LanguageStatusSeverity.Information, busy: false };
  if (off !== null) {
    const detail =
      off === "untrusted"
        ? "This workspace is not trusted: modules are checked as text."
        : "The setting codchi.evaluation is off: modules are checked as text.";
    return { ...quiet, text: "Not evaluated", detail };
  }
  if (modules.length === 0) {
    return undefined;
  }
  const running = modules.filter(({ state }) => state === "evaluating");
  const failed = modules.filter(({ state }) => state === "failed");
  // With one module everybody knows which it is.
  const detail = failed.map(({ module, why = "" }) => (modules.length === 1 ? why : `${module}: ${why}`)).join("\n");
  if (running.length > 0) {
    return { ...quiet, text: "Evaluating …", detail, busy: true };
  }
  if (failed.length > 0) {
    return { ...quiet, text: "Not evaluated", detail, severity: vscode.LanguageStatusSeverity.Warning };
  }
  return { ...quiet, text: "Evaluated", detail };
}
