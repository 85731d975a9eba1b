// What works on this computer and what to do about what does not, as a list; choosing an entry copies its remedy.

import * as vscode from "vscode";
import { asWritten } from "./pick-text";
import type { DoctorCheck } from "./protocol";

export async function showChecks(checks: DoctorCheck[]): Promise<void> {
  const failed = checks.filter(({ ok }) => !ok).sort((a, b) => Number(b.required) - Number(a.required));
  const items = [...failed, ...checks.filter(({ ok }) => ok)].map((check) => ({ ...entry(check), check }));
  const picked = await vscode.window.showQuickPick(items, {
    title: failed.length === 0 ? "Codchi Doctor: all is well" : `Codchi Doctor: ${failed.length} of ${checks.length} need care`,
    placeHolder: failed.length === 0 ? "Escape closes the list" : "Choose an entry to copy what to do about it",
    matchOnDescription: true,
    matchOnDetail: true,
  });
  const remedy = picked?.check.remedy ?? "";
  if (remedy !== "") {
    await vscode.env.clipboard.writeText(remedy);
    vscode.window.setStatusBarMessage("$(copy) Copied to the clipboard", 5000);
  }
}

function entry({ name, ok, required, message, remedy }: DoctorCheck): vscode.QuickPickItem {
  return {
    label: name,
    description: asWritten(message),
    ...(ok || !remedy ? {} : { detail: asWritten(remedy) }),
    iconPath: ok
      ? new vscode.ThemeIcon("pass", new vscode.ThemeColor("testing.iconPassed"))
      : required
        ? new vscode.ThemeIcon("error", new vscode.ThemeColor("list.errorForeground"))
        : new vscode.ThemeIcon("warning", new vscode.ThemeColor("list.warningForeground")),
  };
}
