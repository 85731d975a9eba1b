//! `--import` and `--import-in-place`: `RegisterDistribution` in `LxssUserSession.cpp`.

use super::{Given, answer, done, service};
use crate::arguments::{Options, parse};
use crate::client::{Call, FAILED, Outcome};
use crate::computer::Computer;
use crate::distribution::process::{self, REGISTER};
use crate::distribution::rooted::Root;
use crate::failure::Failure;
use crate::registry::{Distribution, Held, State, disk, new_id};
use crate::{raw, windows_path};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Where a failure of the service arises.
const SERVICE: [&str; 3] = ["Wsl", "Service", "RegisterDistro"];
/// The disk's file.
const VHD: &str = "ext4.vhdx";
/// The longest name: `LX_INIT_DISTRO_NAME_MAX`.
const LONGEST_NAME: usize = 256;
/// How much gets onto a disk that gets full.
const UNTIL_FULL: u64 = 64 << 10;

const OPTIONS: Options<'_> =
    Options { flags: &[("--vhd", None)], values: &[("--version", None)], positions: 3 };

/// What the service is asked for.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    name: String,
    /// As Windows writes it.
    folder: String,
    /// Whether what comes is a disk, and the name of its file.
    vhd: Option<String>,
    disk_full: bool,
}

/// Imports a distribution.
pub(crate) fn run(call: &Call<'_>, given: &Given) -> Result<Outcome> {
    let options = match parse(&given.line, 1, &OPTIONS) {
        Ok(options) => options,
        Err(failure) => return Ok(Err(failure)),
    };
    match options.value("--version") {
        None | Some("2") => {}
        Some("1") => return Ok(Err(Failure::new(&SERVICE, "WSL_E_WSL1_NOT_SUPPORTED"))),
        Some(_) => return Ok(Err(Failure::new(&["Wsl"], "ERROR_VERSION_PARSE_ERROR"))),
    }
    let [name, folder, file] = &options.positions[..] else {
        return Ok(Err(Failure::new(&["Wsl"], "E_INVALIDARG")));
    };
    let folder = windows_path::absolute(call.computer, folder);
    let Some(here) = windows_path::here(call.computer, &folder) else {
        return Ok(Err(Failure::new(&["Wsl"], "ERROR_PATH_NOT_FOUND")));
    };
    let created = match fs::create_dir(&here) {
        Ok(()) => true,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => false,
        Err(_) => return Ok(Err(Failure::new(&["Wsl"], "ERROR_PATH_NOT_FOUND"))),
    };
    let outcome = import(call, given, name, folder, file, options.has("--vhd"));
    if created && !matches!(outcome, Ok(Ok(0))) {
        // Only where it is empty.
        let _ = fs::remove_dir(&here);
    }
    outcome
}

fn import(
    call: &Call<'_>,
    given: &Given,
    name: &str,
    folder: String,
    file: &str,
    is_vhd: bool,
) -> Result<Outcome> {
    let mut vhd = is_vhd.then(|| VHD.to_owned());
    let input = if file == "-" {
        Stdio::inherit()
    } else {
        let looks_so = [".vhd", ".vhdx"].iter().any(|end| file.to_ascii_lowercase().ends_with(end));
        if looks_so && !is_vhd {
            call.console.line(&call.texts.get("MessagePassVhdFlag", &[]));
            return Ok(Ok(FAILED));
        }
        if is_vhd && !looks_so {
            let values = [".vhd", ".vhdx"];
            return Ok(Err(Failure::told(
                &SERVICE,
                "WSL_E_IMPORT_FAILED",
                "MessageRequiresFileExtensions",
                &values,
            )));
        }
        let path = windows_path::absolute(call.computer, file);
        if is_vhd {
            vhd = path.rsplit(['\\', '/']).next().map(str::to_owned);
        }
        let here = windows_path::here(call.computer, &path).unwrap_or_else(|| path.clone().into());
        match File::open(here) {
            Ok(file) => file.into(),
            Err(_) => return Ok(Err(Failure::new(&["Wsl"], "ERROR_FILE_NOT_FOUND"))),
        }
    };
    if !call.computer.config.virtualization {
        let contexts = ["Wsl", "Service", "RegisterDistro", "CreateVm", "HCS"];
        return Ok(Err(Failure::new(&contexts, "HCS_E_HYPERV_NOT_INSTALLED")));
    }
    let disk_full = given.fault.as_ref().is_some_and(|fault| fault.disk_full);
    let wanted = Wanted { name: name.into(), folder, vhd, disk_full };
    let mut command = process::this(REGISTER)?;
    command.arg(serde_json::to_string(&wanted)?);
    Ok(match service::<Result<(), Failure>>(command, input)? {
        Ok(()) => done(call),
        Err(failure) => Err(failure),
    })
}

