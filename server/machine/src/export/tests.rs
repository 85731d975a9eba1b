use super::{Contents, Export, Header, LocalModule, VERSION, read_root, write};
use crate::state::{Definition, Module, NixpkgsFrom};
use crate::{MachineError, ModuleSource, Secret, SourceKind};
use codchi_driver::DriverKind;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A folder, in which there is an export of the machine `a`.
struct Exported {
    folder: tempfile::TempDir,
    file: PathBuf,
}

/// What stands for a root file system; it spans several buffers.
fn root() -> Vec<u8> {
    (0..300_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect()
}

fn definition(folder: &Path) -> Definition {
    let module = |index: usize, path: PathBuf| Module {
        input: format!("module-{index}"),
        personal: false,
        source: ModuleSource { kind: SourceKind::Folder(path), output: None },
    };
    Definition {
        nixpkgs: NixpkgsFrom::Pin,
        project: Some(folder.join("old/project")),
        modules: vec![module(0, folder.join("old/project/nix")), module(1, folder.join("old/mine/dev"))],
        next_input: 2,
        ..Definition::new("id".into(), DriverKind::Lxd)
    }
}

fn export(passphrase: Option<&str>) -> Exported {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.codchi");
    let local = |index: usize, root: &str| LocalModule {
        input: format!("module-{index}"),
        root: folder.path().join("old").join(root),
    };
    let header = Header {
        version: VERSION,
        codchi: "0".into(),
        name: "a".into(),
        created: 7,
        modules: vec![local(0, "project"), local(1, "mine")],
    };
    let copies: Vec<PathBuf> = [("project", "nix/codchi.nix"), ("mine", "dev/codchi.nix")]
        .map(|(name, file)| {
            let copy = folder.path().join("copies").join(name);
            std::fs::create_dir_all(copy.join(file).parent().unwrap()).unwrap();
            std::fs::write(copy.join(file), name).unwrap();
            copy
        })
        .into();
    let text = toml::to_string(&definition(folder.path())).unwrap();
    let secrets = BTreeMap::from([("TOKEN".to_owned(), Secret::new("quote \" and\nline \u{e4}").unwrap())]);
    let contents = Contents::for_test(header, &text, copies, secrets);
    let passphrase = passphrase.map(|text| Secret::new(text).unwrap());
    write(&file, &contents, passphrase, root().as_slice()).unwrap();
    Exported { folder, file }
}

fn told(result: Result<Export, MachineError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn what_was_written_is_read_back() {
    let Exported { folder, file } = export(Some("horse battery"));
    let export = Export::open(&file).unwrap();
    assert_eq!(export.name(), Some("a".parse().unwrap()));
    assert_eq!((export.created(), export.lock.as_deref()), (7, Some("{}")));
    let mut unpacked = Vec::new();
    read_root(&export, &mut unpacked).unwrap();
    assert!(unpacked == root() && export.root_size() == unpacked.len() as u64);
    let secrets = export.decrypted(&Secret::new("horse battery").unwrap()).unwrap();
    assert_eq!(secrets["TOKEN"].expose(), "quote \" and\nline \u{e4}".as_bytes());
    let wrong = export.decrypted(&Secret::new("donkey").unwrap()).unwrap_err();
    assert!(wrong.to_string().contains("passphrase does not open"), "{wrong}");
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"quote \" "), "a secret is in clear");
    assert!(folder.path().join("old").symlink_metadata().is_err(), "reading changes nothing");
}

#[test]
fn secrets_stay_where_nobody_asked_for_them() {
    let Exported { file, folder: _folder } = export(None);
    let export = Export::open(&file).unwrap();
    assert!(!export.has_secrets());
    assert_eq!(export.decrypted(&Secret::new("any").unwrap()).unwrap(), BTreeMap::new());
}

