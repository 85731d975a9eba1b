// Commands that take their time, fail or are cancelled.

import * as assert from "node:assert/strict";
import * as vscode from "vscode";
import { capability, commandsSent, forget, hostSecret, machine, replacing, secret, setMachines, until, workspaceFolder } from "./world";

describe("run", () => {
  beforeEach(async () => {
    await setMachines([machine("alpha")]);
    forget();
  });

  it("tells a failure with the server's words and shows the log at a click", async () => {
    let told: string[] = [];
    const show = (...message: string[]) => {
      told = message;
      return Promise.resolve("Show Log");
    };
    await replacing(vscode.window, "showErrorMessage", show, async () => {
      await vscode.commands.executeCommand("codchi.createMachine", vscode.Uri.file(`${workspaceFolder()}/other/codchi.nix`));
      await until("the log", () => vscode.window.activeTextEditor?.document.fileName.endsWith("create.log"));
    });
    assert.deepEqual(told, ["Building the system failed: the builder failed. See the log.", "Show Log"]);
    assert.match(vscode.window.activeTextEditor?.document.getText() ?? "", /The builder failed\./);
  });

  it("runs the server's own commands, as a lens names them, with the same progress and failure", async () => {
    let told: string[] = [];
    const show = (...message: string[]) => {
      told = message;
      return Promise.resolve(undefined);
    };
    await replacing(vscode.window, "showErrorMessage", show, async () => {
      await vscode.commands.executeCommand("codchi.machine.create", { module: "/x/broken" });
      await until("the message", () => told.length > 0);
    });
    assert.equal(told[1], "Show Log");
    assert.ok(commandsSent()[0]?.workDoneToken, "no progress was asked for");
  });

  it("shows progress that can be cancelled, which cancels the request and is no failure", async () => {
    const errors: string[] = [];
    const reports: unknown[] = [];
    let title = "";
    let cancellable: boolean | undefined;
    const cancel = new vscode.CancellationTokenSource();
    const withProgress = (
      options: vscode.ProgressOptions,
      task: (progress: vscode.Progress<unknown>, token: vscode.CancellationToken) => Thenable<unknown>,
    ) => {
      title = options.title ?? "";
      cancellable = options.cancellable;
      return task({ report: (value) => reports.push(value) }, cancel.token);
    };
    const show = (message: string) => {
      errors.push(message);
      return Promise.resolve(undefined);
    };
    await replacing(vscode.window, "showErrorMessage", show, () =>
      replacing(vscode.window, "withProgress", withProgress as never, async () => {
        const running = vscode.commands.executeCommand("codchi.machine.create", { module: "/x/slow", name: "beta" });
        await until("progress", () => reports.length > 0);
        cancel.cancel();
        await running;
      }),
    );
    assert.match(title, /^Creating code machine beta \(\[show log\]\(command:codchi\.showLog/);
    assert.equal(cancellable, true);
    assert.deepEqual(reports, [{ message: "Building the system", increment: 10 }]);
    assert.deepEqual(errors, []);
  });

  it("says that a machine has no log where it has none", async () => {
    let told = "";
    const show = (message: string) => {
      told = message;
      return Promise.resolve(undefined);
    };
    await replacing(vscode.window, "showInformationMessage", show, async () =>
      vscode.commands.executeCommand("codchi.showLog", "alpha"),
    );
    assert.equal(told, "Code machine alpha has no log yet.");
  });

  it("asks which machine where there are several, this folder's first", async () => {
    await setMachines([machine("alpha", { state: "stopped" }), machine("beta", { state: "stopped", project: workspaceFolder() })]);
    forget();
    let labels: string[] = [];
    const pick = (items: vscode.QuickPickItem[]) => {
      labels = items.map(({ label }) => label);
      return Promise.resolve(items[1]);
    };
    await replacing(vscode.window, "showQuickPick", pick as never, async () =>
      vscode.commands.executeCommand("codchi.startMachine"),
    );
    assert.deepEqual(labels, ["beta", "alpha"]);
    assert.deepEqual(commandsSent()[0]?.argument, { name: "alpha" });
  });

  it("sets the secret that is picked", async () => {
    await setMachines([
      machine("alpha", { secrets: [secret("TOKEN", { description: "for the service" })] }),
    ]);
    forget();
    const pick = (items: vscode.QuickPickItem[]) => Promise.resolve(items[0]);
    await replacing(vscode.window, "showQuickPick", pick as never, async () =>
      vscode.commands.executeCommand("codchi.setSecret"),
    );
    assert.deepEqual(commandsSent()[0]?.argument, { name: "TOKEN", description: "for the service", machine: "alpha" });
  });

  it("rotates and removes the value that the machine has, the latter only when that is said", async () => {
    const { view } = await setMachines([machine("alpha", { secrets: [secret("OWN", { set: true, own: true }), secret("ALL", { set: true })] })]);
    const all = (await view.getChildren(view.getChildren()[0])).find(({ kind }) => kind === "secrets");
    const [own, shared] = await view.getChildren(all);
    forget();
    await vscode.commands.executeCommand("codchi.rotateSecret", own);
    for (const answer of [undefined, "Remove"]) {
      const ask = () => Promise.resolve(answer);
      await replacing(vscode.window, "showWarningMessage", ask as never, async () =>
        vscode.commands.executeCommand("codchi.removeSecret", shared),
      );
    }
    assert.deepEqual(
      commandsSent().map(({ command, argument }) => [command, argument]),
      [
        ["codchi.secret.rotate", { name: "OWN", machine: "alpha" }],
        ["codchi.secret.remove", { name: "ALL" }],
      ],
    );
  });

  it("allows and denies what is chosen in the tree, or else in a list of what can be", async () => {
    const { view } = await setMachines([
      machine("alpha", {
        hostSecrets: [hostSecret("ssh-agent", { allowed: true }), hostSecret("tokens", { allowed: false })],
        capabilities: [capability("ssh-agent"), capability("gpu"), capability("kvm", { allowed: false })],
      }),
    ]);
    const group = (await view.getChildren(view.getChildren()[0])).find(({ kind }) => kind === "hostSecrets");
    const [agent] = await view.getChildren(group);
    forget();
    await vscode.commands.executeCommand("codchi.denyOffer", agent);
    const lists: string[][] = [];
    const pick = (items: vscode.QuickPickItem[]) => {
      lists.push(items.map(({ label }) => label));
      return Promise.resolve(items.at(-1));
    };
    await replacing(vscode.window, "showQuickPick", pick as never, async () => {
      await vscode.commands.executeCommand("codchi.allowOffer");
      await vscode.commands.executeCommand("codchi.denyOffer", "alpha");
    });
    assert.deepEqual(lists, [
      ["ca-certificates", "ssh-keys", "git-credentials", "tokens", "kvm"],
      ["ssh-agent", "gpu"],
    ]);
    assert.deepEqual(
      commandsSent().map(({ command, argument }) => [command, argument]),
      [
        ["codchi.machine.permit", { name: "alpha", offer: "ssh-agent", allowed: false }],
        ["codchi.machine.permit", { name: "alpha", offer: "kvm", allowed: true }],
        ["codchi.machine.permit", { name: "alpha", offer: "gpu", allowed: false }],
      ],
    );
    assert.ok(commandsSent()[0]?.workDoneToken, "no progress was asked for");
  });

  it("says that nothing can be denied where a machine has nothing of this computer", async () => {
    let told = "";
    const show = (message: string) => {
      told = message;
      return Promise.resolve(undefined);
    };
    await replacing(vscode.window, "showInformationMessage", show, async () =>
      vscode.commands.executeCommand("codchi.denyOffer", "alpha"),
    );
    assert.equal(told, "Code machine alpha has nothing of this computer that could be denied.");
    assert.deepEqual(commandsSent(), []);
  });

  it("puts what the doctor finds amiss first, and copies the remedy", async () => {
    let items: vscode.QuickPickItem[] = [];
    const pick = (all: vscode.QuickPickItem[]) => {
      items = all;
      return Promise.resolve(all[0]);
    };
    await replacing(vscode.window, "showQuickPick", pick as never, async () => vscode.commands.executeCommand("codchi.runDoctor"));
    assert.equal(await vscode.env.clipboard.readText(), "Start LXD with $(which lxd)$(lxd-path).");
    assert.deepEqual(
      items.map(({ label, description, detail }) => [label, description, detail]),
      [
        // What looks like an icon is none.
        ["lxd", "No socket answers.", "Start LXD with $(which lxd)\\$(lxd-path)."],
        ["ssh", "There is no ssh.", undefined],
        ["nix", "Nix 2.18", undefined],
      ],
    );
  });

  it("frees disk space, of the Nix store only where that is chosen, and says what is freed", async () => {
    const told: unknown[][] = [];
    const show = (...message: unknown[]) => {
      told.push(message);
      return Promise.resolve(undefined);
    };
    const free = async (index: number) => {
      const pick = (items: vscode.QuickPickItem[]) => Promise.resolve(items[index]);
      await replacing(vscode.window, "showQuickPick", pick as never, async () => vscode.commands.executeCommand("codchi.freeDiskSpace"));
    };
    await replacing(vscode.window, "showInformationMessage", show, () =>
      replacing(vscode.window, "showWarningMessage", show, async () => {
        await free(0);
        await free(1);
      }),
    );
    assert.deepEqual(
      commandsSent().map(({ argument }) => argument),
      [{ store: false }, { store: true }],
    );
    assert.deepEqual(told, [
      ["There is no disk space to free."],
      ["Disk space is freed.", { modal: true, detail: "- generation 1 of alpha\n! stays: b is busy" }],
    ]);
  });

  it("refuses to create a machine of a folder that is not trusted", async () => {
    let told = "";
    const warn = (message: string) => {
      told = message;
      return Promise.resolve(undefined);
    };
    const real = Object.getOwnPropertyDescriptor(vscode.workspace, "isTrusted");
    Object.defineProperty(vscode.workspace, "isTrusted", { configurable: true, get: () => false });
    try {
      await replacing(vscode.window, "showWarningMessage", warn as never, async () =>
        vscode.commands.executeCommand("codchi.machine.open", { name: "alpha" }),
      );
    } finally {
      if (real !== undefined) {
        Object.defineProperty(vscode.workspace, "isTrusted", real);
      }
    }
    assert.match(told, /Trust the folder/);
    assert.deepEqual(commandsSent(), []);
  });
});
