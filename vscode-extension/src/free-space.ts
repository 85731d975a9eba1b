// Frees disk space: the server says what nothing needs any more, asks, and says what it has freed.

import * as vscode from "vscode";
import type { Ctx } from "./ctx";
import { run } from "./run";

export async function freeDiskSpace(ctx: Ctx): Promise<void> {
  const items = [
    { label: "What Codchi Has Left", detail: "Old generations, interrupted work, images that nothing needs", store: false },
    {
      label: "That, and the Garbage of the Nix Store",
      detail: "Also what others have left there; what is needed again is built or fetched again",
      store: true,
    },
  ];
  const options = { title: "Free Disk Space", placeHolder: "What shall be looked at? You are asked before anything is freed." };
  const picked = await vscode.window.showQuickPick(items, options);
  const result = picked === undefined ? undefined : await run(ctx, "codchi.gc", { store: picked.store });
  if (result === undefined) {
    return;
  }
  if (result.freed === null) {
    // Where something was found the person was asked, and declined.
    if (!result.found) {
      void vscode.window.showInformationMessage(["There is no disk space to free.", ...result.lines].join("\n"));
    }
    return;
  }
  const show = result.freed.failed.length === 0 ? vscode.window.showInformationMessage : vscode.window.showWarningMessage;
  void show("Disk space is freed.", { modal: true, detail: result.lines.join("\n") });
}