#[test]
fn other_programs_read_it_too() {
    let Exported { file, folder: _folder } = export(None);
    let listed = std::process::Command::new("tar").arg("-tf").arg(&file).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    for entry in ["codchi.json", "machine.toml", "modules/module-1/dev/codchi.nix", "root.tar.zst", "end"] {
        assert!(listed.lines().any(|line| line == entry), "{entry} is not in {listed}");
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_told_to_be_so() {
    let Exported { folder, file } = export(None);
    let bytes = std::fs::read(&file).unwrap();
    let cut = folder.path().join("cut.codchi");
    for length in [600, 2_000, 5_000, bytes.len() / 2, bytes.len() - 2_000] {
        std::fs::write(&cut, &bytes[..length]).unwrap();
        let error = told(Export::open(&cut));
        assert!(error.contains("damaged or not whole"), "{length}: {error}");
    }
    let mut damaged = bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    std::fs::write(&cut, &damaged).unwrap();
    assert!(told(Export::open(&cut)).contains("damaged or not whole"));
}

#[test]
fn what_is_no_export_is_told_to_be_none_and_a_newer_one_to_be_newer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x");
    for bytes in [&b""[..], b"hello", &[0; 4096]] {
        std::fs::write(&file, bytes).unwrap();
        assert!(told(Export::open(&file)).contains("no exported code machine"));
    }
    let mut archive = tar::Builder::new(Vec::new());
    let json = br#"{"version":99,"what":"ever"}"#;
    let mut header = tar::Header::new_gnu();
    header.set_size(json.len() as u64);
    archive.append_data(&mut header, "codchi.json", &json[..]).unwrap();
    std::fs::write(&file, archive.into_inner().unwrap()).unwrap();
    let error = Export::open(&file).unwrap_err();
    assert!(error.to_string().contains("newer codchi") && error.hint().as_deref() == Some("Update codchi."));
    assert!(Export::open(&folder.path().join("nothing")).unwrap_err().to_string().contains("nothing"));
}

#[test]
fn modules_are_looked_for_in_the_project_then_where_they_were_then_in_the_file() {
    let Exported { folder, file } = export(None);
    let export = Export::open(&file).unwrap();
    let (project, imported) = (folder.path().join("new"), folder.path().join("imported/id"));
    std::fs::create_dir_all(project.join("nix")).unwrap();
    let paths = |definition: &Definition| -> Vec<PathBuf> {
        definition.modules.iter().map(|module| module.source.folder().unwrap().to_owned()).collect()
    };

    let (definition, from_file) = export.definition("new".into(), Some(project.clone()), &imported);
    let unpacked = imported.join("modules/module-1/dev");
    assert_eq!(paths(&definition), [project.join("nix"), unpacked.clone()]);
    assert_eq!((definition.id.as_str(), from_file), ("new", vec!["module-1".to_owned()]));
    export.unpack_modules(&imported).unwrap();
    assert_eq!(std::fs::read_to_string(unpacked.join("codchi.nix")).unwrap(), "mine");

    // They are as a repository there: what is beside the module may be imported by it.
    let source = &definition.modules[1].source;
    assert_eq!(crate::state::snapshot_root(source, Path::new("/")), Some(imported.join("modules/module-1")));

    let there = folder.path().join("old/mine/dev");
    std::fs::create_dir_all(&there).unwrap();
    let (definition, from_file) = export.definition("new".into(), Some(project.clone()), &imported);
    assert_eq!((paths(&definition), from_file), (vec![project.join("nix"), there], vec![]));
}

#[test]
fn an_entry_that_wants_out_of_the_folder_stays_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let Exported { file, folder: of_file } = export(None);
    let export = Export::open(&file).unwrap();
    // A hostile file: a link out, and then an entry through it.
    let mut archive = tar::Builder::new(Vec::new());
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    archive.append_link(&mut link, "modules/out", folder.path()).unwrap();
    let mut entry = tar::Header::new_gnu();
    entry.set_size(4);
    archive.append_data(&mut entry, "modules/out/evil", &b"evil"[..]).unwrap();
    std::fs::write(&file, archive.into_inner().unwrap()).unwrap();
    let _ = export.unpack_modules(&of_file.path().join("imported"));
    assert!(!folder.path().join("evil").exists());
}
