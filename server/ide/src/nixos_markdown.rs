//! Documentation of NixOS options as plain Markdown.
//!
//! nixpkgs writes it in a Markdown of its own (roles, anchors, admonitions), older modules in remnants of DocBook. It is
//! the text of strangers: bounded in length, without HTML, with links to pages of the web only.

use crate::{CatalogueEntry, CatalogueOption};
use codchi_module::OptionPath;

/// How much of a description is shown.
const MAX_DESCRIPTION: usize = 4_000;
/// How much of a default or an example is shown.
const MAX_CODE: usize = 1_500;

/// How many names are listed.
const MAX_LISTED: usize = 20;

/// An option's documentation: its path and type, and what it does.
pub(crate) fn documented(path: &[String], option: &CatalogueOption) -> String {
    let title = format!("`{}`: {}", OptionPath::from(path), plain(&option.kind));
    [title, described(option)].join("\n\n").trim_end().to_owned()
}

/// What an option does, for where its name and type are shown already.
pub(crate) fn described(option: &CatalogueOption) -> String {
    let mut parts = Vec::new();
    if option.read_only {
        parts.push("It can only be read.".to_owned());
    }
    parts.push(cleaned(&option.description));
    parts.extend(option.default.as_deref().map(|nix| format!("Default:{}", code(nix))));
    parts.extend(option.example.as_deref().map(|nix| format!("Example:{}", code(nix))));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// What is below a path that only leads to options; `None` where nothing is.
pub(crate) fn listed(path: &[String], children: &[CatalogueEntry]) -> Option<String> {
    if children.is_empty() {
        return None;
    }
    let mut text = format!("`{}`: options\n", OptionPath::from(path));
    for child in children.iter().take(MAX_LISTED) {
        text.push_str(&format!("\n- `{}`", child.name));
        text.extend(child.kind.as_deref().map(|kind| format!(": {}", plain(kind))));
    }
    if children.len() > MAX_LISTED {
        text.push_str(&format!("\n- and {} more", children.len() - MAX_LISTED));
    }
    Some(text)
}

/// An expression as code, on a line of its own where it needs one.
fn code(nix: &str) -> String {
    let nix = nix.trim();
    let shown = cut(nix, MAX_CODE);
    let mark = if shown.len() < nix.len() { "\n…" } else { "" };
    if shown.contains(['\n', '`']) || !mark.is_empty() {
        let fence = "`".repeat((longest_run(shown) + 1).max(3));
        format!("\n\n{fence}nix\n{shown}{mark}\n{fence}")
    } else {
        format!(" `{shown}`")
    }
}

/// How many backticks are in a row.
fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// The text's beginning, not longer than that.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// A word or two that are no Markdown.
fn plain(text: &str) -> String {
    let text = cut(text, 300);
    text.chars().fold(String::new(), |mut plain, c| {
        if matches!(c, '\\' | '<' | '*' | '_' | '`' | '[' | ']') {
            plain.push('\\');
        }
        plain.push(if c == '\n' { ' ' } else { c });
        plain
    })
}

/// A description as Markdown that every editor shows.
pub(crate) fn cleaned(description: &str) -> String {
    let description = description.trim();
    let shown = cut(description, MAX_DESCRIPTION);
    let mut text = String::new();
    let mut fence: Option<&str> = None;
    for line in shown.lines() {
        let start = line.trim_start();
        let run = start.len() - start.trim_start_matches('`').len();
        match fence {
            Some(open) => {
                if start.trim_end() == open {
                    fence = None;
                }
                text.push_str(line);
            }
            None if run >= 3 => {
                fence = start.get(..run);
                text.push_str(line);
            }
            None if start.starts_with(":::") => text.push_str(&admonition(start)),
            None => inline(line, &mut text),
        }
        text.push('\n');
    }
    if shown.len() < description.len() {
        text.truncate(text.trim_end().len());
        text.push_str("…\n");
    }
    text.extend(fence);
    text.trim().to_owned()
}

/// What begins or ends a note: `:::{.warning}`, `:::`.
fn admonition(line: &str) -> String {
    let kind: String = line.chars().filter(|c| c.is_ascii_alphabetic()).collect();
    match kind.get(..1) {
        Some(first) => format!("**{}{}.**", first.to_ascii_uppercase(), kind.get(1..).unwrap_or_default()),
        None => String::new(),
    }
}

/// One line outside of code.
fn inline(line: &str, out: &mut String) {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '`' => code_span(rest, out),
            '{' => role(rest),
            '[' => link(rest, out),
            '!' if rest.starts_with("![") => Some(1),
            '<' => tag(rest, out),
            _ => None,
        };
        let taken = taken.unwrap_or_else(|| {
            out.extend((c == '<').then_some('\\'));
            out.push(c);
            c.len_utf8()
        });
        rest = rest.get(taken..).unwrap_or_default();
    }
}

