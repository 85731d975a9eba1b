use super::*;
use crate::SecretSpec;
use proptest::prelude::*;
use std::io::Read as _;
use std::process::{Command, Stdio};

fn spec() -> SecretSpec {
    SecretSpec { owner: "postgres".into(), mode: "0440".into(), ..crate::test::secret_spec() }
}

fn keys() -> SshKeys {
    SshKeys {
        host_key: Secret::new("PRIVATE").unwrap(),
        host_key_public: "public\n".into(),
        authorized_keys: "mine\n".into(),
    }
}

fn pack_one(name: &str, spec: SecretSpec, value: &[u8]) -> Result<Zeroizing<Vec<u8>>, MachineError> {
    Ok(archive_of(name, spec, value)?.bytes)
}

fn archive_of(name: &str, spec: SecretSpec, value: &[u8]) -> Result<Archive, MachineError> {
    let manifest = Manifest { secrets: BTreeMap::from([(name.into(), spec)]), ..Default::default() };
    archive(
        &manifest,
        &BTreeMap::from([(name.into(), Secret::new(value).unwrap())]),
        &keys(),
        Extra::default(),
    )
}

/// By path: owner, mode and contents.
fn unpack(archive: &[u8]) -> BTreeMap<String, (String, u32, Vec<u8>)> {
    let mut entries = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).unwrap();
        let header = entry.header();
        let owner = header.username().unwrap().unwrap().to_owned();
        assert_eq!(header.groupname().unwrap(), Some(owner.as_str()));
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        entries.insert(path, (owner, header.mode().unwrap(), contents));
    }
    entries
}

