// What the codchi server speaks beyond LSP, declared once. The other side: server/codchi/PROTOCOL.md.

import { NotificationType, type Range, RequestType } from "vscode-languageclient/node";

/** The commands of `workspace/executeCommand`: what each takes (as its only argument) and what it gives. */
export interface ServerCommands {
  "codchi.machine.list": { params: Record<string, never>; result: MachineStatus[] };
  "codchi.machine.create": {
    params: { module: string; name?: string; project?: string; nixpkgs?: string };
    result: { name: string };
  };
  "codchi.machine.rebuild": { params: { name: string }; result: { name: string } };
  "codchi.machine.update": {
    params: { name?: string; module?: string; nixpkgs?: boolean; rebuild?: boolean };
    result: Updated;
  };
  "codchi.machine.nixpkgs": { params: { name: string; nixpkgs?: string }; result: { name: string; nixpkgs: string } };
  "codchi.module.list": { params: { name: string }; result: ModuleStatus[] };
  "codchi.module.add": {
    params: { name: string; modules?: string[]; personal?: boolean };
    result: { name: string; added: number };
  };
  "codchi.module.set": { params: { name: string; module?: string; source?: string }; result: { name: string } };
  "codchi.module.remove": { params: { name: string; module?: string }; result: { name: string } };
  "codchi.machine.preview": { params: { name: string; build?: boolean }; result: { markdown: string; preview: Preview } };
  "codchi.machine.generations": { params: { name: string }; result: { generations: GenerationStatus[] } };
  "codchi.machine.rollback": { params: { name: string; generation?: number }; result: { name: string } };
  "codchi.machine.discard": { params: { name: string; generations: number[] }; result: { deleted: number[] } };
  "codchi.machine.start": { params: { name: string }; result: { name: string } };
  "codchi.machine.stop": { params: { name: string }; result: { name: string } };
  "codchi.machine.delete": { params: { name: string; secrets?: boolean }; result: { name: string; deleted: boolean } };
  "codchi.machine.rename": { params: { name: string; to?: string }; result: { name: string } };
  "codchi.machine.duplicate": { params: { name: string; to?: string }; result: { name: string } };
  "codchi.machine.export": {
    params: { name: string; file: string; secrets?: boolean };
    result: { name: string; file: string };
  };
  "codchi.machine.exported": { params: { file: string }; result: ExportStatus };
  "codchi.machine.import": { params: { file: string; name?: string; project?: string }; result: { name: string } };
  "codchi.machine.open": { params: { name: string } | { module: string }; result: Attach };
  "codchi.machine.log": { params: { name: string }; result: { path: string | null } };
  "codchi.machine.permit": {
    params: { name: string; offer: string; allowed: boolean };
    result: { name: string; offer: string; allowed: boolean };
  };
  "codchi.secret.set": {
    params: { name: string; description?: string; machine?: string };
    result: { set: boolean } & Partial<Delivery>;
  };
  "codchi.secret.rotate": { params: { name: string; machine?: string }; result: { set: boolean } & Partial<Delivery> };
  "codchi.secret.remove": { params: { name: string; machine?: string }; result: { removed: boolean } & Partial<Delivery> };
  "codchi.secret.extract": {
    params: { uri: string; version: number | null; range: Range };
    result: { moved: boolean; name?: string };
  };
  "codchi.doctor": { params: Record<string, never>; result: { checks: DoctorCheck[] } };
  "codchi.gc": {
    params: { keep?: number; store?: boolean };
    result: { found: boolean; lines: string[]; freed: { failed: string[] } | null };
  };
}

export type ServerCommand = keyof ServerCommands;
export type Params<C extends ServerCommand> = ServerCommands[C]["params"];
export type Result<C extends ServerCommand> = ServerCommands[C]["result"];

/** Where a changed secret is now. */
export interface Delivery {
  /** The running machines that have it. */
  delivered: string[];
  /** Those that have not, and why; the server tells the person. */
  undelivered: { machine: string; reason: string }[];
}

