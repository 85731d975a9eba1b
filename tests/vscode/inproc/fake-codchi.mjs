// A stand-in for `codchi`: as much of the protocol as the tests in this folder need. Its world is a folder ($CODCHI_FAKE):
// it reads the machines from machines.json and the evaluations from evaluation.json, and writes each command that it gets to commands.jsonl.

import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createMessageConnection, ResponseError, StreamMessageReader, StreamMessageWriter } from "vscode-jsonrpc/node";

const world = process.env.CODCHI_FAKE;
if (process.argv[2] === "--version") {
  console.log("codchi 0.0.0");
  process.exit(0);
}
if (process.argv[2] === "exec") {
  await new Promise((resolve) => process.stdin.on("end", resolve).resume());
}
if (process.argv[2] !== "lsp") {
  process.exit(2);
}

const connection = createMessageConnection(
  new StreamMessageReader(process.stdin),
  new StreamMessageWriter(process.stdout),
);
const read = (name, otherwise) => {
  const file = join(world, name);
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : otherwise;
};
const machines = () => read("machines.json", []);
const failed = 1;

const commands = {
  "codchi.machine.list": () => {
    void connection.sendNotification("codchi/evaluationChanged", read("evaluation.json", { off: null, modules: [] }));
    return machines();
  },
  // `create` does what the module's name says.
  "codchi.machine.create": async ({ module }, workDoneToken, token) => {
    const progress = (value) => connection.sendNotification("$/progress", { token: workDoneToken, value });
    if (module.endsWith("question")) {
      return connection.sendRequest("codchi/input", JSON.parse(readFileSync(join(world, "question.json"), "utf8")), token).then((answer) => {
        writeFileSync(join(world, "answer.json"), JSON.stringify(answer));
        return { name: "asked" };
      });
    }
    if (module.endsWith("slow")) {
      progress({ kind: "begin", title: "Create", message: "Building the system", percentage: 10 });
      await new Promise((resolve) => token.onCancellationRequested(resolve));
      throw new ResponseError(-32800, "Cancelled", { cancelled: true });
    }
    writeFileSync(join(world, "create.log"), "line 1\nThe builder failed.\n");
    throw new ResponseError(failed, "Building the system failed: the builder failed. See the log.", { log: join(world, "create.log") });
  },
  "codchi.machine.open": ({ name, module }) => ({
    name: name ?? "made",
    sshHost: name === "stopped" ? null : `codchi-${name ?? "made"}`,
    remote: name === "stopped" ? null : name === "windows" ? "wsl+codchi-windows" : `ssh-remote+codchi-${name ?? "made"}`,
    folder: "/home/codchi/sample",
    terminal: [join(world, "codchi"), "exec", name ?? module],
  }),
  "codchi.machine.update": ({ name }) => {
    const from = { commit: "0123456789", hash: "sha256-x", date: 1_762_128_000 };
    const same = { name: "nixpkgs", from, to: from };
    const changed = { name: "https://example.org/team/project#default", from, to: { ...from, commit: "abcdef0123", date: 1_762_300_800 } };
    return { shared: same, machines: [{ name, changes: name === "newest" ? [same] : [changed, same], error: null }] };
  },
  "codchi.machine.rebuild": ({ name }) => ({ name }),
  "codchi.machine.nixpkgs": ({ name }) => ({ name, nixpkgs: "pin" }),
  "codchi.module.add": ({ name }) => ({ name, added: 1 }),
  "codchi.module.set": ({ name }) => ({ name }),
  "codchi.module.remove": ({ name }) => ({ name }),
  "codchi.machine.generations": () => ({
    generations: [
      { number: 1, created: 1700000000, current: false, summary: "" },
      { number: 2, created: 1700000000, current: true, summary: "1 package added" },
    ],
  }),
  "codchi.machine.rollback": ({ name }) => ({ name }),
  "codchi.machine.discard": ({ generations }) => ({ deleted: generations }),
  // Compared only where it is built; `broken` names what is to blame.
  "codchi.machine.preview": ({ name, build }) => {
    if (name === "broken") {
      throw new ResponseError(failed, "broken.service failed", { definition: { file: join(world, "codchi.nix"), line: 2, column: 3 } });
    }
    return { markdown: `# Rebuild of ${name}\n\nBuilt: ${build === true}\n`, preview: { same: false, packages: build ? {} : null } };
  },
  "codchi.machine.rename": ({ name }) => ({ name: `${name}-x` }),
  "codchi.machine.duplicate": ({ name }) => ({ name: `${name}-x` }),
  "codchi.machine.export": ({ name, file }) => ({ name, file }),
  // A project is where it was, unless the file's name says otherwise.
  "codchi.machine.exported": ({ file }) => ({
    name: "alpha",
    created: 0,
    project: "/old/project",
    projectFound: !file.includes("moved"),
    secrets: false,
  }),
  "codchi.machine.import": () => ({ name: "alpha" }),
  "codchi.machine.start": ({ name }) => ({ name }),
  // With the store everything is freed but one thing; without it there is nothing.
  "codchi.gc": ({ store }) =>
    store
      ? { found: true, lines: ["- generation 1 of alpha", "! stays: b is busy"], freed: { failed: ["b is busy"] } }
      : { found: false, lines: [], freed: null },
  "codchi.machine.log": () => ({ path: null }),
  "codchi.secret.set": () => ({ set: true }),
  "codchi.secret.rotate": () => ({ set: true, delivered: ["alpha"], undelivered: [] }),
  "codchi.secret.remove": () => ({ removed: true, delivered: [], undelivered: [] }),
  "codchi.machine.permit": (permit) => permit,
  "codchi.doctor": () => ({
    checks: [
      { name: "nix", ok: true, required: true, message: "Nix 2.18" },
      { name: "ssh", ok: false, required: false, message: "There is no ssh." },
      { name: "lxd", ok: false, required: true, message: "No socket answers.", remedy: "Start LXD with $(which lxd)$(lxd-path)." },
    ],
  }),
};

connection.onRequest("initialize", (params) => {
  writeFileSync(join(world, "initialize.json"), JSON.stringify(params));
  return { capabilities: { executeCommandProvider: { commands: Object.keys(commands) } } };
});
connection.onNotification("initialized", () => {
  void connection.sendNotification("codchi/machinesChanged", { machines: machines() });
});
connection.onNotification("workspace/didChangeConfiguration", (params) => {
  writeFileSync(join(world, "configuration.json"), JSON.stringify(params));
});
connection.onRequest("workspace/executeCommand", ({ command, arguments: [argument], workDoneToken }, token) => {
  appendFileSync(join(world, "commands.jsonl"), `${JSON.stringify({ command, argument, workDoneToken })}\n`);
  return commands[command](argument, workDoneToken, token);
});
connection.onRequest("shutdown", () => null);
connection.onNotification("exit", () => process.exit(0));
connection.onClose(() => process.exit(0));
connection.listen();
