// A module's patterns are POSIX extended regular expressions. Most are JavaScript ones too, and those are checked while
// the person types; what only the server can check is left to it.

/** The pattern as a check of the whole value; undefined where there is none or JavaScript cannot say the same. */
export function compilePattern(pattern: string | null | undefined): RegExp | undefined {
  if (pattern === null || pattern === undefined) {
    return undefined;
  }
  // Inside brackets POSIX has classes like [:alpha:], and takes a backslash for a backslash.
  if (/\[[.:=]|\[[^\]]*\\/.test(pattern)) {
    return undefined;
  }
  try {
    // With the flag u JavaScript refuses what it would otherwise read in a way of its own.
    return new RegExp(`^(?:${pattern})$`, "su");
  } catch {
    return undefined;
  }
}
