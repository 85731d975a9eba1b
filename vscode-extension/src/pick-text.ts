// Texts of others in pick lists, where the editor takes `$(name)` for an icon.

/** The text as it is written, `$(name)` too. */
export function asWritten(text: string): string {
  return text.replace(/\$\([A-Za-z0-9-]+(~[A-Za-z]+)?\)/g, "\\$&");
}