/// The service's part: what is imported comes on standard input.
///
/// # Errors
/// What this program could not do, which the service would have.
pub(crate) fn register(computer: &Computer, text: &str) -> Result<()> {
    let _ = rustix::process::setsid();
    let wanted: Wanted = serde_json::from_str(text)?;
    answer(&registered(computer, &wanted)?)
}

fn registered(computer: &Computer, wanted: &Wanted) -> Result<Result<(), Failure>> {
    if let Err(failure) = check_name(&wanted.name) {
        return Ok(Err(failure));
    }
    let of = Distribution {
        id: new_id()?,
        name: wanted.name.clone(),
        base_path: wanted.folder.clone(),
        vhd_file_name: wanted.vhd.clone().unwrap_or_else(|| VHD.into()),
        default_uid: 0,
        version: 2,
        state: State::Installing,
    };
    {
        let mut held = Held::of(computer)?;
        if let Err(failure) = check_unused(&held, &of) {
            return Ok(Err(failure));
        }
        held.registry.distributions.push(of.clone());
        held.write()?;
    }
    let (file, id) = (disk::file(computer, &of), new_id()?.trim_matches(['{', '}']).to_owned());
    let root = computer.disk(&id);
    let outcome = match OpenOptions::new().write(true).create_new(true).open(&file) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Failure::new(&SERVICE, "ERROR_FILE_EXISTS"))
        }
        Err(error) => return Err(error).with_context(|| file.display().to_string()),
        Ok(mut created) => {
            let filled = fill(computer, wanted, &id, &mut created, &root)?;
            if filled.is_err() {
                let _ = fs::remove_dir_all(&root);
                let _ = fs::remove_file(&file);
            }
            filled
        }
    };
    let mut held = Held::of(computer)?;
    match &outcome {
        Ok(()) => {
            if let Some(entry) = held.registry.entry(&of.id) {
                entry.state = State::Installed;
            }
            held.registry.default_distribution.get_or_insert(of.id);
        }
        Err(_) => {
            held.registry.remove(&of.id);
            if let Some(folder) = file.parent() {
                let _ = fs::remove_dir(folder);
            }
        }
    }
    held.write()?;
    Ok(outcome)
}

/// `s_ValidateDistroName`.
fn check_name(name: &str) -> Result<(), Failure> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    if (1..=LONGEST_NAME).contains(&name.len())
        && name.chars().all(fits)
        && !name.eq_ignore_ascii_case("Legacy")
    {
        return Ok(());
    }
    Err(Failure::told(&SERVICE, "E_INVALIDARG", "MessageInvalidInstallDistributionName", &[name]))
}

/// `_ValidateDistributionNameAndPathNotInUse`.
fn check_unused(held: &Held<'_>, of: &Distribution) -> Result<(), Failure> {
    for other in &held.registry.distributions {
        if other.name.eq_ignore_ascii_case(&of.name) {
            return Err(if other.state == State::Installed {
                Failure::told(&SERVICE, "ERROR_ALREADY_EXISTS", "MessageDistroNameAlreadyExists", &[])
            } else {
                Failure::new(&SERVICE, "E_ILLEGAL_STATE_CHANGE")
            });
        }
        let path = |of: &Distribution| of.base_path.trim_end_matches('\\').to_lowercase();
        if path(other) == path(of) {
            return Err(Failure::told(
                &SERVICE,
                "ERROR_FILE_EXISTS",
                "MessageDistroInstallPathAlreadyExists",
                &[],
            ));
        }
    }
    Ok(())
}