/// `` `code` ``, as it is.
fn code_span(text: &str, out: &mut String) -> Option<usize> {
    let run = text.len() - text.trim_start_matches('`').len();
    let ticks = text.get(..run)?;
    let mut at = run;
    loop {
        let end = at + text.get(at..)?.find(ticks)?;
        let longer = text.get(end + run..)?.starts_with('`');
        if !longer {
            out.push_str(text.get(..end + run)?);
            return Some(end + run);
        }
        at = end + run + text.get(end + run..)?.bytes().take_while(|byte| *byte == b'`').count();
    }
}

/// `{option}` before code, and anchors (`{#id}`), which say nothing to a reader.
fn role(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let name = text.get(1..end)?;
    let is_role = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_before_code = text.get(end + 1..)?.starts_with('`');
    (is_role && is_before_code || name.starts_with('#')).then_some(end + 1)
}

/// `[text](target)`: with its target where that is a page; `[](#opt-a.b)` is the option's name.
fn link(text: &str, out: &mut String) -> Option<usize> {
    let middle = text.find("](")?;
    let label = text.get(1..middle)?;
    let target_start = middle + 2;
    let end = target_start + text.get(target_start..)?.find(')')?;
    if label.contains(['[', ']']) {
        return None;
    }
    let target = text.get(target_start..end)?.trim();
    let mut shown = String::new();
    inline(label, &mut shown);
    match (is_page(target), shown.is_empty()) {
        (true, true) => out.push_str(&format!("<{target}>")),
        (true, false) => out.push_str(&format!("[{shown}]({target})")),
        (false, true) => out.push_str(&format!("`{}`", name_of(target))),
        (false, false) => out.push_str(&shown),
    }
    Some(end + 1)
}

fn is_page(target: &str) -> bool {
    let is_web = target.starts_with("https://") || target.starts_with("http://");
    is_web && !target.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '(' | ')' | '"'))
}

/// What an anchor is called: `#opt-services.nginx.enable`.
fn name_of(target: &str) -> String {
    let name = target.trim_start_matches('#');
    name.strip_prefix("opt-").unwrap_or(name).replace('`', "")
}

