//! What a machine is made of, as it is locked, and how that differs from what it was. Pure.

use crate::flake::NIXPKGS;
use crate::locked::Locked;
use crate::state::Definition;
use codchi_nix::Revision;

/// Something that a system is made of, as it was locked.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// `nixpkgs`, or the source of a module; of several, where they are outputs of one flake.
    pub name: String,
    /// What was locked of it.
    pub revision: Revision,
}

/// Something that a machine is made of, in another revision than before.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InputChange {
    /// `nixpkgs`, or the source of a module; of several, where they are outputs of one flake.
    pub name: String,
    /// What was locked before; `None` where it is new.
    pub from: Option<Revision>,
    /// What is locked now; `None` where it is gone.
    pub to: Option<Revision>,
}

impl InputChange {
    /// Whether there is something else than before. The same contents may have another date.
    #[must_use]
    pub fn is_new(&self) -> bool {
        let what = |revision: &Option<Revision>| {
            revision.as_ref().map(|revision| (revision.commit.clone(), revision.hash.clone()))
        };
        what(&self.from) != what(&self.to)
    }

    /// From what to what. A hash of contents says nothing to a person.
    #[must_use]
    pub fn how(&self) -> String {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) if from.commit.is_some() && to.commit.is_some() => {
                format!("{from} → {to}")
            }
            (Some(_), Some(_)) => "changed".into(),
            (None, _) => "added".into(),
            (_, None) => "removed".into(),
        }
    }
}

/// What a person calls an input of a machine's flake.
pub(crate) fn name(definition: &Definition, input: &str) -> String {
    let of_input = definition.modules.iter().filter(|module| module.input == input);
    let sources: Vec<_> = of_input.map(|module| module.source.to_string()).collect();
    if sources.is_empty() { NIXPKGS.into() } else { sources.join(", ") }
}

/// What a machine is made of, modules first.
pub(crate) fn of(definition: &Definition, locked: &Locked) -> Vec<Input> {
    let mut inputs: Vec<&str> = Vec::new();
    for input in definition.modules.iter().map(|module| module.input.as_str()).chain([NIXPKGS]) {
        if !inputs.contains(&input) {
            inputs.push(input);
        }
    }
    let one = |input| Some(Input { name: name(definition, input), revision: locked.revision(input)? });
    inputs.into_iter().filter_map(one).collect()
}

/// Compares what two systems are made of.
pub(crate) fn compare(before: &[Input], after: &[Input]) -> Vec<InputChange> {
    let revision = |inputs: &[Input], name: &str| {
        inputs.iter().find(|input| input.name == name).map(|input| input.revision.clone())
    };
    let gone = before.iter().filter(|input| revision(after, &input.name).is_none());
    let change = |input: &Input| InputChange {
        name: input.name.clone(),
        from: revision(before, &input.name),
        to: revision(after, &input.name),
    };
    after.iter().chain(gone).map(change).filter(InputChange::is_new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ModuleSource, SourceKind};

    /// Of a machine with a folder, two outputs of a repository, and the shared nixpkgs.
    fn inputs(lock: &str) -> Vec<Input> {
        let mut definition = Definition::new("x".into(), codchi_driver::DriverKind::Lxd);
        let git = || SourceKind::Git("git+https://host/m".into());
        for (kind, output) in
            [(SourceKind::Folder("/w".into()), None), (git(), Some("a")), (git(), Some("b"))]
        {
            definition.add(ModuleSource { kind, output: output.map(str::to_owned) }, false);
        }
        of(&definition, &Locked::parse(Some(lock)))
    }

    const LOCK: &str = r#"{ "root": "root", "version": 7, "nodes": {
        "root": { "inputs": {
            "module-0": "module-0", "module-1": "module-1", "pin": "pin", "nixpkgs": ["pin", "nixpkgs"] } },
        "pin": { "inputs": { "nixpkgs": "nixpkgs_2" }, "locked": { "narHash": "sha256-p" } },
        "nixpkgs_2": { "locked": { "type": "github", "rev": "abcdefghi", "lastModified": 1762128000 } },
        "module-0": { "locked": { "narHash": "sha256-x", "type": "path", "path": "/copies/module-0" } },
        "module-1": { "locked": { "type": "git", "rev": "0123456789", "lastModified": 1762128000 } }
    } }"#;

    #[test]
    fn inputs_have_the_names_that_a_person_gave_them_and_the_shared_nixpkgs_is_one() {
        let says = |input: &Input| format!("{}: {}", input.name, input.revision);
        assert_eq!(
            inputs(LOCK).iter().map(says).collect::<Vec<_>>(),
            [
                "/w: sha256-x",
                "git+https://host/m#a, git+https://host/m#b: 2025-11-03 0123456",
                "nixpkgs: 2025-11-03 abcdefg"
            ]
        );
        assert_eq!(inputs("no lock"), []);
    }

    #[test]
    fn what_differs_is_told_from_what_to_what() {
        let lines = |lock: &str| -> Vec<String> {
            let changes = compare(&inputs(LOCK), &inputs(lock));
            changes.iter().map(|change| format!("{} {}", change.name, change.how())).collect()
        };
        assert_eq!(lines(LOCK), [""; 0]);
        assert_eq!(
            lines(&LOCK.replace("abcdefghi", "zyxwvutsr").replace("sha256-x", "sha256-y")),
            ["/w changed", "nixpkgs 2025-11-03 abcdefg → 2025-11-03 zyxwvut"]
        );
        assert_eq!(lines(&LOCK.replace(r#""module-0": "module-0","#, "")), ["/w removed"]);
    }
}
