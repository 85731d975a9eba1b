//! `machine.toml`: what a machine is made of.

use super::{Journal, MachineFolder, Module, NixpkgsFrom};
use crate::files::{damaged, io_error, make_folder, read_optional, remove_folder, write_atomic};
use crate::{MachineError, ModuleSource, Repository, SourceKind, StoreKind};
use codchi_driver::DriverKind;
use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer};
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::{Path, PathBuf};

/// What a machine is made of, as its creator said it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Definition {
    /// The version of this file's format.
    pub(crate) version: u32,
    /// Tells this machine's instance from one of the same name that somebody else made.
    pub(crate) id: String,
    /// What runs it.
    pub(crate) driver: DriverKind,
    /// Which store its systems lie in.
    #[serde(default, skip_serializing_if = "StoreKind::is_host")]
    pub(crate) store: StoreKind,
    /// Where its nixpkgs comes from.
    pub(crate) nixpkgs: NixpkgsFrom,
    /// The folder of the host that is mounted in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<PathBuf>,
    /// The repository that was cloned into it when it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checkout: Option<Repository>,
    /// When it was created, in seconds since 1970.
    pub(crate) created: u64,
    /// The number in the name of the next module's input. Names are never used again: what is locked under one is of
    /// one source for ever.
    pub(crate) next_input: u32,
    /// Its modules, in order; personal ones come last.
    pub(crate) modules: Vec<Module>,
}

impl Definition {
    /// The version that this program writes, and the newest that it reads.
    pub(crate) const VERSION: u32 = 2;

    /// Of no module, with the nixpkgs that machines share.
    pub(crate) fn new(id: String, driver: DriverKind) -> Self {
        Self {
            version: Self::VERSION,
            id,
            driver,
            store: StoreKind::Host,
            nixpkgs: NixpkgsFrom::Pin,
            project: None,
            checkout: None,
            created: 0,
            next_input: 0,
            modules: Vec::new(),
        }
    }

    /// Reads the text of a `machine.toml`, also of an older format. `path` names it in errors.
    ///
    /// # Errors
    /// Where it is damaged, or was written by a newer codchi.
    pub(crate) fn parse(contents: &[u8], path: &Path) -> Result<Self, MachineError> {
        let text = std::str::from_utf8(contents)
            .map_err(|e| damaged(path, contents, Some(e.valid_up_to()), "this is not text (UTF-8)"))?;
        let invalid = |error: toml::de::Error| {
            damaged(path, contents, error.span().map(|span| span.start), error.message())
        };
        let table: toml::Table = text.parse().map_err(invalid)?;
        match version(&table) {
            newer if newer > i64::from(Self::VERSION) => Err(newer_codchi(path)),
            // Of the text itself, where it can be: a value of a table has no place.
            1 => from_table(table).map_err(invalid),
            _ => toml::from_str(text).map_err(invalid),
        }
    }

    /// An id that no other machine has. Not a secret: it only has to differ.
    pub(crate) fn new_id() -> String {
        let random = std::collections::hash_map::RandomState::new();
        format!("{:016x}", random.build_hasher().finish())
    }

    /// Where one works in the machine: the project folder, else the repository that was cloned, else the home folder.
    pub(crate) fn workspace(&self) -> String {
        let folder = self.project.as_deref().map(|p| p.file_name().unwrap_or("project".as_ref()));
        match (folder, &self.checkout) {
            (Some(folder), _) => format!("{HOME}/{}", folder.to_string_lossy()),
            (None, Some(repository)) => format!("{HOME}/{}", repository.folder()),
            (None, None) => HOME.into(),
        }
    }

    /// The local folders that its modules live in, each once.
    pub(crate) fn module_folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in self.modules.iter().filter_map(|module| module.source.folder()) {
            if !folders.iter().any(|f| f == folder) {
                folders.push(folder.to_owned());
            }
        }
        folders
    }
}

/// The home folder of the machine's user.
pub(crate) const HOME: &str = "/home/codchi";

/// The local folder that a module needs copied: all of its git repository, since a module may import what is beside
/// it, or else the folder it lives in. The home folder and the root are never taken as a whole.
pub(crate) fn snapshot_root(source: &ModuleSource, home: &Path) -> Option<PathBuf> {
    let folder = match &source.kind {
        SourceKind::Git(_) => return None,
        SourceKind::Folder(folder) => folder.as_path(),
        SourceKind::File(file) => file.parent()?,
    };
    let repository = folder
        .ancestors()
        .take_while(|f| *f != home && f.parent().is_some())
        .find(|f| f.join(".git").exists());
    Some(repository.unwrap_or(folder).to_owned())
}

