//! What the module that a file is of asks of the host: what the text says, put right by what evaluations found.

use crate::evaluated::{Evaluations, Word, is_complete};
use crate::modules::Modules;
use crate::syntax::tokens_at;
use crate::{Document, EvaluatedManifest, TextRange, TextSize, World};
use codchi_module::{Certainty, Facts, Literal, OptionUse, SecretDeclaration, SecretSpelling};
use rnix::ast::{self, AttrpathValue};
use rnix::{SyntaxKind, SyntaxNode};
use rowan::ast::AstNode as _;
use std::collections::{BTreeSet, HashSet};
use std::path::Path;

/// A user secret that is asked for, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskedSecret {
    pub(crate) name: String,
    /// Where it is declared.
    pub(crate) range: TextRange,
    /// What that was read from.
    pub(crate) basis: TextRange,
    pub(crate) description: Option<String>,
    /// Whether it is asked for; `None` where nobody knows.
    pub(crate) in_force: Option<bool>,
    /// Whether it is required; `None` where nobody knows.
    pub(crate) required: Option<bool>,
}

/// A capability that is asked for, or may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AskedCapability {
    pub(crate) name: String,
    /// Where it is asked for.
    pub(crate) range: TextRange,
    pub(crate) required: bool,
    /// Whether it is asked for; `None` where nobody knows.
    pub(crate) in_force: Option<bool>,
}

