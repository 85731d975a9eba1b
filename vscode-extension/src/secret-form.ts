// Asks for a secret of several lines, which no input box takes. A form in a panel of its own: an untitled editor would
// show the value, and the editor's backups would write it to disk.

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import { compilePattern } from "./pattern";

export interface SecretFormQuestion {
  title: string;
  prompt: string;
  pattern: string | null | undefined;
  /** What is said of a value that does not match. */
  mismatch: string;
}

type Message = { type: "save"; value: string } | { type: "cancel" } | { type: "file" };

export async function askInForm(
  question: SecretFormQuestion,
  token: vscode.CancellationToken,
): Promise<{ value: string } | null> {
  const pattern = compilePattern(question.pattern);
  // The value lives in the page only, so the page must live while another tab is in front.
  const panel = vscode.window.createWebviewPanel("codchi.secret", question.title, vscode.ViewColumn.Active, {
    enableScripts: true,
    retainContextWhenHidden: true,
    localResourceRoots: [],
  });
  panel.webview.html = page(question);
  const disposables: vscode.Disposable[] = [panel];
  try {
    return await new Promise((resolve) => {
      disposables.push(
        panel.webview.onDidReceiveMessage((message: Message) => {
          if (message.type === "cancel") {
            resolve(null);
          } else if (message.type === "file") {
            void loadFile(panel.webview);
          } else if (message.value === "") {
            void panel.webview.postMessage({ error: "A value is needed." });
          } else if (pattern !== undefined && !pattern.test(message.value)) {
            void panel.webview.postMessage({ error: question.mismatch });
          } else {
            resolve({ value: message.value });
          }
        }),
        panel.onDidDispose(() => {
          resolve(null);
        }),
        token.onCancellationRequested(() => {
          resolve(null);
        }),
      );
    });
  } finally {
    vscode.Disposable.from(...disposables).dispose();
  }
}

/** Most secrets of several lines are files already: a key, a certificate. */
async function loadFile(webview: vscode.Webview): Promise<void> {
  const [file] = (await vscode.window.showOpenDialog({ openLabel: "Take as Value", title: "Value of the Secret" })) ?? [];
  if (file === undefined) {
    return;
  }
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await vscode.workspace.fs.readFile(file));
    await webview.postMessage({ value: text });
  } catch (error) {
    const why = error instanceof TypeError ? "it is not UTF-8 text" : String(error);
    await webview.postMessage({ error: `The file cannot be taken: ${why}` });
  }
}

function page({ title, prompt }: SecretFormQuestion): string {
  const nonce = randomBytes(16).toString("base64");
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="UTF-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}';">
<title>${escape(title)}</title>
<style nonce="${nonce}">
  body { max-width: 50em; padding: 1em 2em; color: var(--vscode-foreground); font: var(--vscode-font-weight) var(--vscode-font-size) var(--vscode-font-family); }
  textarea { box-sizing: border-box; width: 100%; height: 16em; padding: .6em; resize: vertical;
    font: var(--vscode-editor-font-size) var(--vscode-editor-font-family);
    color: var(--vscode-input-foreground); background: var(--vscode-input-background); border: 1px solid var(--vscode-input-border, transparent); }
  textarea.hidden { -webkit-text-security: disc; }
  :focus-visible { outline: 1px solid var(--vscode-focusBorder); }
  #error { min-height: 1.5em; margin: .4em 0; color: var(--vscode-errorForeground); }
  .row { display: flex; gap: .6em; align-items: center; }
  .row label { margin-left: auto; }
  button { padding: .4em 1em; border: none; cursor: pointer; font: inherit; color: var(--vscode-button-secondaryForeground); background: var(--vscode-button-secondaryBackground); }
  button.main { color: var(--vscode-button-foreground); background: var(--vscode-button-background); }
</style>
</head>
<body>
<h2>${escape(title)}</h2>
<p id="prompt">${escape(prompt)}</p>
<form>
  <textarea class="hidden" aria-labelledby="prompt" autocomplete="off" spellcheck="false" autofocus></textarea>
  <p id="error" role="alert"></p>
  <div class="row">
    <button class="main" type="submit">Save</button>
    <button type="button" id="file">Take from File…</button>
    <button type="button" id="cancel">Cancel</button>
    <label><input type="checkbox" id="show"> Show the value</label>
  </div>
</form>
<script nonce="${nonce}">
  const editor = acquireVsCodeApi();
  const area = document.querySelector("textarea");
  const error = document.getElementById("error");
  area.focus();
  area.addEventListener("input", () => { error.textContent = ""; });
  document.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    editor.postMessage({ type: "save", value: area.value });
  });
  document.getElementById("file").addEventListener("click", () => editor.postMessage({ type: "file" }));
  document.getElementById("cancel").addEventListener("click", () => editor.postMessage({ type: "cancel" }));
  document.getElementById("show").addEventListener("change", (event) => area.classList.toggle("hidden", !event.target.checked));
  window.addEventListener("message", ({ data }) => {
    error.textContent = data.error ?? "";
    if (data.value !== undefined) { area.value = data.value; }
  });
</script>
</body>
</html>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