impl MachineFolder {
    fn definition_path(&self) -> PathBuf {
        self.root().join("machine.toml")
    }

    /// Makes the folder of a new machine. It appears with definition and journal in it or not at all.
    ///
    /// # Errors
    /// [`MachineError::Io`], also where the folder is there already.
    pub(crate) fn found(&self, definition: &Definition, journal: &Journal) -> Result<(), MachineError> {
        let name = self.root().file_name().unwrap_or_default().to_string_lossy();
        let new = Self { root: self.root().with_file_name(format!(".new-{name}")) };
        remove_folder(new.root())?;
        make_folder(new.root())?;
        new.write_definition(definition)?;
        new.write_journal(journal)?;
        std::fs::rename(new.root(), self.root()).map_err(|e| io_error("Making the folder", self.root(), e))
    }

    /// Reads `machine.toml`; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or was written by a newer codchi.
    pub(crate) fn definition(&self) -> Result<Option<Definition>, MachineError> {
        let path = self.definition_path();
        read_optional(&path)?.map(|contents| Definition::parse(&contents, &path)).transpose()
    }

    /// Writes `machine.toml`.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn write_definition(&self, definition: &Definition) -> Result<(), MachineError> {
        let path = self.definition_path();
        let text = toml::to_string(definition)
            .map_err(|e| io_error("Writing", &path, std::io::Error::other(e.to_string())))?;
        write_atomic(&path, text.as_bytes(), 0o600)
    }
}

/// A file that says what this version does not know.
pub(super) fn newer_codchi(path: &Path) -> MachineError {
    MachineError::User {
        message: format!("{} was written by a newer codchi", path.display()),
        hint: Some("Update codchi.".into()),
    }
}

/// Reads a definition of any format that this version knows, where there is one: a field of a journal.
pub(super) fn of_any_format<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Definition>, D::Error> {
    let table = Option::<toml::Table>::deserialize(deserializer)?;
    table.map(from_table).transpose().map_err(|error| D::Error::custom(error.message()))
}

fn version(table: &toml::Table) -> i64 {
    table.get("version").and_then(toml::Value::as_integer).unwrap_or(0)
}

fn from_table(mut table: toml::Table) -> Result<Definition, toml::de::Error> {
    if version(&table) == 1 {
        from_first_format(&mut table);
    }
    table.try_into()
}

