//! The modules of a machine, each with the name of the flake input that it is read from.
//!
//! Invariant: an input's name stays with its source, whatever comes before or after it in the list, so that a change of
//! one module leaves what is locked for the others. Modules of one source share its input.

use super::Definition;
use crate::{MachineError, MachineName, ModuleSource, NixpkgsChoice, SourceKind};
use std::path::Path;

/// A module of a machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Module {
    /// The name of its flake input.
    pub(crate) input: String,
    /// Whether it is one that the person adds to all machines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) personal: bool,
    /// Where it comes from.
    #[serde(flatten)]
    pub(crate) source: ModuleSource,
}

/// Where a machine's nixpkgs comes from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NixpkgsFrom {
    /// The one that the machines of this computer share.
    Pin,
    /// The input `nixpkgs` of the input with this name.
    Follow(String),
    /// A flake URL.
    Url(String),
}

/// The name of the input with a number.
pub(super) fn input_name(number: impl std::fmt::Display) -> String {
    format!("module-{number}")
}

impl Definition {
    /// Adds a module: before the personal ones, or after all where it is one; whether it was not there yet.
    pub(crate) fn add(&mut self, source: ModuleSource, personal: bool) -> bool {
        if self.modules.iter().any(|module| module.source == source) {
            return false;
        }
        let input = self.input_for(&source.kind);
        let first_personal = self.modules.iter().position(|module| module.personal);
        let place = first_personal.filter(|_| !personal).unwrap_or(self.modules.len());
        self.modules.insert(place, Module { input, personal, source });
        true
    }

    /// Takes the module at `index` from another source. A nixpkgs that follows it goes with it.
    ///
    /// # Errors
    /// Where another of its modules is of that source.
    pub(crate) fn replace(&mut self, index: usize, source: ModuleSource) -> Result<(), MachineError> {
        if self.modules.iter().enumerate().any(|(at, module)| at != index && module.source == source) {
            return Err(MachineError::User {
                message: format!("The machine has the module {source} already"),
                hint: Some("Remove one of the two with `codchi module rm`.".into()),
            });
        }
        let Some(module) = self.modules.get(index) else { return Ok(()) };
        let before = module.input.clone();
        let input =
            if module.source.kind == source.kind { before.clone() } else { self.input_for(&source.kind) };
        if let Some(module) = self.modules.get_mut(index) {
            module.input.clone_from(&input);
            module.source = source;
        }
        if self.nixpkgs == NixpkgsFrom::Follow(before.clone()) && !self.has_input(&before) {
            self.nixpkgs = NixpkgsFrom::Follow(input);
        }
        Ok(())
    }

    /// Removes the module at `index`.
    ///
    /// # Errors
    /// Where the nixpkgs is that of this module.
    pub(crate) fn remove(&mut self, index: usize, name: &MachineName) -> Result<(), MachineError> {
        let module = self.modules.remove(index);
        if self.nixpkgs == NixpkgsFrom::Follow(module.input.clone()) && !self.has_input(&module.input) {
            return Err(MachineError::User {
                message: format!("The nixpkgs of `{name}` is that of its module {}", module.source),
                hint: Some(format!("Choose another first, e.g. `codchi nixpkgs {name} pin`.")),
            });
        }
        Ok(())
    }

    /// The place of the module that a person means: by its number as listed, or by its source.
    ///
    /// # Errors
    /// Where there is none; the message's hint lists those that there are.
    pub(crate) fn module_at(&self, name: &MachineName, text: &str) -> Result<usize, MachineError> {
        let number = text.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        if let Some(index) = number.filter(|index| *index < self.modules.len()) {
            return Ok(index);
        }
        let exact = self.modules.iter().position(|module| module.source.to_string() == text);
        let read = || {
            let source: ModuleSource = text.parse().ok()?;
            self.modules.iter().position(|module| module.source == source)
        };
        exact.or_else(read).ok_or_else(|| {
            let listed: Vec<String> = (1..)
                .zip(&self.modules)
                .map(|(number, module)| format!("{number}: {}", module.source))
                .collect();
            MachineError::User {
                message: format!("`{name}` has no module `{text}`"),
                hint: Some(if listed.is_empty() {
                    format!("It has none at all; add one with `codchi module add {name} SOURCE`.")
                } else {
                    format!("Its modules are {}.", listed.join(", "))
                }),
            }
        })
    }

