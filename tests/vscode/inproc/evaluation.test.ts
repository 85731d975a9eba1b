// The language status of modules: what the server tells of their evaluation, without a message.

import * as assert from "node:assert/strict";
import * as vscode from "vscode";
import type { EvaluationStatus as Status } from "../../../vscode-extension/src/protocol";
import { extension, replacing, until, writeWorld } from "./world";

/** An item as the extension fills it. */
class Item {
  text = "";
  detail = "";
  severity = vscode.LanguageStatusSeverity.Error;
  busy = false;
  command: vscode.Command | undefined;
  gone = false;
  dispose() {
    this.gone = true;
  }
}

describe("evaluation status", () => {
  it("follows what the server tells, and is gone where there is nothing to tell", async () => {
    const { ctx } = await extension();
    const items: Item[] = [];
    const create = () => {
      const item = new Item();
      items.push(item);
      return item;
    };
    await replacing(vscode.languages, "createLanguageStatusItem", create, async () => {
      const { Information, Warning } = vscode.LanguageStatusSeverity;
      const tell = async (told: Status) => {
        writeWorld("evaluation.json", told);
        await vscode.commands.executeCommand("codchi.refresh");
        await until("the status", () => JSON.stringify(ctx.evaluation) === JSON.stringify(told));
        const item = items.at(-1);
        return item === undefined || item.gone ? undefined : [item.text, item.detail, item.severity, item.busy];
      };
      const a = { module: "/a", state: "evaluated" } as const;
      const b = { module: "/b", state: "failed", why: "Nix took longer than 10 s." } as const;
      assert.equal(await tell({ off: null, modules: [] }), undefined);
      assert.deepEqual(await tell({ off: null, modules: [{ ...a, state: "evaluating" }] }), ["Evaluating …", "", Information, true]);
      assert.deepEqual(await tell({ off: null, modules: [a] }), ["Evaluated", "", Information, false]);
      assert.deepEqual(await tell({ off: null, modules: [b] }), ["Not evaluated", b.why, Warning, false]);
      assert.deepEqual(await tell({ off: null, modules: [a, b] }), ["Not evaluated", `/b: ${b.why}`, Warning, false]);
      assert.equal(items.length, 1, "it is one item");
      assert.equal(items[0]?.command?.command, "codchi.showServerOutput");
      assert.equal(await tell({ off: null, modules: [] }), undefined);
      for (const [off, detail] of [["untrusted", /not trusted/], ["setting", /codchi\.evaluation/]] as const) {
        const shown = await tell({ off, modules: [] });
        assert.equal(shown?.[0], "Not evaluated");
        assert.match(String(shown?.[1]), detail);
        assert.equal(shown?.[2], Information, "it is as the person wants it");
      }
      await tell({ off: null, modules: [] });
      assert.ok(items.at(-1)?.gone);
    });
  });
});
