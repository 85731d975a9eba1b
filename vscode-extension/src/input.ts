// Answers the server's questions (`codchi/input`) with the editor's boxes. Values go to the server and nowhere else.

import * as vscode from "vscode";
import type { Answer, ConfirmQuestion, PickQuestion, Question } from "./protocol";
import { compilePattern } from "./pattern";
import { asWritten } from "./pick-text";
import { askInForm } from "./secret-form";

/** Asks; the answer is null where the person closed the question, or the server took it back. */
export async function ask(question: Question, token: vscode.CancellationToken): Promise<Answer> {
  switch (question.kind) {
    case "text":
      return askLine(
        {
          title: question.title,
          prompt: question.prompt,
          value: question.value ?? "",
          password: false,
          pattern: question.pattern,
          mismatch: question.patternMessage ?? "This is not a valid value.",
        },
        token,
      );
    case "secret": {
      const { title, prompt, pattern } = question;
      const mismatch = "This does not have the form that the module asks for.";
      return question.multiline
        ? askInForm({ title, prompt, pattern, mismatch }, token)
        : askLine({ title, prompt, value: "", password: true, pattern, mismatch }, token);
    }
    case "pick":
      return askPick(question, token);
    case "confirm":
      return askConfirm(question);
  }
}

interface LineQuestion {
  title: string;
  prompt: string;
  value: string;
  password: boolean;
  pattern: string | null | undefined;
  mismatch: string;
}

/** One line, checked as it is typed and again when it is accepted. */
async function askLine(question: LineQuestion, token: vscode.CancellationToken): Promise<{ value: string } | null> {
  const pattern = compilePattern(question.pattern);
  const box = vscode.window.createInputBox();
  box.title = question.title;
  box.prompt = question.prompt;
  box.value = question.value;
  box.password = question.password;
  box.ignoreFocusOut = true;
  const disposables: vscode.Disposable[] = [box];
  try {
    return await new Promise((resolve) => {
      const done = (answer: { value: string } | null) => {
        resolve(answer);
      };
      disposables.push(
        box.onDidChangeValue((value) => {
          box.validationMessage = value === "" || pattern === undefined || pattern.test(value) ? undefined : question.mismatch;
        }),
        box.onDidAccept(() => {
          if (box.value === "") {
            box.validationMessage = "A value is needed. Escape cancels.";
          } else if (pattern !== undefined && !pattern.test(box.value)) {
            box.validationMessage = question.mismatch;
          } else {
            done({ value: box.value });
          }
        }),
        box.onDidHide(() => {
          done(null);
        }),
        token.onCancellationRequested(() => {
          done(null);
        }),
      );
      box.show();
    });
  } finally {
    vscode.Disposable.from(...disposables).dispose();
  }
}

async function askPick(question: PickQuestion, token: vscode.CancellationToken): Promise<Answer> {
  const items = question.items.map(({ label, detail }, index) => ({ label: asWritten(label), detail: asWritten(detail), index }));
  const options = { title: question.title, ignoreFocusOut: true, matchOnDetail: true };
  const picked = await vscode.window.showQuickPick(items, options, token);
  return picked === undefined ? null : { index: picked.index };
}

async function askConfirm({ title, detail, yes, no }: ConfirmQuestion): Promise<Answer> {
  const buttons = typeof no === "string" ? [yes, no] : [yes];
  const choice = await vscode.window.showWarningMessage(title, { modal: true, detail }, ...buttons);
  return choice === undefined ? null : { yes: choice === yes };
}
