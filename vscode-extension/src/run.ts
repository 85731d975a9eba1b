// Runs a server command with its progress, its cancel button and its failure shown.

import * as vscode from "vscode";
import {
  ExecuteCommandRequest,
  type ExecuteCommandParams,
  ResponseError,
  WorkDoneProgress,
  type WorkDoneProgressBegin,
  type WorkDoneProgressReport,
} from "vscode-languageclient/node";
import type { Ctx } from "./ctx";
import type { FailureData, Params, Result, ServerCommand } from "./protocol";

/** What the notification says while a command runs; commands that are over at once, or only ask, have none. */
const titles: { readonly [C in ServerCommand]?: (params: Params<C>) => string } = {
  "codchi.machine.create": ({ name }) => `Creating code machine${name === undefined ? "" : ` ${name}`}`,
  "codchi.machine.rebuild": ({ name }) => `Rebuilding ${name}`,
  "codchi.machine.update": ({ name }) => (name === undefined ? "Updating code machines" : `Updating ${name}`),
  "codchi.machine.nixpkgs": ({ name }) => `Changing the nixpkgs of ${name}`,
  "codchi.module.add": ({ name }) => `Adding modules to ${name}`,
  "codchi.module.set": ({ name }) => `Changing a module of ${name}`,
  "codchi.module.remove": ({ name }) => `Removing a module of ${name}`,
  "codchi.machine.preview": ({ name }) => `Previewing a rebuild of ${name}`,
  "codchi.machine.rollback": ({ name }) => `Rolling back ${name}`,
  "codchi.machine.start": ({ name }) => `Starting ${name}`,
  "codchi.machine.stop": ({ name }) => `Stopping ${name}`,
  "codchi.machine.delete": ({ name }) => `Deleting ${name}`,
  "codchi.machine.permit": ({ name, offer, allowed }) => (allowed ? `Giving ${offer} to ${name}` : `Taking ${offer} from ${name}`),
  "codchi.gc": () => "Freeing disk space",
  "codchi.machine.open": (params) => ("name" in params ? `Opening ${params.name}` : "Opening a code machine"),
};

/** Runs `command`. Gives undefined where it failed or was cancelled, which the person has been told then. */
export async function run<C extends ServerCommand>(
  ctx: Ctx,
  command: C,
  params: Params<C>,
): Promise<Result<C> | undefined> {
  const title = titles[command]?.(params);
  try {
    return title === undefined ? await send(ctx, command, params) : await withProgress(ctx, command, params, title);
  } catch (error) {
    // Not awaited: the notification may stay for as long as the person likes.
    void tellFailure(error);
    return undefined;
  }
}

async function withProgress<C extends ServerCommand>(
  ctx: Ctx,
  command: C,
  params: Params<C>,
  title: string,
): Promise<Result<C>> {
  const name = "name" in params ? [params.name] : [];
  const log = `command:codchi.showLog?${encodeURIComponent(JSON.stringify(name))}`;
  const options = {
    location: vscode.ProgressLocation.Notification,
    cancellable: true,
    title: `${title} ([show log](${log}))`,
  };
  return vscode.window.withProgress(options, async (progress, token) => {
    const workDoneToken = crypto.randomUUID();
    let percent = 0;
    const show = ({ message, percentage }: WorkDoneProgressBegin | WorkDoneProgressReport) => {
      const increment = Math.max(0, (percentage ?? 0) - percent);
      percent += increment;
      progress.report({ ...(message === undefined ? {} : { message }), ...(increment > 0 ? { increment } : {}) });
    };
    const listener = ctx.client?.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
      if (value.kind !== "end") {
        show(value);
      }
    });
    try {
      return await send(ctx, command, params, workDoneToken, token);
    } finally {
      listener?.dispose();
    }
  });
}

async function send<C extends ServerCommand>(
  ctx: Ctx,
  command: C,
  params: Params<C>,
  workDoneToken?: string,
  token?: vscode.CancellationToken,
): Promise<Result<C>> {
  const { client } = ctx;
  if (client === undefined) {
    throw new Error("The codchi server is not running. Run the command Codchi: Restart Server, and see its output.");
  }
  const request: ExecuteCommandParams = {
    command,
    arguments: [params],
    ...(workDoneToken === undefined ? {} : { workDoneToken }),
  };
  // The server's answer is of the type that the protocol says.
  return (await client.sendRequest(ExecuteCommandRequest.type, request, token)) as Result<C>;
}

async function tellFailure(error: unknown): Promise<void> {
  const { log, definition, cancelled } = failureData(error);
  if (cancelled === true) {
    vscode.window.setStatusBarMessage("$(circle-slash) Cancelled; everything was undone.", 5000);
    return;
  }
  const message = error instanceof Error ? error.message : String(error);
  const showLog = "Show Log";
  const showDefinition = "Show Definition";
  const buttons = [...(definition === undefined ? [] : [showDefinition]), ...(log === undefined ? [] : [showLog])];
  const choice = await vscode.window.showErrorMessage(message, ...buttons);
  if (choice === showDefinition && definition !== undefined) {
    const place = new vscode.Position(definition.line - 1, definition.column - 1);
    await vscode.window.showTextDocument(vscode.Uri.file(definition.file), { selection: new vscode.Range(place, place) });
  } else if (choice === showLog && log !== undefined) {
    await showFile(log);
  }
}

function failureData(error: unknown): FailureData {
  // Both are errors for a request that was cancelled: the protocol's, and the one that LSP itself defines.
  const requestCancelled = -32800;
  if (!(error instanceof ResponseError)) {
    return {};
  }
  const data = (error.data ?? {}) as FailureData;
  return error.code === requestCancelled ? { ...data, cancelled: true } : data;
}

/** Shows a log, at its end. */
export async function showFile(path: string): Promise<void> {
  const document = await vscode.workspace.openTextDocument(vscode.Uri.file(path));
  const editor = await vscode.window.showTextDocument(document, { preview: true });
  const end = document.lineAt(document.lineCount - 1).range.end;
  editor.revealRange(new vscode.Range(end, end));
}