/** What an export file holds. */
export interface ExportStatus {
  name: string | null;
  /** In seconds since 1970. */
  created: number;
  /** Where the machine's project was; absolute. */
  project: string | null;
  /** Whether there is such a folder here. */
  projectFound: boolean;
  secrets: boolean;
}

/** How a machine is; `running` and `stopped` are the driver's word. */
export type MachineState = "running" | "stopped" | "busy" | "interrupted" | "missing" | "unknown" | "orphaned";

/** A machine and how it is. */
export interface MachineStatus {
  name: string;
  state: MachineState;
  /** What is being done to it, by whichever process; where it is `interrupted`, what was. */
  operation: "create" | "rebuild" | "rollback" | "update" | "start" | "deliver" | "stop" | "delete" | "rename" | "duplicate" | "export" | "import" | null;
  driver: string;
  /** As a person writes them: a path or URL, with `#OUTPUT`. */
  modules: string[];
  /** Those of the modules that are the person's own, added to every machine. */
  personalModules: string[];
  /** `pin`, `follow:MODULE` or a flake URL. */
  nixpkgs: string;
  /** The local folders that the modules live in; absolute. */
  moduleFolders: string[];
  /** The folder on the host that is mounted in the machine; absolute. */
  project: string | null;
  /** Where that folder is in the machine; absolute. */
  workspace: string;
  sshHost: string;
  /** The current generation; 0 before the first. */
  generation: number;
  secrets: SecretStatus[];
  hostSecrets: HostSecretStatus[];
  capabilities: CapabilityStatus[];
  /** The log of the last operation; absolute. */
  log: string | null;
  /** What is wrong and what to do about it, as sentences. */
  problems: string[];
  /** What differs from what would be made now. */
  drift: Drift[];
}

/** A difference between a machine and what it would be if it was made now. */
export interface Drift {
  kind: "module-changed" | "capability-lost" | "capabilities-changed" | "secrets-changed" | "host-changed" | "instance-changed";
  /** What differs and what to do about it. */
  message: string;
  /** The operation that mends it. */
  cure: "rebuild" | "start" | null;
}

/** A module of a machine and what is locked of it. */
export interface ModuleStatus {
  /** From 1. */
  number: number;
  source: string;
  personal: boolean;
  /** Read anew at each rebuild, as it lies on this computer. */
  local: boolean;
  revision: Revision | null;
}

/** A revision that is locked. */
export interface Revision {
  commit: string | null;
  hash: string | null;
  /** In seconds since 1970. */
  date: number | null;
}

/** What an update did: to the nixpkgs that machines share, and to each machine. */
export interface Updated {
  shared: InputChange | null;
  machines: { name: string; changes: InputChange[]; error: string | null }[];
}

export interface InputChange {
  /** `nixpkgs`, or the source of a module. */
  name: string;
  from: Revision | null;
  to: Revision | null;
}

/** A generation of a machine. */
export interface GenerationStatus {
  number: number;
  /** When it became current first, in seconds since 1970. */
  created: number;
  current: boolean;
  /** What changed against the one before, in a line. */
  summary: string;
}

/** What a rebuild would change, as far as the extension looks at it; the document says it all. */
export interface Preview {
  same: boolean;
  /** Null where the new system is not built. */
  packages: object | null;
}

/** A secret that a machine's modules declare. */
export interface SecretStatus {
  name: string;
  description: string;
  required: boolean;
  set: boolean;
  /** The provider that has the value, where the vault has none; null where none is known to have it. */
  provider: string | null;
  /** Whether that is the machine's own value, and not the one for all machines. */
  own: boolean;
  /** Whether the running machine has another value than the vault. */
  stale: boolean;
  /** The modules that declare it. */
  declaredBy: string[];
  /** The systemd services that use it. */
  units: string[];
}

export const hostSecretNames = ["ca-certificates", "ssh-agent", "ssh-keys", "git-credentials", "tokens"] as const;