/// What one file asks for, looked at together with all that is known.
pub(crate) struct Asked<'a> {
    modules: Modules<'a>,
    world: &'a World,
    path: &'a Path,
    facts: &'a Facts,
    evaluations: Evaluations<'a>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(
        modules: Modules<'a>,
        world: &'a World,
        path: &'a Path,
        document: &'a Document,
    ) -> Self {
        let evaluations = Evaluations::of(modules, world, path, document);
        Self { modules, world, path, facts: document.facts(), evaluations }
    }

    /// The evaluations of modules that the file may be of.
    pub(crate) fn evaluations(&self) -> &Evaluations<'a> {
        &self.evaluations
    }

    /// The user secrets, one for each place that declares one.
    pub(crate) fn secrets(&self) -> Vec<AskedSecret> {
        if self.facts.secrets.is_empty() && !self.facts.secrets_unseen {
            return Vec::new();
        }
        let optional = self.optional_elsewhere();
        let mut secrets: Vec<_> =
            self.facts.secrets.iter().map(|secret| self.secret(secret, &optional)).collect();
        if !self.is_evaluated() && self.is_disabled() {
            secrets.iter_mut().for_each(|secret| secret.in_force = None);
        }
        secrets.extend(self.hidden_secrets());
        secrets.sort_by_key(|secret| secret.range.start());
        secrets
    }

    /// The capabilities, one for each place that asks for one.
    pub(crate) fn capabilities(&self) -> Vec<AskedCapability> {
        let mut found: Vec<_> = self
            .facts
            .capabilities
            .iter()
            .map(|written| {
                let is_listed = |required| {
                    let mut others = self.facts.capabilities.iter();
                    others.any(|other| other.name == written.name && other.required == required)
                };
                let (in_force, required) = match self.evaluations.capability(&written.name, written.range) {
                    // What is required need not be wished for as well.
                    Word::Asked(true) if !written.required && is_listed(true) => (Some(false), false),
                    Word::Asked(required) => (Some(true), required),
                    Word::NotAsked => (Some(false), written.required),
                    Word::Nothing => (always(written.certainty), written.required),
                };
                AskedCapability { name: written.name.clone(), range: written.range, required, in_force }
            })
            .collect();
        if !found.is_empty() && !self.is_evaluated() && self.is_disabled() {
            found.iter_mut().for_each(|asked| asked.in_force = None);
        }
        found.extend(self.hidden_capabilities());
        found.sort_by_key(|asked| asked.range.start());
        found
    }

    /// Whether a manifest tells what is asked for.
    fn is_evaluated(&self) -> bool {
        self.evaluations.counting().any(|evaluation| evaluation.evaluated.manifest.is_some())
    }

    /// Whether a module that may be evaluated together with the file disables it.
    fn is_disabled(&self) -> bool {
        let disabling = self.modules.files().graph().disabling();
        self.modules.among_evaluated_with(self.world, self.path, disabling).iter().any(|file| {
            self.modules.facts(file).is_some_and(|facts| {
                let mut files = facts.disabled.iter().filter_map(|written| self.modules.file(file, written));
                files.any(|disabled| disabled == self.path)
            })
        })
    }

    /// Secrets that another file of the module says are not required, or may say so.
    fn optional_elsewhere(&self) -> HashSet<(String, SecretSpelling)> {
        let graph = self.modules.files().graph();
        let required = self.facts.secrets.iter().filter(|secret| secret.required == Some(true));
        let optional = required.filter(|secret| {
            let others = graph.optional(&secret.name, secret.spelling);
            let others = self.modules.among_evaluated_with(self.world, self.path, others);
            others.iter().any(|file| &***file != self.path)
        });
        optional.map(|secret| (secret.name.clone(), secret.spelling)).collect()
    }

    fn secret(
        &self,
        secret: &SecretDeclaration,
        optional: &HashSet<(String, SecretSpelling)>,
    ) -> AskedSecret {
        let word = self.evaluations.secret(&secret.name, secret.range);
        let (in_force, required) = match word {
            // What was edited since may say that it is not required any more.
            Word::Asked(found) if found.required && secret.required == Some(false) && self.is_edited() => {
                (always(secret.certainty), Some(false))
            }
            Word::Asked(found) => (Some(true), Some(found.required)),
            Word::NotAsked => (Some(false), secret.required),
            Word::Nothing if optional.contains(&(secret.name.clone(), secret.spelling)) => {
                (always(secret.certainty), secret.required.filter(|required| !required))
            }
            Word::Nothing => (always(secret.certainty), secret.required),
        };
        let description = secret.description.as_ref().map(|(text, _)| text.clone());
        let evaluated = match word {
            Word::Asked(found) if !found.description.trim().is_empty() => Some(found.description.clone()),
            _ => None,
        };
        AskedSecret {
            name: secret.name.clone(),
            range: secret.name_range,
            basis: secret.range,
            description: description.or(evaluated),
            in_force,
            required,
        }
    }

    fn is_edited(&self) -> bool {
        self.evaluations.all.iter().any(|evaluation| !evaluation.is_unchanged())
    }

    /// Secrets that only evaluations see: a function gives them, or their names are computed.
    fn hidden_secrets(&self) -> Vec<AskedSecret> {
        if !self.facts.secrets_unseen {
            return Vec::new();
        }
        let mut found: Vec<AskedSecret> = Vec::new();
        for (manifest, files) in self.manifests() {
            let facts: Vec<_> = files.iter().filter_map(|file| self.modules.facts(file)).collect();
            let declared: BTreeSet<&str> =
                facts.iter().flat_map(|facts| &facts.secrets).map(|secret| secret.name.as_str()).collect();
            let unseen = facts.iter().filter(|facts| facts.secrets_unseen).count();
            for (name, secret) in &manifest.secrets {
                if declared.contains(name.as_str()) {
                    continue;
                }
                let Some((range, bases)) = self.narrowest(name, is_secrets, unseen == 1) else { continue };
                let is_asked =
                    |basis: &TextRange| matches!(self.evaluations.secret(name, *basis), Word::Asked(_));
                if !bases.iter().all(is_asked) {
                    continue;
                }
                let (in_force, basis) = (Some(true), range);
                let description = Some(secret.description.clone()).filter(|text| !text.trim().is_empty());
                let (name, required) = (name.clone(), Some(secret.required));
                match found.iter_mut().find(|known| known.name == name) {
                    Some(known) => known.required = Some(known.required == Some(true) || secret.required),
                    None => found.push(AskedSecret { name, range, basis, description, in_force, required }),
                }
            }
        }
        found
    }

    /// Capabilities that only evaluations see: another option asks for them, or a function gives them.
    fn hidden_capabilities(&self) -> Vec<AskedCapability> {
        let mut found: Vec<AskedCapability> = Vec::new();
        for (manifest, files) in self.manifests() {
            let is_written = |name: &str| {
                let mut facts = files.iter().filter_map(|file| self.modules.facts(file));
                facts.any(|facts| facts.capabilities.iter().any(|written| written.name == name))
            };
            let required = manifest.required_capabilities.iter().map(|name| (name, true));
            let optional = manifest.optional_capabilities.iter().map(|name| (name, false));
            for (name, required) in required.chain(optional) {
                let place = self.asks(name).or_else(|| self.narrowest(name, is_capabilities, false));
                let Some((range, bases)) = place else { continue };
                let is_asked =
                    |basis: &TextRange| matches!(self.evaluations.capability(name, *basis), Word::Asked(_));
                if bases.iter().all(is_asked)
                    && !is_written(name)
                    && !found.iter().any(|known| known.name == *name)
                {
                    found.push(AskedCapability { name: name.clone(), range, required, in_force: Some(true) });
                }
            }
        }
        found
    }

    /// What evaluations found, each with the files of its module.
    fn manifests(&self) -> impl Iterator<Item = (&'a EvaluatedManifest, crate::FileSet)> {
        self.evaluations.counting().filter_map(|evaluation| {
            let manifest = evaluation.evaluated.manifest.as_ref()?;
            let (path, output) = evaluation.module;
            Some((manifest, self.modules.files_of(path, output.as_deref())))
        })
    }

    /// The option that asks for the capability on its own.
    fn asks(&self, capability: &str) -> Option<(TextRange, Vec<TextRange>)> {
        let (option, _) = ASKING.iter().find(|(_, name)| *name == capability)?;
        let used = self.facts.options.iter().find(|used| {
            used.path.0.iter().map(String::as_str).eq(option.split('.'))
                && !matches!(used.value, Literal::Bool(false))
        })?;
        let range = used.segments.iter().copied().reduce(TextRange::cover)?;
        Some((range, vec![range]))
    }

    /// The narrowest place that can be told to give `name`, and what that was read from: the name itself where it is written
    /// once in what cannot be seen into, else that as a whole where there is only one in the module (`is_only`).
    fn narrowest(
        &self,
        name: &str,
        holds: fn(&OptionUse) -> bool,
        is_only: bool,
    ) -> Option<(TextRange, Vec<TextRange>)> {
        let opaque: Vec<&OptionUse> =
            self.facts.options.iter().filter(|used| used.value == Literal::Unknown && holds(used)).collect();
        let written: Vec<TextRange> = written(self.evaluations.root(), self.evaluations.text(), name);
        let inside: Vec<TextRange> = written
            .iter()
            .copied()
            .filter(|range| opaque.iter().any(|used| used.value_range.contains_range(*range)))
            .collect();
        let range = match (inside.as_slice(), written.as_slice(), opaque.as_slice()) {
            ([place], ..) => *place,
            ([], [place], _) if is_only => *place,
            (_, _, [used]) if is_only => used.segments.iter().copied().reduce(TextRange::cover)?,
            _ => return None,
        };
        let bases = opaque.iter().map(|used| used.value_range).chain([range]);
        Some((range, bases.collect()))
    }
}