    /// Takes nixpkgs from where the person says.
    ///
    /// # Errors
    /// Where the module to follow is none of its modules.
    pub(crate) fn choose_nixpkgs(
        &mut self,
        name: &MachineName,
        choice: &NixpkgsChoice,
    ) -> Result<(), MachineError> {
        self.nixpkgs = match choice {
            NixpkgsChoice::Pin => NixpkgsFrom::Pin,
            NixpkgsChoice::Url(url) => NixpkgsFrom::Url(url.clone()),
            NixpkgsChoice::Follow(module) => {
                let index = self.module_at(name, module.as_deref().unwrap_or("1"))?;
                NixpkgsFrom::Follow(self.modules.get(index).map(|m| m.input.clone()).unwrap_or_default())
            }
        };
        Ok(())
    }

    /// Where nixpkgs comes from, as the person says it.
    pub(crate) fn nixpkgs_choice(&self) -> NixpkgsChoice {
        match &self.nixpkgs {
            NixpkgsFrom::Pin => NixpkgsChoice::Pin,
            NixpkgsFrom::Url(url) => NixpkgsChoice::Url(url.clone()),
            NixpkgsFrom::Follow(input) => {
                let module = self.modules.iter().find(|module| module.input == *input);
                NixpkgsChoice::Follow(Some(module.map_or_else(|| input.clone(), |m| m.source.to_string())))
            }
        }
    }

    /// Whether a local folder or file of its modules is gone: the first that is.
    pub(crate) fn gone(&self) -> Option<&ModuleSource> {
        let is_gone = |source: &&ModuleSource| match &source.kind {
            SourceKind::Folder(path) => !path.is_dir(),
            SourceKind::File(path) => !path.is_file(),
            SourceKind::Git(_) => false,
        };
        self.modules.iter().map(|module| &module.source).find(is_gone)
    }

    fn has_input(&self, input: &str) -> bool {
        self.modules.iter().any(|module| module.input == input)
    }

    /// The input of a source: that of another module of it, or a new one.
    fn input_for(&mut self, kind: &SourceKind) -> String {
        if let Some(known) = self.modules.iter().find(|module| module.source.kind == *kind) {
            return known.input.clone();
        }
        let name = input_name(self.next_input);
        self.next_input += 1;
        name
    }
}

