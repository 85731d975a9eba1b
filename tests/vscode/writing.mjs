// What a person does with the texts of a module in an editor of harness.mjs: opens, changes and saves them, reads what the
// editor says about them.

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

export class Writing {
  #editor;

  /** @param {import("./harness.mjs").Editor} editor */
  constructor(editor) {
    this.#editor = editor;
  }

  /** Rows of the Problems view that hold `text`. */
  problems(text) {
    return this.#editor.page.locator(".markers-panel .monaco-list-row", { hasText: text });
  }

  /** The first line of the text in front that holds `text`. */
  line(text) {
    return this.#editor.page.locator(".editor-instance .view-line", { hasText: text }).first();
  }

  /** Notifications on the screen. */
  get notifications() {
    return this.#editor.page.locator(".notifications-toasts .notification-list-item");
  }

  onDisk(file) {
    return readFileSync(join(this.#editor.workspace, file), "utf8");
  }

  /** Opens the workspace, and waits for `file` in the explorer. */
  async start(file) {
    const { page } = this.#editor;
    await this.#editor.open();
    await page.locator(".explorer-folders-view .monaco-list-row", { hasText: file }).waitFor();
  }

  /** Opens a file by its name; the cursor stands where `at` (line:column) says. */
  async open(file, at = "1:1") {
    const { page, quick, quickInput } = this.#editor;
    await page.keyboard.press("Control+p");
    await quickInput.fill(`${file}:${at}`);
    await quick.locator(".monaco-list-row.focused", { hasText: file }).waitFor();
    await page.keyboard.press("Enter");
    await page.locator(".tab.active", { hasText: file }).waitFor();
    await quick.waitFor({ state: "hidden" });
    const [line, column] = at.split(":");
    await page.locator(".statusbar-item", { hasText: `Ln ${line}, Col ${column}` }).waitFor();
  }

  /** Types `text` in place of the rest of the line that the cursor is in. */
  async replaceRest(text) {
    const { keyboard } = this.#editor.page;
    await keyboard.press("Shift+End");
    await keyboard.press("Delete");
    // As pasted: what the editor closes and suggests while one types is not meant here.
    await keyboard.insertText(text);
  }

  /** Rests the mouse on `word` in the first line that holds `text`. */
  async hover(text, word) {
    const line = this.line(text);
    const place = await line.evaluate((line, word) => {
      const texts = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
      while (texts.nextNode()) {
        const from = texts.currentNode.data.indexOf(word);
        if (from >= 0) {
          const range = document.createRange();
          range.setStart(texts.currentNode, from);
          range.setEnd(texts.currentNode, from + word.length);
          const { x, y, width, height } = range.getBoundingClientRect();
          return { x: x + width / 2, y: y + height / 2 };
        }
      }
      throw new Error(`${word} is not in the line`);
    }, word);
    await this.#editor.page.mouse.move(place.x - 2, place.y);
    await this.#editor.page.mouse.move(place.x, place.y);
  }

  async save() {
    const { page } = this.#editor;
    await page.keyboard.press("Control+s");
    await page.locator(".tab.active:not(.dirty)").waitFor();
  }
}

/** A folder of programs, for the PATH of an editor. */
export class Programs {
  #folder = mkdtempSync(join(tmpdir(), "codchi-programs-"));
  #path = process.env.PATH ?? "";

  /** A shell script called `name`; on its own PATH these programs are not. */
  add(name, script) {
    const file = this.file(name);
    writeFileSync(file, `#!/bin/sh\nPATH='${this.#path}'\n${script}\n`);
    chmodSync(file, 0o755);
  }

  file(name) {
    return join(this.#folder, name);
  }

  /** The files of a home whose editor has these programs: it takes PATH from a login shell. */
  get home() {
    return { ".profile": `PATH='${this.#folder}${delimiter}${this.#path}'\n` };
  }

  remove() {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
