//! Completion of packages: `pkgs.`, `inherit (pkgs)`, and what `with pkgs;` brings.

use super::probe::Probe;
use super::{Context, bounded};
use crate::module_path::argument_path;
use crate::{Completion, CompletionKind, Completions, Edit};
use codchi_module::{OptionPath, is_identifier};
use rnix::ast::With;
use rowan::ast::AstNode;

/// The packages directly below `pkgs.PATH`.
pub(super) fn below(context: &Context<'_>, probe: &Probe<'_>, path: &[String]) -> Completions {
    let names = context.catalogue.and_then(|catalogue| catalogue.packages(path)).unwrap_or_default();
    let (names, is_incomplete) = bounded(names, probe.typed, String::as_str);
    let set: String =
        std::iter::once("pkgs").chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(".");
    let items = names.into_iter().map(|name| item(probe, &set, name)).collect();
    Completions { items, is_incomplete }
}

/// The packages below PATH in the sets of packages that are brought by `with` around the cursor.
pub(super) fn in_with(context: &Context<'_>, probe: &Probe<'_>, path: &[String]) -> Completions {
    let mut found = Completions::default();
    let withs = probe.token.parent_ancestors().filter_map(With::cast);
    for with in withs {
        let in_body = with
            .body()
            .is_some_and(|body| body.syntax().text_range().contains_range(probe.token.text_range()));
        let Some(namespace) = with.namespace().filter(|_| in_body) else { continue };
        let Some((_, mut set)) = argument_path(&namespace).filter(|(argument, _)| argument == "pkgs") else {
            continue;
        };
        set.extend_from_slice(path);
        let below = below(context, probe, &set);
        // Only a name can be brought; a string stays a string.
        let brought = below.items.into_iter().filter(|item| !path.is_empty() || is_identifier(&item.label));
        found.items.extend(brought);
        found.is_incomplete |= below.is_incomplete;
    }
    found
}

fn item(probe: &Probe<'_>, set: &str, name: String) -> Completion {
    let new_text = match is_identifier(&name) || probe.in_string() {
        true => name.clone(),
        false => OptionPath::from(vec![name.clone()]).to_string(),
    };
    Completion {
        label: name,
        kind: CompletionKind::Package,
        detail: format!("of {set}"),
        documentation: String::new(),
        edit: Edit { range: probe.word, new_text },
        stops: Vec::new(),
        deprecated: false,
    }
}
