// The tree of machines and what is said about each.

import * as assert from "node:assert/strict";
import * as vscode from "vscode";
import type { Node } from "../../../vscode-extension/src/machines-view";
import type { Drift } from "../../../vscode-extension/src/protocol";
import { capability, commandsSent, forget, hostSecret, machine, secret, setMachines, until, workspaceFolder } from "./world";

describe("view", () => {
  it("shows each machine's state, generation and icon", async () => {
    const { view } = await setMachines([
      machine("alpha", { generation: 3 }),
      machine("beta", { state: "stopped" }),
      machine("gamma", { state: "busy", operation: "rebuild" }),
      machine("epsilon", { state: "interrupted", operation: "create", generation: 0 }),
      machine("delta", { state: "missing", generation: 0 }),
    ]);
    const items = view.getChildren().map((node) => view.getTreeItem(node));
    const shown = items.map((item) => [item.label, item.description, (item.iconPath as vscode.ThemeIcon).id, item.contextValue]);
    assert.deepEqual(shown, [
      ["alpha", "running · generation 3", "vm-running", "machine.running"],
      ["beta", "stopped · generation 1", "vm-outline", "machine.stopped"],
      ["gamma", "rebuilding · generation 1", "loading~spin", "machine.busy"],
      ["epsilon", "interrupted", "debug-pause", "machine.interrupted"],
      ["delta", "missing", "circle-slash", "machine.missing"],
    ]);
  });

  it("shows problems, modules and secrets below a machine", async () => {
    const { view } = await setMachines([
      machine("alpha", {
        problems: ["Its instance is gone. Rebuild it."],
        drift: [
          { kind: "module-changed", message: "The module has changed.", cure: "rebuild" },
          { kind: "secrets-changed", message: "The vault has other secrets.", cure: "start" },
          { kind: "capability-lost", message: "There is no gpu.", cure: null },
        ],
        modules: [workspaceFolder(), "https://example.org/team/project#tools", "https://example.org/me"],
        personalModules: ["https://example.org/me"],
        secrets: [
          secret("TOKEN", { description: "for the service", declaredBy: ["/work/project"], units: ["web"] }),
          secret("EXTRA", { required: false, set: true, stale: true }),
          secret("GIVEN", { set: true, provider: "pass" }),
        ],
      }),
    ]);
    const below = await view.getChildren(view.getChildren()[0]);
    const children = below.map((node) => view.getTreeItem(node));
    assert.deepEqual(
      children.map((item) => [item.label, item.description ?? ""]),
      [
        ["Its instance is gone. Rebuild it.", ""],
        ["The module has changed.", ""],
        ["The vault has other secrets.", ""],
        ["There is no gpu.", ""],
        ["sample", workspaceFolder()],
        ["project#tools", "https://example.org/team/project"],
        ["me", "https://example.org/me · personal"],
        ["Secrets", "1 not set · 1 stale"],
        ["Generations", "current: 1"],
      ],
    );
    const shownBy = children.slice(1, 4).map((item) => item.contextValue);
    assert.deepEqual(shownBy, ["drift.rebuild", "drift.start", "drift"], "what the buttons that mend are shown by");
    const secrets = await view.getChildren(below.find(({ kind }) => kind === "secrets"));
    assert.deepEqual(
      secrets.map((node) => view.getTreeItem(node)).map((item) => [item.label, item.description, item.contextValue]),
      [
        ["TOKEN", "not set · web", "secret.missing"],
        ["EXTRA", "set · stale · optional", "secret.set"],
        ["GIVEN", "set", "secret.provided"],
      ],
    );
    const tooltip = (node: Node | undefined) => view.getTreeItem(node as Node).tooltip;
    assert.equal(tooltip(secrets[0]), "for the service\nNot set.\nDeclared by /work/project.\nUsed by web.service.");
    assert.equal(tooltip(secrets[2]), "Comes from the provider pass.");
    const opened = children[4]?.command?.arguments?.[0] as vscode.Uri;
    assert.equal(opened.fsPath, `${workspaceFolder()}/codchi.nix`);
  });

  it("shows below a machine what it may have of this computer, with a button for each answer that the person can give", async () => {
    const { view } = await setMachines([
      machine("alpha", {
        hostSecrets: [
          hostSecret("ca-certificates", { allowed: true }),
          hostSecret("ssh-agent"),
          hostSecret("ssh-keys", { allowed: false }),
          hostSecret("git-credentials", { allowed: true, available: false, message: "There is no git on this computer." }),
          hostSecret("tokens", { allowed: true, asked: false, message: "[link](command:evil)" }),
        ],
        capabilities: [
          capability("gpu", { works: true }),
          capability("cuda", { required: true, works: false, message: "cuda does not work.", remedy: "Update the driver." }),
          capability("audio", { available: false, message: "There is no sound server.", remedy: "Install one." }),
          capability("kvm", { allowed: false, message: "You have denied it to this machine." }),
          capability("ssh-agent", { allowed: false }),
          capability("fuse"),
        ],
      }),
      machine("beta", { secrets: [], hostSecrets: [], capabilities: [] }),
    ]);
    const [alpha, beta] = view.getChildren();
    const groups = (await view.getChildren(alpha)).filter(({ kind }) => kind === "hostSecrets" || kind === "capabilities");
    const item = (node: Node) => view.getTreeItem(node);
    assert.deepEqual(
      groups.map(item).map(({ label, description }) => [label, description]),
      [
        ["Host Secrets", "1 not asked yet · 1 not on this computer"],
        ["Capabilities", "1 not asked yet · 1 not on this computer · 1 does not work"],
      ],
    );
    const shown = async (group: Node | undefined) =>
      (await view.getChildren(group)).map(item).map(({ label, description, contextValue }) => [label, description, contextValue]);
    assert.deepEqual(await shown(groups[0]), [
      ["ca-certificates", "given", "offer.deny"],
      ["ssh-agent", "not asked yet", "offer.allow.deny"],
      ["ssh-keys", "denied", "offer.allow"],
      ["git-credentials", "not on this computer", "offer.deny"],
      ["tokens", "given", "offer.deny"],
    ]);
    assert.deepEqual(await shown(groups[1]), [
      ["gpu", "works", "offer.deny"],
      ["cuda", "does not work · required", "offer.deny"],
      ["audio", "not on this computer", "offer.deny"],
      ["kvm", "denied", "offer.allow"],
      ["ssh-agent", "not asked yet", "offer.allow.deny"],
      ["fuse", "given", "offer.deny"],
    ]);
    const tooltips = (await Promise.all(groups.map((group) => view.getChildren(group)))).map((nodes) => nodes.map(item).map(({ tooltip }) => tooltip));
    assert.equal(tooltips[0]?.[4], "[link](command:evil)\nNo module of the machine asks for it.", "a text, and no Markdown");
    assert.equal(tooltips[1]?.[1], "cuda does not work.\nUpdate the driver.");
    const { menus } = vscode.extensions.getExtension("codchi.codchi")?.packageJSON.contributes;
    const buttons: { command: string; when: string; group: string }[] = menus["view/item/context"];
    for (const [value, expected] of [
      ["offer.allow", ["codchi.allowOffer"]],
      ["offer.deny", ["codchi.denyOffer"]],
      ["offer.allow.deny", ["codchi.allowOffer", "codchi.denyOffer"]],
    ] as const) {
      const inline = buttons.filter(({ command, group }) => command.endsWith("Offer") && group.startsWith("inline"));
      const matches = inline.filter(({ when }) => new RegExp(/viewItem =~ \/(.*)\/$/.exec(when)?.[1] ?? "").test(value));
      assert.deepEqual(matches.map(({ command }) => command), expected);
    }
    assert.deepEqual((await view.getChildren(beta)).map(({ kind }) => kind), ["module", "generations"]);
  });

  it("says beside a machine what has changed, with a button for each change that can be mended", async () => {
    const drifted = (kind: Drift["kind"], cure: Drift["cure"]) => ({ kind, message: `${kind}.`, cure });
    const { view } = await setMachines([
      machine("alpha", { drift: [drifted("secrets-changed", "start")] }),
      machine("beta", { state: "stopped", drift: [drifted("module-changed", "rebuild"), drifted("instance-changed", "start")] }),
    ]);
    const descriptions = view.getChildren().map((node) => view.getTreeItem(node).description);
    assert.deepEqual(descriptions, [
      "running · generation 1 · secrets changed",
      "stopped · module changed since generation 1 · instance changed",
    ]);
    const { menus } = vscode.extensions.getExtension("codchi.codchi")?.packageJSON.contributes;
    const buttons: { command: string; when: string; group: string }[] = menus["view/item/context"];
    for (const [cure, command] of [
      ["rebuild", "codchi.rebuildMachine"],
      ["start", "codchi.startMachine"],
    ]) {
      const shown = buttons.filter(({ when }) => when.endsWith(`viewItem == drift.${cure}`));
      assert.deepEqual(
        shown.map((button) => [button.command, button.group]),
        [[command, "inline"]],
      );
    }
    // The button is pressed on what drifted, and the command is about its machine.
    const [node] = view.getChildren();
    const [drift] = await view.getChildren(node);
    forget();
    await vscode.commands.executeCommand("codchi.startMachine", drift);
    assert.deepEqual(commandsSent()[0]?.argument, { name: "alpha" });
  });

  it("shows names and problems in tooltips as they are, not as Markdown", async () => {
    const { view } = await setMachines([machine("alpha", { problems: ["[link](command:evil) **bold**"] })]);
    const [node] = view.getChildren();
    const tooltip = view.getTreeItem(node as Node).tooltip as vscode.MarkdownString;
    assert.ok(!tooltip.value.includes("[link](command:evil)"), tooltip.value);
    assert.ok(!tooltip.isTrusted);
  });

  it("follows what the server tells", async () => {
    const { view, ctx } = await setMachines([]);
    assert.deepEqual(view.getChildren(), []);
    let fired = 0;
    const listener = view.onDidChangeTreeData(() => fired++);
    await setMachines([machine("alpha")]);
    await until("the change", () => fired > 0);
    listener.dispose();
    assert.equal(view.getChildren().length, 1);
    assert.equal(ctx.machine("alpha")?.state, "running");
  });
});
