// The language client and what the rest of the extension shares. The list of machines is the server's last word; the
// extension adds nothing to it.

import * as vscode from "vscode";
import {
  LanguageClient,
  type LanguageClientOptions,
  RevealOutputChannelOn,
  State,
  type StaticFeature,
} from "vscode-languageclient/node";
import { ask } from "./input";
import {
  EvaluationChangedNotification,
  type EvaluationStatus,
  InputRequest,
  type MachineStatus,
  MachinesChangedNotification,
  type ServerSettings,
} from "./protocol";
import { remoteFolder, type RemoteFolder } from "./remote-folder";
import { findServer, ServerNotFound } from "./server";

const NOTHING_EVALUATED: EvaluationStatus = { off: null, modules: [] };

/** Whether there is a server to talk to; `missing`: no program, `failed`: it ended and will not be started again. */
export type ServerState = "starting" | "running" | "missing" | "failed";

export class Ctx implements vscode.Disposable {
  readonly output = vscode.window.createOutputChannel("Codchi", { log: true });
  private readonly changed = new vscode.EventEmitter<void>();
  /** Fires when {@link machines}, {@link evaluation} or {@link state} has changed. */
  readonly onDidChange = this.changed.event;
  private lastMachines: readonly MachineStatus[] = [];
  private lastEvaluation = NOTHING_EVALUATED;
  private lastState: ServerState = "starting";
  private running: { client: LanguageClient; program: string } | undefined;
  /** Starting and stopping happen one after the other. */
  private queue: Promise<void> = Promise.resolve();

  constructor(
    private readonly extensionPath: string,
    /** Runs a command that the server offers when a lens or a code action asks for it. */
    private readonly runCommand: (ctx: Ctx, command: string, args: unknown[]) => Promise<unknown>,
  ) {
    this.setState("starting");
  }

  get machines(): readonly MachineStatus[] {
    return this.lastMachines;
  }

  /** How the modules of the open files are evaluated: the server's last word. */
  get evaluation(): EvaluationStatus {
    return this.lastEvaluation;
  }

  get state(): ServerState {
    return this.lastState;
  }

  /** The client, where there is a server. */
  get client(): LanguageClient | undefined {
    return this.running?.client;
  }

  /** The path of the codchi program, where there is one that works. */
  get program(): string | undefined {
    return this.running?.program;
  }

  machine(name: string): MachineStatus | undefined {
    return this.lastMachines.find((machine) => machine.name === name);
  }

  /** Starts the server; one that cannot be started is told to the person, not thrown. */
  start(): Promise<void> {
    return this.enqueue(() => this.doStart());
  }

  restart(): Promise<void> {
    return this.enqueue(async () => {
      await this.doStop();
      await this.doStart();
    });
  }

  stop(): Promise<void> {
    return this.enqueue(() => this.doStop());
  }

  /** Tells the server the person's settings. */
  async sendSettings(): Promise<void> {
    await this.client?.sendNotification("workspace/didChangeConfiguration", { settings: { codchi: settings() } });
  }

  setMachines(machines: readonly MachineStatus[]): void {
    this.lastMachines = machines;
    void vscode.commands.executeCommand("setContext", "codchi.hasMachines", machines.length > 0);
    this.changed.fire();
  }

  dispose(): void {
    this.changed.dispose();
    this.output.dispose();
  }

  private enqueue(job: () => Promise<void>): Promise<void> {
    this.queue = this.queue.then(job);
    return this.queue;
  }

  private setState(state: ServerState): void {
    this.lastState = state;
    if (state !== "running") {
      this.lastEvaluation = NOTHING_EVALUATED;
    }
    void vscode.commands.executeCommand("setContext", "codchi.state", state);
    this.changed.fire();
  }

  private async doStart(): Promise<void> {
    this.setState("starting");
    try {
      const program = await findServer(this.extensionPath);
      const client = this.newClient(program, await remoteFolder(program));
      this.running = { client, program };
      await client.start();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.output.error(message);
      this.running = undefined;
      this.setMachines([]);
      this.setState(error instanceof ServerNotFound ? "missing" : "failed");
      // Not awaited: the notification may stay for as long as the person likes.
      void tellNotStarted(error instanceof ServerNotFound ? message : `The codchi server did not start: ${message}`);
    }
  }