/// Reads the sources of personal modules; relative ones and `~/…` are meant from the home folder.
///
/// # Errors
/// Where one is not a module source, with where it is written.
pub(crate) fn personal_sources(texts: &[String], home: &Path) -> Result<Vec<ModuleSource>, MachineError> {
    let read = |text: &String| {
        let source = ModuleSource::parse(text.strip_prefix("~/").unwrap_or(text), home);
        source.map_err(|error| MachineError::User {
            message: format!("A personal module cannot be added: {error}"),
            hint: Some(
                "Correct `personal-modules` in config.toml, or the setting `codchi.personalModules`.".into(),
            ),
        })
    };
    texts.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use codchi_driver::DriverKind;

    fn definition() -> Definition {
        Definition::new("x".into(), DriverKind::Lxd)
    }

    fn git(url: &str, output: Option<&str>) -> ModuleSource {
        ModuleSource {
            kind: SourceKind::Git(format!("git+https://host/{url}")),
            output: output.map(Into::into),
        }
    }

    fn name() -> MachineName {
        "m".parse().unwrap()
    }

    /// `INPUT SOURCE`, with a star for personal ones.
    fn listed(definition: &Definition) -> Vec<String> {
        let line = |module: &Module| {
            let source = module.source.to_string().replace("git+https://host/", "");
            format!("{} {source}{}", module.input, if module.personal { " *" } else { "" })
        };
        definition.modules.iter().map(line).collect()
    }

    #[test]
    fn an_inputs_name_stays_with_its_source_and_is_never_used_again() {
        let mut machine = definition();
        for source in [git("a", None), git("b", Some("x")), git("b", Some("y")), git("c", None)] {
            assert!(machine.add(source, false));
        }
        assert_eq!(listed(&machine), ["module-0 a", "module-1 b#x", "module-1 b#y", "module-2 c"]);
        machine.remove(0, &name()).unwrap();
        machine.remove(2, &name()).unwrap();
        assert!(machine.add(git("c", None), false) && !machine.add(git("c", None), false));
        assert_eq!(listed(&machine), ["module-1 b#x", "module-1 b#y", "module-3 c"]);
        // One of two that share an input leaves it to the other.
        machine.replace(0, git("d", None)).unwrap();
        machine.replace(2, git("c", Some("z"))).unwrap();
        assert_eq!(listed(&machine), ["module-4 d", "module-1 b#y", "module-3 c#z"]);
        assert!(machine.replace(0, git("c", Some("z"))).unwrap_err().to_string().contains("already"));
    }

    #[test]
    fn personal_modules_come_after_the_projects() {
        let mut machine = definition();
        machine.add(git("me", None), true);
        machine.add(git("a", None), false);
        machine.add(git("b", None), false);
        assert_eq!(listed(&machine), ["module-1 a", "module-2 b", "module-0 me *"]);
    }

    #[test]
    fn a_module_is_meant_by_its_number_or_its_source() {
        let mut machine = definition();
        machine.add(git("a", None), false);
        machine.add(git("b", Some("x")), false);
        let at = |text: &str| machine.module_at(&name(), text);
        assert_eq!(at("2").unwrap(), 1);
        assert_eq!(at("git+https://host/b#x").unwrap(), 1);
        assert_eq!(at("https://host/a").unwrap(), 0, "as one writes it");
        for unknown in ["0", "3", "git+https://host/b", ""] {
            let error = at(unknown).unwrap_err();
            assert_eq!(
                error.hint().unwrap(),
                "Its modules are 1: git+https://host/a, 2: git+https://host/b#x."
            );
        }
    }

    #[test]
    fn a_nixpkgs_that_follows_a_module_goes_where_that_goes_and_keeps_it_from_being_removed() {
        let mut machine = definition();
        machine.add(git("a", None), false);
        machine.add(git("b", None), false);
        machine.choose_nixpkgs(&name(), &NixpkgsChoice::Follow(Some("2".into()))).unwrap();
        assert_eq!(machine.nixpkgs, NixpkgsFrom::Follow("module-1".into()));
        assert_eq!(machine.nixpkgs_choice().to_string(), "follow:git+https://host/b");
        machine.replace(1, git("clone", None)).unwrap();
        assert_eq!(machine.nixpkgs, NixpkgsFrom::Follow("module-2".into()));
        assert!(machine.clone().remove(1, &name()).unwrap_err().to_string().contains("nixpkgs"));
        machine.remove(0, &name()).unwrap();
        let unknown = NixpkgsChoice::Follow(Some("7".into()));
        assert!(machine.choose_nixpkgs(&name(), &unknown).is_err());
    }

    #[test]
    fn personal_sources_are_meant_from_the_home_folder() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().canonicalize().unwrap().join("me.nix");
        std::fs::write(&file, "{ }").unwrap();
        let read = |text: &str| personal_sources(&[text.to_owned()], home.path());
        for text in ["~/me.nix", "me.nix", &file.display().to_string()] {
            assert_eq!(read(text).unwrap()[0].kind, SourceKind::File(file.clone()));
        }
        let error = read("~/gone.nix").unwrap_err();
        assert!(error.to_string().contains("gone.nix") && error.hint().unwrap().contains("personal-modules"));
    }
}
