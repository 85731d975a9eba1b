// What a rebuild would change, as a document that exists nowhere on disk.

import * as vscode from "vscode";
import { choose, trusted, type MachineArgument } from "./commands";
import type { Ctx } from "./ctx";
import { run } from "./run";

const SCHEME = "codchi-preview";

/** The documents of this window. */
const texts = new Map<string, string>();
const changed = new vscode.EventEmitter<vscode.Uri>();

export function registerPreviews(): vscode.Disposable {
  return vscode.workspace.registerTextDocumentContentProvider(SCHEME, {
    onDidChange: changed.event,
    provideTextDocumentContent: (uri) => texts.get(uri.path) ?? "This preview is gone. Run *Codchi: Preview Rebuild* again.",
  });
}

export async function previewRebuild(ctx: Ctx, argument?: MachineArgument): Promise<void> {
  const machine = await choose(ctx, argument, "The rebuild of which code machine?");
  if (machine !== undefined && (await trusted())) {
    await preview(ctx, machine.name, false);
  }
}

async function preview(ctx: Ctx, name: string, build: boolean): Promise<void> {
  const answer = await run(ctx, "codchi.machine.preview", { name, build });
  if (answer === undefined) {
    return;
  }
  const uri = vscode.Uri.from({ scheme: SCHEME, path: `/Rebuild of ${name}.md` });
  texts.set(uri.path, answer.markdown);
  changed.fire(uri);
  await vscode.commands.executeCommand("markdown.showPreview", uri);
  if (!answer.preview.same && answer.preview.packages === null) {
    // Not awaited: the notification may stay for as long as the person likes.
    void offerToBuild(ctx, name);
  }
}

async function offerToBuild(ctx: Ctx, name: string): Promise<void> {
  const compare = "Build and Compare";
  const message = `Packages and units of ${name} can be compared once its new system is built. The machine stays as it is.`;
  if ((await vscode.window.showInformationMessage(message, compare)) === compare) {
    await preview(ctx, name, true);
  }
}