  private async doStop(): Promise<void> {
    const client = this.running?.client;
    this.running = undefined;
    this.setMachines([]);
    if (client !== undefined) {
      await client.dispose().catch((error: unknown) => {
        this.output.warn(`The codchi server did not end cleanly: ${String(error)}`);
      });
    }
  }

  private newClient(program: string, remote: RemoteFolder | undefined): LanguageClient {
    const options: LanguageClientOptions = {
      documentSelector: [
        { language: "nix", scheme: remote === undefined ? "file" : "vscode-remote" },
        // A new file that has no name yet.
        ...(remote === undefined ? [{ language: "nix", scheme: "untitled" }] : []),
      ],
      ...(remote === undefined
        ? {}
        : {
            uriConverters: {
              code2Protocol: (uri) => remote.toHost(uri).toString(),
              protocol2Code: (text) => remote.toWindow(vscode.Uri.parse(text)),
            },
          }),
      initializationOptions: settings(),
      outputChannel: this.output,
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      middleware: { executeCommand: (command, args: unknown[]) => this.runCommand(this, command, args) },
    };
    const client = new LanguageClient("codchi", "Codchi", { command: program, args: ["lsp"] }, options);
    client.registerFeature(announceInput);
    client.onRequest(InputRequest, ask);
    client.onNotification(MachinesChangedNotification, ({ machines }) => {
      this.setMachines(machines);
    });
    client.onNotification(EvaluationChangedNotification, (evaluation) => {
      this.lastEvaluation = evaluation;
      this.changed.fire();
    });
    client.onDidChangeState(({ newState }) => {
      // One that ends unasked is started again by the client, a few times.
      if (this.running?.client === client) {
        if (newState === State.Stopped) {
          this.setMachines([]);
        }
        this.setState(newState === State.Running ? "running" : newState === State.Starting ? "starting" : "failed");
      }
    });
    return client;
  }
}

const announceInput: StaticFeature = {
  fillClientCapabilities(capabilities) {
    capabilities.experimental = { ...(capabilities.experimental as object | undefined), codchi: { input: true, evaluation: true } };
  },
  initialize: () => undefined,
  getState: () => ({ kind: "static" }),
  clear: () => undefined,
};

function settings(): ServerSettings {
  const config = vscode.workspace.getConfiguration("codchi");
  const nixpkgs = config.get<string>("nixpkgs", "").trim();
  const personalModules = config.get<string[]>("personalModules", []);
  const sshConfig = { ask: null, always: true, never: false }[config.get<"ask" | "always" | "never">("sshConfig", "ask")];
  // What the person has not set is for config.toml to say.
  const set = config.inspect<string>("evaluation");
  const evaluation = set?.workspaceFolderValue ?? set?.workspaceValue ?? set?.globalValue;
  const diagnostics = config.get<Record<string, string>>("diagnostics", {});
  const formatter = config.get<string | string[]>("formatter", "auto");
  return {
    ...(nixpkgs === "" ? {} : { nixpkgs }),
    ...(personalModules.length === 0 ? {} : { personalModules }),
    sshConfig,
    ...(evaluation === undefined ? {} : { evaluation }),
    ...(vscode.workspace.isTrusted ? {} : { trusted: false }),
    ...(Object.keys(diagnostics).length === 0 ? {} : { diagnostics }),
    ...(formatter === "auto" ? {} : { formatter }),
  };
}

async function tellNotStarted(message: string): Promise<void> {
  const open = "Open Settings";
  const output = "Show Server Output";
  const choice = await vscode.window.showErrorMessage(message, open, output);
  if (choice === open) {
    await vscode.commands.executeCommand("workbench.action.openSettings", "codchi.server.path");
  } else if (choice === output) {
    await vscode.commands.executeCommand("codchi.showServerOutput");
  }
}
