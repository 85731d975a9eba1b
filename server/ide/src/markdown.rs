//! Documentation as Markdown, for hovers and completions.

use crate::asked::ASKING;
use crate::diagnostics::{is_capability_list, sentence};
use crate::{Availability, World};
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

/// So many lines of what was found are shown.
const EVIDENCE: usize = 10;

/// What this computer says to an option that asks something of it: to a host secret what there is, to a list of capabilities
/// which it offers.
pub(crate) fn host_markdown(world: &World, path: &OptionPath) -> Option<String> {
    if is_capability_list(path) {
        let host = world.capabilities.as_ref()?;
        let names = |available: bool| {
            let names = host.iter().filter(|(_, answer)| answer.available == available);
            let names: Vec<_> = names.map(|(name, _)| format!("`{name}`")).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        return Some(format!("This computer offers: {}. It does not offer: {}.", names(true), names(false)));
    }
    match &*path.0 {
        [codchi, secrets, name] if codchi == "codchi" && secrets == "hostSecrets" => {
            let answer = world.host_secrets.as_ref()?.get(name)?;
            Some(found(answer))
        }
        names => {
            let is_it = |option: &str| names.iter().map(String::as_str).eq(option.split('.'));
            let (_, capability) = ASKING.iter().find(|(option, _)| is_it(option))?;
            let answer = world.capabilities.as_ref()?.get(*capability)?;
            Some(offered(&format!("`{capability}`"), answer))
        }
    }
}

/// Whether a capability is offered, and what was found of it.
fn offered(what: &str, answer: &Availability) -> String {
    let offers = if answer.available { "offers" } else { "does not offer" };
    format!("This computer {offers} {what}. {}", found(answer))
}

/// What was found, what to do where that is not enough, and the details.
fn found(answer: &Availability) -> String {
    let remedy = answer.remedy.as_deref().filter(|_| !answer.available);
    let mut parts: Vec<_> = std::iter::once(answer.probed.as_str()).chain(remedy).map(sentence).collect();
    if !answer.evidence.is_empty() {
        // Devices and files name themselves as they like: none of it is Markdown, and none ends the block.
        let line = |text: &String| text.replace(|c: char| c.is_control(), " ").replace('`', "'");
        let mut lines: Vec<_> = answer.evidence.iter().take(EVIDENCE).map(line).collect();
        if let more @ 1.. = answer.evidence.len().saturating_sub(EVIDENCE) {
            lines.push(format!("… and {more} more"));
        }
        parts.push(format!("```text\n{}\n```", lines.join("\n")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// What a capability is, as the option's documentation lists it, and what this computer says. `None` for values of other options.
pub(crate) fn capability_markdown(world: &World, path: &OptionPath, name: &str) -> Option<String> {
    if !is_capability_list(path) {
        return None;
    }
    let required = Options::builtin().get(&OptionPath::new(["codchi", "requiredCapabilities"]))?;
    let item = format!("- `{name}`: ");
    let meaning = required.description.lines().find_map(|line| line.strip_prefix(&item))?;
    let mut text = format!("`{name}`: {meaning}");
    if let Some(answer) = world.capabilities.as_ref().and_then(|host| host.get(name)) {
        text.push_str(&format!("\n\n{}", offered("it", answer)));
    }
    Some(text)
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