/** Something of the person's on this computer that a machine's modules ask for, or that the person has answered about. */
export interface HostSecretStatus {
  name: (typeof hostSecretNames)[number];
  asked: boolean;
  /** Null where the person was not asked yet. */
  allowed: boolean | null;
  available: boolean;
  /** What is there, or why there is nothing; a sentence. */
  message: string;
}

/** A capability that a machine's modules ask for, or that the person has answered about. */
export interface CapabilityStatus {
  name: string;
  required: boolean;
  allowed: boolean;
  /** Whether this computer offers it. */
  available: boolean;
  /** What was looked at, or what is wrong; a sentence. */
  message: string;
  /** What to do where it is not allowed, not available or does not work. */
  remedy: string | null;
  /** Whether it works in the machine, as of its last start; null where that was not looked at. */
  works: boolean | null;
}

/** How to get into a machine. */
export interface Attach {
  name: string;
  /** The alias for SSH; null where the SSH configuration may not be touched. */
  sshHost: string | null;
  /** The authority of a remote window in it, `ssh-remote+HOST` or `wsl+DISTRIBUTION`; null where there is no way for one. */
  remote: string | null;
  /** The folder in the machine. */
  folder: string;
  /** Program and arguments that give a shell in the machine. */
  terminal: string[];
}

/** One check of the host. */
export interface DoctorCheck {
  name: string;
  ok: boolean;
  /** Whether no machine works without it. */
  required: boolean;
  message: string;
  remedy?: string | null;
}

/** What an error answer to a command carries as `data`. */
export interface FailureData {
  /** The operation's log; absolute. */
  log?: string;
  /** Where the modules define what failed; counted from 1. */
  definition?: { file: string; line: number; column: number };
  cancelled?: boolean;
}

/** A question to the person. */
export type Question = TextQuestion | SecretQuestion | PickQuestion | ConfirmQuestion;

export interface TextQuestion {
  kind: "text";
  title: string;
  prompt: string;
  value?: string | null;
  /** A regular expression (POSIX extended) for the whole value. */
  pattern?: string | null;
  patternMessage?: string | null;
}

export interface SecretQuestion {
  kind: "secret";
  title: string;
  prompt: string;
  pattern?: string | null;
  multiline: boolean;
}

export interface PickQuestion {
  kind: "pick";
  title: string;
  items: { label: string; detail: string }[];
}

export interface ConfirmQuestion {
  kind: "confirm";
  title: string;
  detail: string;
  /** What the button says. */
  yes: string;
  /** What a second button says, where to decline is not to cancel. */
  no?: string | null;
}

/** The answer to a question; null where the person closed it. */
export type Answer = { value: string } | { index: number } | { yes: boolean } | null;

export const InputRequest = new RequestType<Question, Answer, void>("codchi/input");

export const MachinesChangedNotification = new NotificationType<{ machines: MachineStatus[] }>(
  "codchi/machinesChanged",
);

/** How the evaluations of the open files' modules are. */
export interface EvaluationStatus {
  /** Why nothing is evaluated at all. */
  off: "untrusted" | "setting" | null;
  modules: readonly ModuleEvaluation[];
}

export interface ModuleEvaluation {
  /** The module's folder or file, with `#OUTPUT`. */
  module: string;
  state: "evaluating" | "evaluated" | "failed";
  /** What happened and what to do about it, where it failed. */
  why?: string;
}

export const EvaluationChangedNotification = new NotificationType<EvaluationStatus>("codchi/evaluationChanged");

/** `initializationOptions`, and section `codchi` of `workspace/didChangeConfiguration`. */
export interface ServerSettings {
  nixpkgs?: string;
  personalModules?: string[];
  sshConfig?: boolean | null;
  evaluation?: string;
  /** Said where the person does not trust the workspace. */
  trusted?: false;
  diagnostics?: Record<string, string>;
  formatter?: string | string[];
}