/// Fills the new disk `id`, whose root file system is to be at `root`, and the file that stands for it.
fn fill(
    computer: &Computer,
    wanted: &Wanted,
    id: &str,
    file: &mut File,
    root: &Path,
) -> Result<Result<(), Failure>> {
    let mut input = std::io::stdin().lock();
    if wanted.vhd.is_some() {
        let mut data = Vec::new();
        input.read_to_end(&mut data)?;
        // What is no disk of this program is kept, and found out when it is mounted, as on Windows.
        let Some(from) = disk::id(&data) else { return Ok(Ok(file.write_all(&data)?)) };
        copy(&computer.disk(&from), root)?;
        file.write_all(disk::text(id).as_bytes())?;
        return Ok(Ok(()));
    }
    file.write_all(disk::text(id).as_bytes())?;
    fs::create_dir_all(root)?;
    if wanted.disk_full {
        unpack(&mut input.take(UNTIL_FULL), root)?;
        return Ok(Err(Failure::new(&SERVICE, "ERROR_DISK_FULL")));
    }
    if !unpack(&mut input, root)? {
        return Ok(Err(Failure::new(&SERVICE, "WSL_E_IMPORT_FAILED")));
    }
    let inside = Root::at(root)?;
    if !["/etc", "/bin/sh"].iter().any(|path| inside.has(path)) {
        return Ok(Err(Failure::new(&SERVICE, "WSL_E_NOT_A_LINUX_DISTRO")));
    }
    Ok(Ok(()))
}

/// Copies a disk's root file system.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut command = Command::new("cp");
    command.args(["-a", "--reflink=auto"]).arg(from).arg(to);
    anyhow::ensure!(command.status()?.success(), "{command:?} failed");
    Ok(())
}

/// Unpacks an archive, however it is compressed; tells whether that went well.
fn unpack(input: &mut impl Read, root: &Path) -> Result<bool> {
    let mut head = Vec::new();
    input.by_ref().take(6).read_to_end(&mut head)?;
    if head.is_empty() {
        // An archive, too, for the one that WSL uses.
        return Ok(true);
    }
    let compression = match &*head {
        [0x1f, 0x8b, ..] => Some("--gzip"),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Some("--xz"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("--zstd"),
        [b'B', b'Z', b'h', ..] => Some("--bzip2"),
        _ => None,
    };
    let mut command = Command::new("tar");
    command.arg("-C").arg(root).args(["-x", "-p", "--xattrs", "--xattrs-include=*", "--numeric-owner"]);
    command.args(compression).args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().context("tar")?;
    if let Some(mut to) = child.stdin.take() {
        // It reads no more where it fails, and says why itself.
        let _ = to.write_all(&head).and_then(|()| std::io::copy(input, &mut to).map(drop));
    }
    Ok(child.wait()?.success())
}

/// Registers a disk where it is.
pub(crate) fn in_place(call: &Call<'_>, given: &Given) -> Result<Outcome> {
    let arguments = if given.rest.as_str().is_empty() { Vec::new() } else { raw::apart(given.rest.as_str()) };
    let [name, file] = &arguments[..] else {
        return Ok(Err(Failure::new(&["Wsl"], "WSL_E_INVALID_USAGE")));
    };
    if let Err(failure) = check_name(name) {
        return Ok(Err(failure));
    }
    let path = windows_path::absolute(call.computer, file);
    let Some((folder, file)) =
        path.rsplit_once('\\').filter(|(_, file)| file.to_ascii_lowercase().ends_with(".vhdx"))
    else {
        return Ok(Err(Failure::new(&SERVICE, "E_INVALIDARG")));
    };
    let of = Distribution {
        id: new_id()?,
        name: name.clone(),
        base_path: folder.into(),
        vhd_file_name: file.into(),
        default_uid: 0,
        version: 2,
        state: State::Installed,
    };
    let mut held = Held::of(call.computer)?;
    if let Err(failure) = check_unused(&held, &of) {
        return Ok(Err(failure));
    }
    if disk::root(call.computer, &of)?.is_none() {
        return Ok(Err(Failure::new(&SERVICE, "WSL_E_IMPORT_FAILED")));
    }
    held.registry.default_distribution.get_or_insert_with(|| of.id.clone());
    held.registry.distributions.push(of);
    held.write()?;
    Ok(done(call))
}
