//! What a machine is made of, and how that is changed: its modules, its nixpkgs, the revisions of both.

use crate::flake::{NIXPKGS, PIN};
use crate::inputs;
use crate::locked::Locked;
use crate::nixpkgs::{DEFAULT_NIXPKGS, Pin};
use crate::operate::Prepared;
use crate::state::{Definition, Journal, MachineFolder, NixpkgsFrom, machine_names, now, personal_sources};
use crate::{
    CancellationToken, CreateRequest, Front, InputChange, MachineError, MachineName, Machines, ModuleSource,
    NixpkgsChoice, Operation, SourceKind, files,
};
use codchi_nix::Revision;
use std::path::PathBuf;

/// A module of a machine, as `codchi module ls` shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModuleStatus {
    /// Its number, from 1.
    pub number: usize,
    /// Its source, as a person writes it.
    pub source: String,
    /// Whether it is one that the person adds to all machines.
    pub personal: bool,
    /// Whether it is read anew at each rebuild, as it lies on this computer.
    pub local: bool,
    /// What is locked of it; `None` where nothing is yet.
    pub revision: Option<Revision>,
}

/// Of what newer revisions are locked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Update {
    /// All that the machine is made of.
    #[default]
    All,
    /// One module, by its source or number.
    Module(String),
    /// nixpkgs.
    Nixpkgs,
}

impl Machines {
    /// What the request makes of a machine.
    pub(crate) fn definition(&self, request: &CreateRequest) -> Result<Definition, MachineError> {
        let new = Definition::new(Definition::new_id(), self.driver().kind());
        let mut definition = Definition { created: now(), ..new };
        for source in &request.modules {
            definition.add(source.clone(), false);
        }
        for source in self.personal_modules()? {
            definition.add(source, true);
        }
        if let Some(choice) = &request.nixpkgs {
            definition.choose_nixpkgs(&request.name, choice)?;
        }
        are_there(&definition)?;
        let local = || request.modules.iter().find_map(ModuleSource::folder).map(Into::into);
        let project: Option<PathBuf> = request.project.clone().or_else(local);
        definition.project = project
            .map(|folder| {
                dunce::canonicalize(&folder)
                    .map_err(|e| files::io_error("Reading the project folder", &folder, e))
            })
            .transpose()?;
        definition.checkout.clone_from(&request.checkout);
        Ok(definition)
    }

    /// The modules of a machine and what is locked of them.
    ///
    /// # Errors
    /// Where there is no such machine, or its files cannot be read.
    pub fn modules(&self, name: &MachineName) -> Result<Vec<ModuleStatus>, MachineError> {
        let (folder, definition) = self.made_of(name)?;
        let locked = Locked::read(&folder)?;
        let modules = (1..).zip(&definition.modules).map(|(number, module)| ModuleStatus {
            number,
            source: module.source.to_string(),
            personal: module.personal,
            local: module.source.folder().is_some(),
            revision: locked.revision(&module.input),
        });
        Ok(modules.collect())
    }

    /// Which nixpkgs a machine is made of, and what is locked of it.
    ///
    /// # Errors
    /// Where there is no such machine, or its files cannot be read.
    pub fn nixpkgs(&self, name: &MachineName) -> Result<(NixpkgsChoice, Option<Revision>), MachineError> {
        let (folder, definition) = self.made_of(name)?;
        Ok((definition.nixpkgs_choice(), Locked::read(&folder)?.revision(NIXPKGS)))
    }