/// Format 1 knew no names of inputs, since they were the modules' places, and no nixpkgs but a URL.
fn from_first_format(table: &mut toml::Table) {
    table.insert("version".into(), Definition::VERSION.into());
    if let Some(toml::Value::String(url)) = table.get("nixpkgs").cloned() {
        table.insert("nixpkgs".into(), toml::Table::from_iter([("url".to_owned(), url.into())]).into());
    }
    let Some(modules) = table.get_mut("modules").and_then(toml::Value::as_array_mut) else { return };
    let count = modules.len();
    for (index, module) in modules.iter_mut().enumerate() {
        if let Some(module) = module.as_table_mut() {
            module.insert("input".into(), super::modules::input_name(index).into());
        }
    }
    table.insert("next-input".into(), i64::try_from(count).unwrap_or(i64::MAX).into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MachineName;

    fn definition() -> Definition {
        Definition {
            version: Definition::VERSION,
            id: Definition::new_id(),
            driver: DriverKind::Incus,
            store: StoreKind::Instance,
            nixpkgs: NixpkgsFrom::Url("github:NixOS/nixpkgs/nixos-unstable".into()),
            project: Some("/home/me/my app".into()),
            checkout: None,
            created: 1_700_000_000,
            next_input: 3,
            modules: [
                (SourceKind::Folder("/home/me/my app".into()), Some("dev".to_owned())),
                (SourceKind::File("/home/me/personal.nix".into()), None),
                (SourceKind::Git("git+https://host/path?ref=main".into()), None),
            ]
            .into_iter()
            .enumerate()
            .map(|(index, (kind, output))| Module {
                input: format!("module-{index}"),
                personal: false,
                source: ModuleSource { kind, output },
            })
            .collect(),
        }
    }

    #[test]
    fn the_first_format_is_read_with_the_names_that_its_inputs_had() {
        let data = tempfile::tempdir().unwrap();
        let name: MachineName = "a".parse().unwrap();
        let folder = MachineFolder::new(&crate::test::paths(data.path()), &name);
        std::fs::create_dir_all(folder.root()).unwrap();
        let text = r#"
version = 1
id = "x"
driver = "incus"
nixpkgs = "github:NixOS/nixpkgs/nixos-unstable"
project = "/home/me/my app"
created = 1700000000

[[modules]]
folder = "/home/me/my app"
output = "dev"

[[modules]]
file = "/home/me/personal.nix"

[[modules]]
git = "git+https://host/path?ref=main"
"#;
        std::fs::write(folder.definition_path(), text).unwrap();
        let read = folder.definition().unwrap().unwrap();
        assert_eq!(read, Definition { id: "x".into(), store: StoreKind::Host, ..definition() });
        folder.write_definition(&read).unwrap();
        assert_eq!(folder.definition().unwrap().unwrap(), read);
    }

    #[test]
    fn what_was_written_is_read_back() {
        let data = tempfile::tempdir().unwrap();
        let name: MachineName = "a".parse().unwrap();
        let folder = MachineFolder::new(&crate::test::paths(data.path()), &name);
        std::fs::create_dir_all(folder.root()).unwrap();
        assert_eq!(folder.definition().unwrap(), None);
        folder.write_definition(&definition()).unwrap();
        assert_eq!(
            folder.definition().unwrap().unwrap(),
            Definition { id: folder_id(&folder), ..definition() }
        );
    }

    fn folder_id(folder: &MachineFolder) -> String {
        folder.definition().unwrap().unwrap().id
    }

    #[test]
    fn a_newer_format_is_refused_and_a_damaged_file_is_named() {
        let data = tempfile::tempdir().unwrap();
        let name: MachineName = "a".parse().unwrap();
        let folder = MachineFolder::new(&crate::test::paths(data.path()), &name);
        std::fs::create_dir_all(folder.root()).unwrap();
        std::fs::write(folder.definition_path(), "version = 99\nunknown = []").unwrap();
        let error = folder.definition().unwrap_err();
        assert_eq!(error.hint().as_deref(), Some("Update codchi."));
        for (text, told) in [
            ("version = ", ":1:11: "),
            ("version = 2\nid = \"x\"\ndriver = \"vax\"\n", ":3:10: unknown variant `vax`"),
            ("version = 2\nid = 7\n", ":2:6: invalid type: integer `7`, expected a string"),
            // Columns are counted in characters, as an editor does.
            ("version = 2\nid = \"ü\" x\n", ":2:10: "),
            ("version = 2\n", ":1:1: missing field"),
            ("version = 1\nid = 7\n", ": invalid type: integer `7`"),
        ] {
            std::fs::write(folder.definition_path(), text).unwrap();
            let message = folder.definition().unwrap_err().to_string();
            let at = format!("{}{told}", folder.definition_path().display());
            assert!(message.starts_with(&at), "{message}\n{at}");
        }
        std::fs::write(folder.definition_path(), b"id = \"\xff\"").unwrap();
        let message = folder.definition().unwrap_err().to_string();
        assert!(message.ends_with("machine.toml:1:7: this is not text (UTF-8)"), "{message}");
    }

    #[test]
    fn the_workspace_is_named_like_the_project_folder() {
        assert_eq!(definition().workspace(), "/home/codchi/my app");
        assert_eq!(Definition { project: None, ..definition() }.workspace(), "/home/codchi");
    }

    #[test]
    fn a_module_in_a_repository_is_copied_with_its_repository() {
        let home = tempfile::tempdir().unwrap();
        let (repository, inner) = (home.path().join("r"), home.path().join("r/nix/dev"));
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::create_dir_all(home.path().join(".git")).unwrap();
        let source = ModuleSource { kind: SourceKind::Folder(inner.clone()), output: None };
        assert_eq!(
            snapshot_root(&source, home.path()),
            Some(inner.clone()),
            "the home folder is never taken"
        );
        std::fs::create_dir_all(repository.join(".git")).unwrap();
        assert_eq!(snapshot_root(&source, home.path()), Some(repository.clone()));
        let file = ModuleSource { kind: SourceKind::File(inner.join("a.nix")), output: None };
        assert_eq!(snapshot_root(&file, home.path()), Some(repository));
    }

    #[test]
    fn ids_differ() {
        assert_ne!(Definition::new_id(), Definition::new_id());
    }
}