/// What a real shell has in `$CODCHI_X` after it has read `file`.
fn shell_reads(shell: &str, file: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("env");
    std::fs::write(&path, file).unwrap();
    let output = Command::new(shell)
        .args(["-c", ". \"$1\"; printf %s \"$CODCHI_X\"", "sh"])
        .arg(&path)
        .env("LC_ALL", "C")
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

/// What systemd has after it has read `file`, by the rules of systemd.exec(5) for double quotes.
fn systemd_reads(file: &str) -> String {
    let mut value = String::new();
    let mut chars = file.strip_prefix("CODCHI_X=\"").unwrap().chars();
    loop {
        match chars.next().unwrap() {
            '"' => break,
            '\\' => match chars.next().unwrap() {
                '\n' => {}
                c if "\"\\`$".contains(c) => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
    assert_eq!(chars.as_str(), "\n");
    value
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_shell_reads_any_bytes_back(value in prop::collection::vec(prop_oneof![
        3 => 1u8..,
        1 => prop::sample::select(b"'\"\\$`!\n\r \t#;&".to_vec()),
    ], 0..64)) {
        let archive = pack_one("X", spec(), &value).unwrap();
        let entries = unpack(&archive);
        prop_assert_eq!(&shell_reads("sh", &entries["env"].2), &value);
        prop_assert_eq!(&entries["secrets/X"].2, &value);
    }

    #[test]
    fn systemd_reads_any_text_back(value in "[\\PC\"\\\\$`'\n\r\t]{0,64}") {
        let value = value.replace('\0', "");
        let spec = SecretSpec { units: vec!["web.service".into()], ..spec() };
        let entries = unpack(&pack_one("X", spec, value.as_bytes()).unwrap());
        let (owner, mode, file) = &entries["units/web.env"];
        prop_assert_eq!((owner.as_str(), *mode), ("root", 0o400));
        prop_assert_eq!(systemd_reads(std::str::from_utf8(file).unwrap()), value.as_str());
        // The rules for double quotes are those of a shell.
        prop_assert_eq!(shell_reads("sh", file), value.as_bytes());
    }
}

#[test]
fn every_file_has_its_owner_and_mode() {
    let entries = unpack(&pack_one("X", spec(), b"v").unwrap());
    let listed: Vec<_> =
        entries.iter().map(|(path, (owner, mode, _))| format!("{path} {owner} {mode:o}")).collect();
    assert_eq!(
        listed,
        [
            "env codchi 400",
            "secrets root 755",
            "secrets/X postgres 440",
            "ssh root 755",
            "ssh/authorized_keys root 644",
            "ssh/host_key root 600",
            "ssh/host_key.pub root 644",
            "units root 700",
        ]
    );
    assert_eq!(entries["ssh/host_key"].2, b"PRIVATE");
}

#[test]
fn only_what_is_declared_and_set_is_delivered() {
    let only = |env, file| SecretSpec { env, file, ..spec() };
    let secrets = [("E", only(true, false)), ("F", only(false, true)), ("UNSET", only(true, true))];
    let manifest = Manifest {
        secrets: secrets.into_iter().map(|(name, spec)| (name.into(), spec)).collect(),
        ..Default::default()
    };
    let values = ["E", "F", "OTHER"].map(|name| (name.into(), Secret::new(name).unwrap()));
    let entries =
        unpack(&archive(&manifest, &BTreeMap::from(values), &keys(), Extra::default()).unwrap().bytes);
    assert_eq!(entries["env"].2, b"export CODCHI_E='E'\n");
    let files: Vec<_> = entries.keys().filter(|path| path.starts_with("secrets/")).collect();
    assert_eq!(files, ["secrets/F"]);
}

#[test]
fn what_cannot_be_delivered_is_an_error_without_the_value() {
    let units = |unit: &str| SecretSpec { units: vec![unit.into()], ..spec() };
    for (name, spec, value) in [
        ("X; rm -rf /", spec(), b"hunter2".as_slice()),
        ("../X", spec(), b"hunter2"),
        ("1X", spec(), b"hunter2"),
        ("X", SecretSpec { mode: "rw".into(), ..spec() }, b"hunter2"),
        ("X", SecretSpec { mode: "7777".into(), ..spec() }, b"hunter2"),
        ("X", SecretSpec { owner: "x".repeat(33), ..spec() }, b"hunter2"),
        ("X", units("../../x"), b"hunter2"),
        ("X", units("web"), b"hunter2\xff"),
    ] {
        let error = pack_one(name, spec, value).unwrap_err();
        assert!(matches!(error, MachineError::User { hint: Some(_), .. }));
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn the_receivers_tar_reads_it() {
    let archive = pack_one(&"X".repeat(120), spec(), &b"v".repeat(1500)).unwrap();
    assert!(archive.capacity() >= archive.len());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.tar");
    std::fs::write(&file, &*archive).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--file"]).arg(&file).arg("--directory").arg(folder.path());
    let output = tar.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert_eq!(std::fs::read(folder.path().join("secrets").join("X".repeat(120))).unwrap().len(), 1500);
}

#[test]
fn what_no_program_would_start_with_is_a_file_only() {
    let long = "x".repeat(128 << 10).into_bytes();
    let alone = archive_of("X", spec(), &long).unwrap();
    assert_eq!(alone.left_out, ["CODCHI_X"]);
    let entries = unpack(&alone.bytes);
    assert!(entries["env"].2.is_empty());
    assert_eq!(entries["secrets/X"].2, long);
    let error = pack_one("X", SecretSpec { units: vec!["web".into()], ..spec() }, &long).unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");

    // Many that each would do are too much together: the shortest are those that go in.
    let names: Vec<String> = (10..25).map(|number| format!("N{number}")).collect();
    let values: BTreeMap<_, _> = (70..)
        .zip(&names)
        .map(|(kib, name)| (name.clone(), Secret::new(vec![b'x'; kib << 10]).unwrap()))
        .collect();
    let manifest =
        Manifest { secrets: names.iter().map(|name| (name.clone(), spec())).collect(), ..Default::default() };
    let many = archive(&manifest, &values, &keys(), Extra::default()).unwrap();
    assert_eq!(many.left_out, ["CODCHI_N23", "CODCHI_N24"]);
    assert!(unpack(&many.bytes)["env"].2.len() < MOST + 4096);
}

#[test]
fn a_unit_that_reads_a_file_is_told_of_its_change_and_not_of_its_value() {
    let unit = SecretSpec { env: false, units: vec!["web".into()], ..spec() };
    let file = |value: &[u8]| unpack(&pack_one("X", unit.clone(), value).unwrap())["units/web.env"].2.clone();
    let text = String::from_utf8(file(b"hunter2\xff")).unwrap();
    assert!(text.starts_with("# X ") && text.lines().count() == 1 && !text.contains("hunter2"), "{text}");
    assert_ne!(file(b"a"), file(b"b"));
}