    /// Adds modules to a machine, and the personal ones that it lacks where `personal`; rebuilds it. Gives how many are
    /// new; where none is, nothing is done.
    ///
    /// # Errors
    /// Any; then the machine is as before.
    pub async fn add_modules(
        &self,
        name: &MachineName,
        sources: Vec<ModuleSource>,
        personal: bool,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<usize, MachineError> {
        let added = sources.into_iter().map(|source| (source, false));
        let own = if personal { self.personal_modules()? } else { Vec::new() };
        let sources: Vec<_> = added.chain(own.into_iter().map(|source| (source, true))).collect();
        let add = |definition: &mut Definition| {
            sources.iter().filter(|(source, personal)| definition.add(source.clone(), *personal)).count()
        };
        // Looked at before, so that nothing is rebuilt for nothing.
        let new = add(&mut self.made_of(name)?.1);
        if new > 0 {
            let change = |definition: &mut Definition| {
                add(definition);
                are_there(definition)
            };
            self.change(name, change, front, cancel).await?;
        }
        Ok(new)
    }

    /// Takes a module of a machine, named by its source or number, from elsewhere, as a local clone; rebuilds it. The output
    /// of the flake stays the same where none is named.
    ///
    /// # Errors
    /// Any; then the machine is as before.
    pub async fn set_module(
        &self,
        name: &MachineName,
        module: &str,
        source: ModuleSource,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let change = |definition: &mut Definition| {
            let index = definition.module_at(name, module)?;
            let before = definition.modules.get(index).and_then(|module| module.source.output.clone());
            definition.replace(index, with_output(source, before))?;
            are_there(definition)
        };
        self.change(name, change, front, cancel).await
    }

    /// Removes a module, named by its source or number, from a machine; rebuilds it.
    ///
    /// # Errors
    /// Any; then the machine is as before.
    pub async fn remove_module(
        &self,
        name: &MachineName,
        module: &str,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let change = |definition: &mut Definition| {
            let index = definition.module_at(name, module)?;
            definition.remove(index, name)
        };
        self.change(name, change, front, cancel).await
    }

    /// Makes a machine of another nixpkgs; rebuilds it.
    ///
    /// # Errors
    /// Any; then the machine is as before.
    pub async fn set_nixpkgs(
        &self,
        name: &MachineName,
        choice: &NixpkgsChoice,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<(), MachineError> {
        let change = |definition: &mut Definition| definition.choose_nixpkgs(name, choice);
        self.change(name, change, front, cancel).await
    }

    /// Locks newer revisions of what a machine is made of, for the next rebuild, or rebuilds it with them at once. Gives
    /// what was locked before and is now. The shared nixpkgs is taken as [`Machines::move_pin`] has left it.
    ///
    /// # Errors
    /// Any; then the machine is as before.
    pub async fn update(
        &self,
        name: &MachineName,
        what: &Update,
        rebuild: bool,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<Vec<InputChange>, MachineError> {
        let mut before = None;
        let operation = if rebuild { Operation::Rebuild } else { Operation::Update };
        let prepare = |prepared: &mut Prepared| {
            let inputs = updated_inputs(&prepared.definition, name, what)?;
            before = Some(Locked::parse(prepared.journal.lock.as_deref()));
            prepared.journal.update.clone_from(&inputs);
            Ok(())
        };
        self.operate_prepared(name, Journal::new(operation), prepare, front, cancel).await?;
        let (folder, definition) = self.made_of(name)?;
        let (before, after) = (before.unwrap_or_default(), Locked::read(&folder)?);
        let asked = updated_inputs(&definition, name, what)?;
        let change = |asked: &String| {
            // The shared nixpkgs is locked through the pin.
            let input = if asked == PIN { NIXPKGS } else { asked.as_str() };
            let name = inputs::name(&definition, input);
            InputChange { name, from: before.revision(input), to: after.revision(input) }
        };
        Ok(asked.iter().map(change).collect())
    }

    /// Moves the nixpkgs that machines share to its newest revision. No machine changes by that alone.
    ///
    /// # Errors
    /// Where it cannot be fetched; then it is as before.
    pub async fn move_pin(&self, cancel: &CancellationToken) -> Result<InputChange, MachineError> {
        let pin = Pin::new(self.paths());
        let from = pin.revision();
        let nix = self.nix_of(self.store_of_new().await, &|_| {}, cancel).await?;
        pin.hold(self.pinned_url(), true, &nix, cancel).await?;
        Ok(InputChange { name: NIXPKGS.into(), from, to: pin.revision() })
    }

    /// Whether an update is about the shared nixpkgs: of one machine, or of any where none is named.
    ///
    /// # Errors
    /// Where there is no such machine, or its files cannot be read.
    pub fn wants_pin(&self, name: Option<&MachineName>, what: &Update) -> Result<bool, MachineError> {
        if matches!(what, Update::Module(_)) {
            return Ok(false);
        }
        let has_pin = |name: &MachineName| {
            self.made_of(name).map(|(_, definition)| definition.nixpkgs == NixpkgsFrom::Pin)
        };
        match name {
            Some(name) => has_pin(name),
            None => Ok(machine_names(self.paths())?.iter().any(|name| has_pin(name).unwrap_or(false))),
        }
    }

    /// The flake URL of the nixpkgs that machines share.
    pub(crate) fn pinned_url(&self) -> &str {
        self.options().nixpkgs.as_deref().unwrap_or(DEFAULT_NIXPKGS)
    }

    fn personal_modules(&self) -> Result<Vec<ModuleSource>, MachineError> {
        personal_sources(&self.options().personal_modules, &self.paths().home)
    }

    fn made_of(&self, name: &MachineName) -> Result<(MachineFolder, Definition), MachineError> {
        let folder = MachineFolder::new(self.paths(), name);
        let definition = folder.definition()?.ok_or_else(|| self.unknown(name))?;
        Ok((folder, definition))
    }
}

/// The same, with `output` where it names none and can have some.
fn with_output(source: ModuleSource, output: Option<String>) -> ModuleSource {
    let has_outputs = match &source.kind {
        SourceKind::Git(_) => true,
        SourceKind::Folder(folder) => folder.join("flake.nix").is_file(),
        SourceKind::File(_) => false,
    };
    ModuleSource { output: source.output.or(output.filter(|_| has_outputs)), ..source }
}

/// That all local modules are there.
fn are_there(definition: &Definition) -> Result<(), MachineError> {
    match definition.gone() {
        None => Ok(()),
        Some(source) => Err(MachineError::User {
            message: format!("There is no module at {source}"),
            hint: Some("Name a folder with a flake.nix or codchi.nix, a .nix file or a git URL.".into()),
        }),
    }
}

/// The names of the flake inputs that an update is about.
fn updated_inputs(
    definition: &Definition,
    name: &MachineName,
    what: &Update,
) -> Result<Vec<String>, MachineError> {
    let nixpkgs = match &definition.nixpkgs {
        NixpkgsFrom::Pin => Some(PIN),
        NixpkgsFrom::Url(_) => Some(NIXPKGS),
        NixpkgsFrom::Follow(_) => None,
    };
    match what {
        Update::All => {
            let remote = definition.modules.iter().filter(|m| matches!(m.source.kind, SourceKind::Git(_)));
            let mut inputs: Vec<String> = Vec::new();
            for input in remote.map(|m| m.input.clone()).chain(nixpkgs.map(Into::into)) {
                if !inputs.contains(&input) {
                    inputs.push(input);
                }
            }
            Ok(inputs)
        }
        Update::Module(text) => {
            let index = definition.module_at(name, text)?;
            match definition.modules.get(index) {
                Some(module) if module.source.folder().is_none() => Ok(vec![module.input.clone()]),
                _ => Err(MachineError::User {
                    message:
                        "A module on this computer has no revision to update: each rebuild takes it as it is"
                            .into(),
                    hint: Some(format!("Run `codchi rebuild {name}`.")),
                }),
            }
        }
        Update::Nixpkgs => match nixpkgs {
            Some(input) => Ok(vec![input.into()]),
            None => Err(MachineError::User {
                message: format!("The nixpkgs of `{name}` is that of one of its modules and moves with it"),
                hint: Some(format!(
                    "Update the module (`codchi update {name} --module MODULE`), or choose another nixpkgs \
                     (`codchi nixpkgs {name} pin`)."
                )),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(kind: SourceKind, output: Option<&str>) -> ModuleSource {
        ModuleSource { kind, output: output.map(Into::into) }
    }

    #[test]
    fn a_module_from_elsewhere_stays_the_same_output() {
        let folder = tempfile::tempdir().unwrap();
        let at = |output| source(SourceKind::Folder(folder.path().into()), output);
        let before = || Some("a".to_owned());
        assert_eq!(with_output(at(None), before()), at(None), "it is no flake");
        std::fs::write(folder.path().join("flake.nix"), "").unwrap();
        assert_eq!(with_output(at(None), before()), at(Some("a")));
        assert_eq!(with_output(at(Some("b")), before()), at(Some("b")));
        let file = source(SourceKind::File("/a.nix".into()), None);
        assert_eq!(with_output(file.clone(), before()), file);
    }

    #[test]
    fn an_update_is_about_what_has_revisions() {
        let name: MachineName = "m".parse().unwrap();
        let mut machine = Definition::new("x".into(), codchi_driver::DriverKind::Lxd);
        let git = || SourceKind::Git("git+https://host/a".into());
        machine.add(source(SourceKind::Folder("/w".into()), None), false);
        machine.add(source(git(), Some("a")), false);
        machine.add(source(git(), Some("b")), false);
        let of = |machine: &Definition, what| updated_inputs(machine, &name, &what);
        assert_eq!(of(&machine, Update::All).unwrap(), ["module-1", "pin"]);
        assert_eq!(of(&machine, Update::Module("3".into())).unwrap(), ["module-1"]);
        assert_eq!(of(&machine, Update::Nixpkgs).unwrap(), ["pin"]);
        let error = of(&machine, Update::Module("1".into())).unwrap_err();
        assert!(error.hint().unwrap().contains("codchi rebuild m"), "{error}");
        assert!(of(&machine, Update::Module("4".into())).is_err());

        machine.choose_nixpkgs(&name, &NixpkgsChoice::Url("github:o/r".into())).unwrap();
        assert_eq!(of(&machine, Update::All).unwrap(), ["module-1", "nixpkgs"]);
        machine.choose_nixpkgs(&name, &NixpkgsChoice::Follow(Some("2".into()))).unwrap();
        assert_eq!(of(&machine, Update::All).unwrap(), ["module-1"]);
        let error = of(&machine, Update::Nixpkgs).unwrap_err();
        assert!(error.hint().unwrap().contains("--module"), "{error}");
    }
}
