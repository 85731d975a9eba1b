// The server's questions, as the person sees them, and the answers that go back.

import * as assert from "node:assert/strict";
import * as vscode from "vscode";
import type { Question } from "../../../vscode-extension/src/protocol";
import { extension, readWorld, replacing, until, writeWorld } from "./world";

/** A box that a test types into. */
class Box {
  title = "";
  prompt = "";
  value = "";
  password = false;
  ignoreFocusOut = false;
  validationMessage: string | undefined;
  private readonly changed = new vscode.EventEmitter<string>();
  private readonly accepted = new vscode.EventEmitter<void>();
  private readonly hidden = new vscode.EventEmitter<void>();
  readonly onDidChangeValue = this.changed.event;
  readonly onDidAccept = this.accepted.event;
  readonly onDidHide = this.hidden.event;
  shown = false;
  show() {
    this.shown = true;
  }
  dispose() {
    this.shown = false;
  }
  type(value: string) {
    this.value = value;
    this.changed.fire(value);
  }
  enter() {
    this.accepted.fire();
  }
  escape() {
    this.hidden.fire();
  }
}

/** Has the server ask `question`; what it was answered. */
async function asked(question: Question, answer: () => Promise<unknown>): Promise<unknown> {
  await extension();
  writeWorld("question.json", question);
  const running = vscode.commands.executeCommand("codchi.machine.create", { module: "/x/question" });
  await answer();
  await running;
  return readWorld("answer.json");
}

async function inBox(question: Question, type: (box: Box) => void): Promise<unknown> {
  const box = new Box();
  return replacing(vscode.window, "createInputBox", () => box, () =>
    asked(question, async () => {
      await until("the box", () => box.shown);
      type(box);
    }),
  );
}

describe("input", () => {
  const secret: Question = { kind: "secret", title: "Secret TOKEN", prompt: "The token of the service", multiline: false };

  it("asks for a secret in a password box that shows the description", async () => {
    const answer = await inBox(secret, (box) => {
      assert.deepEqual([box.title, box.prompt, box.password, box.ignoreFocusOut], ["Secret TOKEN", "The token of the service", true, true]);
      box.type("it's \"$x\"");
      box.enter();
    });
    assert.deepEqual(answer, { value: "it's \"$x\"" });
  });

  it("takes no empty value, and null for a closed box", async () => {
    const answer = await inBox(secret, (box) => {
      box.enter();
      assert.match(box.validationMessage ?? "", /A value is needed/);
      box.escape();
    });
    assert.equal(answer, null);
  });

  it("checks a pattern against the whole value while it is typed", async () => {
    const answer = await inBox({ ...secret, pattern: "tok_[0-9]+" }, (box) => {
      box.type("xtok_1");
      assert.match(box.validationMessage ?? "", /form that the module asks for/);
      box.enter();
      assert.ok(box.shown);
      box.type("tok_12");
      assert.equal(box.validationMessage, undefined);
      box.enter();
    });
    assert.deepEqual(answer, { value: "tok_12" });
  });

  it("leaves a pattern that JavaScript reads otherwise to the server", async () => {
    const answer = await inBox({ ...secret, pattern: "[[:digit:]]+" }, (box) => {
      box.type("12");
      assert.equal(box.validationMessage, undefined);
      box.enter();
    });
    assert.deepEqual(answer, { value: "12" });
  });

  it("asks for a text with a suggestion", async () => {
    const question: Question = { kind: "text", title: "Name", prompt: "Its name", value: "sample", pattern: "[a-z]+", patternMessage: "Small letters." };
    const answer = await inBox(question, (box) => {
      assert.deepEqual([box.value, box.password], ["sample", false]);
      box.type("Sample");
      assert.equal(box.validationMessage, "Small letters.");
      box.type("mine");
      box.enter();
    });
    assert.deepEqual(answer, { value: "mine" });
  });

  it("asks for a secret of several lines in a form that keeps no copy", async () => {
    let receive: ((message: unknown) => void) | undefined;
    let html = "";
    const sent: unknown[] = [];
    let disposed = false;
    const panel = {
      webview: {
        set html(text: string) {
          html = text;
        },
        onDidReceiveMessage: (listener: (message: unknown) => void) => {
          receive = listener;
          return { dispose: () => undefined };
        },
        postMessage: (message: unknown) => {
          sent.push(message);
          return Promise.resolve(true);
        },
      },
      onDidDispose: () => ({ dispose: () => undefined }),
      dispose: () => {
        disposed = true;
      },
    };
    const question: Question = { ...secret, prompt: "A <key>", multiline: true };
    const answer = await replacing(vscode.window, "createWebviewPanel", () => panel, () =>
      asked(question, async () => {
        const form = await until("the form", () => receive);
        assert.match(html, /A &#60;key&#62;/);
        assert.match(html, /default-src 'none'/);
        form({ type: "save", value: "" });
        form({ type: "save", value: "line 1\nline 2\n" });
      }),
    );
    assert.deepEqual(sent, [{ error: "A value is needed." }]);
    assert.deepEqual(answer, { value: "line 1\nline 2\n" });
    assert.ok(disposed);
  });

  it("answers a pick with the index, and null where the list is closed", async () => {
    const question: Question = { kind: "pick", title: "Which output?", items: [{ label: "a", detail: "" }, { label: "b", detail: "the second" }] };
    for (const [index, expected] of [[1, { index: 1 }], [2, null]] as const) {
      const pick = (items: vscode.QuickPickItem[]) => Promise.resolve(items[index]);
      const answer: unknown = await replacing(vscode.window, "showQuickPick", pick as never, () => asked(question, () => Promise.resolve()));
      assert.deepEqual(answer, expected);
    }
  });

  it("asks for consent in a dialogue, and takes a closed one for null", async () => {
    const question: Question = { kind: "confirm", title: "Delete alpha?", detail: "Its instance goes.", yes: "Delete" };
    for (const [button, expected] of [["Delete", { yes: true }], [undefined, null]] as const) {
      let told: unknown[] = [];
      const warn = (...message: unknown[]) => {
        told = message;
        return Promise.resolve(button);
      };
      const answer: unknown = await replacing(vscode.window, "showWarningMessage", warn as never, () => asked(question, () => Promise.resolve()));
      assert.deepEqual(answer, expected);
      assert.deepEqual(told, ["Delete alpha?", { modal: true, detail: "Its instance goes." }, "Delete"]);
    }
  });

  it("has a second button where to decline is not to cancel", async () => {
    const question: Question = { kind: "confirm", title: "Add it?", detail: "", yes: "Add", no: "Don't Add" };
    for (const [button, expected] of [["Add", { yes: true }], ["Don't Add", { yes: false }], [undefined, null]] as const) {
      const warn = (_title: string, _options: unknown, ...buttons: string[]) => {
        assert.deepEqual(buttons, ["Add", "Don't Add"]);
        return Promise.resolve(button);
      };
      const answer: unknown = await replacing(vscode.window, "showWarningMessage", warn as never, () => asked(question, () => Promise.resolve()));
      assert.deepEqual(answer, expected);
    }
  });
});
