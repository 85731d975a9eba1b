//! Documentation as Markdown, for hovers and completions.

use crate::diagnostics::is_capability_list;
use codchi_module::{OptionDoc, OptionPath, Options};

/// An option's documentation: its path and type, what it does, its default and an example. For a set that only leads
/// to options, the list of those. `None` where there is nothing at the path.
pub(crate) fn option_markdown(path: &OptionPath) -> Option<String> {
    let options = Options::builtin();
    if let Some(doc) = options.get(path) {
        return Some(documented(path, doc));
    }
    let children = options.children(path);
    if children.is_empty() {
        return None;
    }
    let mut text = format!("`{path}`: options\n");
    for (name, doc) in children {
        text.push_str(&format!("\n- `{name}`"));
        if let Some(doc) = doc {
            text.push_str(&format!(": {}", first_sentence(&doc.description)));
        }
    }
    Some(text)
}

fn documented(path: &OptionPath, doc: &OptionDoc) -> String {
    format!("`{path}`: {}\n\n{}", doc.kind, described(doc))
}

/// What an option does, for where its name and type are shown already.
pub(crate) fn described(doc: &OptionDoc) -> String {
    let mut text = String::new();
    if let Some(instead) = &doc.deprecated {
        text.push_str(&format!("**Deprecated.** {instead}\n\n"));
    }
    text.push_str(&format!("{}\n", doc.description.trim()));
    if let Some(default) = &doc.default {
        text.push_str(&format!("\nDefault:{}\n", code(default)));
    }
    if let Some(example) = &doc.example {
        text.push_str(&format!("\nExample:{}\n", code(example)));
    }
    text.trim_end().to_owned()
}

/// What a capability is, as the option's documentation lists it. `None` for values of other options.
pub(crate) fn capability_markdown(path: &OptionPath, name: &str) -> Option<String> {
    if !is_capability_list(path) {
        return None;
    }
    let required = Options::builtin().get(&OptionPath::new(["codchi", "requiredCapabilities"]))?;
    let item = format!("- `{name}`: ");
    let meaning = required.description.lines().find_map(|line| line.strip_prefix(&item))?;
    Some(format!("`{name}`: {meaning}"))
}

fn code(nix: &str) -> String {
    let nix = nix.trim();
    if nix.contains('\n') { format!("\n\n```nix\n{nix}\n```") } else { format!(" `{nix}`") }
}

fn first_sentence(text: &str) -> &str {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    match paragraph.find(". ") {
        Some(end) => &paragraph[..=end],
        None => paragraph,
    }
}