/// Options that ask for a capability when they are on, as `nix/modules` says.
pub(crate) const ASKING: [(&str, &str); 3] = [
    ("codchi.docker.enable", "nesting"),
    ("codchi.docker.enableNvidia", "cuda"),
    ("codchi.gpu.enable", "gpu"),
];

fn always(certainty: Certainty) -> Option<bool> {
    (certainty == Certainty::Always).then_some(true)
}

/// Whether secrets may be in the option's value.
fn is_secrets(used: &OptionUse) -> bool {
    let names: Vec<&str> = used.path.0.iter().map(String::as_str).collect();
    matches!(names.as_slice(), ["codchi"] | ["codchi", "secrets"] | ["codchi", "secrets", "env" | "file"])
}

/// Whether capabilities are in the option's value.
fn is_capabilities(used: &OptionUse) -> bool {
    let names: Vec<&str> = used.path.0.iter().map(String::as_str).collect();
    matches!(names.as_slice(), ["codchi", "requiredCapabilities" | "optionalCapabilities"])
}

/// Where a name is written as a string of its own, or as the name of a binding. Found by the text, as a look at the whole tree
/// takes its time.
fn written(root: &SyntaxNode, text: &str, name: &str) -> Vec<TextRange> {
    let places = text.match_indices(name).filter_map(|(at, _)| {
        let token = tokens_at(root, TextSize::try_from(at).ok()?).right_biased()?;
        let node = token.parent()?;
        let is_name = match token.kind() {
            SyntaxKind::TOKEN_STRING_CONTENT => ast::Str::cast(node.clone())
                .and_then(|written| crate::syntax::string(&written))
                .is_some_and(|written| written == name),
            SyntaxKind::TOKEN_IDENT => {
                let binding = node.parent().and_then(|path| path.parent()).and_then(AttrpathValue::cast);
                token.text() == name && binding.is_some()
            }
            _ => false,
        };
        is_name.then(|| node.text_range())
    });
    places.collect()
}

/// The names of the secrets that an evaluation found, where it found all.
pub(crate) fn all_secrets(evaluated: &crate::Evaluated) -> Option<impl Iterator<Item = &String>> {
    evaluated.manifest.as_ref().filter(|_| is_complete(evaluated)).map(|manifest| manifest.secrets.keys())
}

#[cfg(test)]
mod tests;