/// An element of DocBook or HTML: code becomes code, links links, of all others the text remains.
fn tag(text: &str, out: &mut String) -> Option<usize> {
    let end = text.find('>')?;
    let inside = text.get(1..end)?;
    if is_page(inside) {
        out.push_str(text.get(..=end)?);
        return Some(end + 1);
    }
    let name = inside.trim_start_matches('/').split([' ', '/']).next()?;
    let target = || {
        let value = inside.split_once("linkend=\"").or_else(|| inside.split_once("href=\""))?.1;
        value.split('"').next()
    };
    match name {
        "literal" | "option" | "filename" | "command" | "varname" | "envar" | "code" | "replaceable"
        | "package" | "constant" | "function" | "userinput" | "systemitem" | "parameter" => {
            let close = format!("</{name}>");
            let content = text.get(end + 1..)?;
            let content_end = content.find(&close)?;
            let content = content.get(..content_end)?.replace('`', "'");
            out.push_str(&format!("`{content}`"));
            Some(end + 1 + content_end + close.len())
        }
        "xref" => {
            out.push_str(&format!("`{}`", name_of(target()?)));
            Some(end + 1)
        }
        "link" | "ulink" | "a" if !inside.starts_with('/') => {
            let close = format!("</{name}>");
            let content = text.get(end + 1..)?;
            let content_end = content.find(&close)?;
            let mut label = String::new();
            inline(content.get(..content_end)?, &mut label);
            let target = target().filter(|target| is_page(target));
            out.push_str(&target.map_or_else(|| label.clone(), |target| format!("[{label}]({target})")));
            Some(end + 1 + content_end + close.len())
        }
        "para" | "note" | "warning" | "important" | "itemizedlist" | "orderedlist" | "listitem"
        | "simpara" | "emphasis" | "link" | "ulink" | "a" | "p" | "br" | "b" | "i" | "em" | "strong"
        | "img" | "script" | "style" | "programlisting" | "screen" | "variablelist" | "varlistentry"
        | "term" | "caution" | "tip" | "citerefentry" | "refentrytitle" | "manvolnum" | "quote"
        | "acronym" => Some(end + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(description: &str, expected: &str) {
        assert_eq!(cleaned(description), expected);
    }

    #[test]
    fn what_is_markdown_stays() {
        check(
            "A `<name>` and ``a ` b`` of *it*.\n\n- one\n- two",
            "A `<name>` and ``a ` b`` of *it*.\n\n- one\n- two",
        );
        check("```nix\n{ a = \"<b>\"; } # [](#x)\n```", "```nix\n{ a = \"<b>\"; } # [](#x)\n```");
        check("See [the manual](https://example.org/a).", "See [the manual](https://example.org/a).");
        check("See <https://example.org/a>.", "See <https://example.org/a>.");
    }

    #[test]
    fn roles_anchors_and_admonitions_are_made_plain() {
        check("Set {option}`a.b` in {file}`/etc/x`.", "Set `a.b` in `/etc/x`.");
        check(
            "See [](#opt-services.nginx.enable) and [nginx](#module-nginx).",
            "See `services.nginx.enable` and nginx.",
        );
        check("[]{#anchor}A set like {a} stays.", "[]A set like {a} stays.");
        check(":::{.note}\nMind it.\n:::\n", "**Note.**\nMind it.");
        check("::: {.warning}\nMind it.\n:::", "**Warning.**\nMind it.");
    }

    #[test]
    fn remnants_of_docbook_are_made_plain() {
        check(
            "<para>Runs <command>nginx</command> of <option>a.b</option>, see <xref linkend=\"opt-x.y\"/></para>",
            "Runs `nginx` of `a.b`, see `x.y`",
        );
        check("<link xlink:href=\"https://example.org\">here</link>", "[here](https://example.org)");
    }

    #[test]
    fn nothing_but_pages_is_linked_and_no_html_is_left() {
        check("[press](command:workbench.action.quit)", "press");
        check("[press](javascript:alert(1))", "press)");
        check("![a](https://example.org/a.png)", "[a](https://example.org/a.png)");
        check("<a href=\"command:x\">press</a>", "press");
        check("<script>x</script> <img src=x onerror=y> <unknown>", "x  \\<unknown>");
        check("services.<name>.enable < 3", "services.\\<name>.enable \\< 3");
    }

    #[test]
    fn long_descriptions_are_cut_and_their_code_is_closed() {
        let text = cleaned(&format!("```\n{}", "ä".repeat(10_000)));
        assert!(text.len() < MAX_DESCRIPTION + 20, "{}", text.len());
        assert!(text.ends_with("…\n```"), "{}", &text[text.len() - 20..]);
    }

    #[test]
    fn code_of_any_content_stays_code() {
        assert_eq!(code("true"), " `true`");
        assert_eq!(code("''\n  a\n''"), "\n\n```nix\n''\n  a\n''\n```");
        assert_eq!(code("\"```\""), "\n\n````nix\n\"```\"\n````");
        assert_eq!(plain("attribute set of <b>[x](y)"), "attribute set of \\<b>\\[x\\](y)");
    }
}
