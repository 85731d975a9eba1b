//! `--export`: `ExportDistribution` in `WslClient.cpp` and `LxssUserSession.cpp`.

use super::import::copy;
use super::{Given, distribution, done};
use crate::arguments::{Options, parse};
use crate::client::{Call, Outcome};
use crate::distribution::keeper;
use crate::failure::Failure;
use crate::registry::{Distribution, State, disk, new_id};
use crate::windows_path;
use anyhow::Result;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const OPTIONS: Options<'_> =
    Options { flags: &[("--vhd", None)], values: &[("--format", None)], positions: 2 };

/// Exports a distribution, which is ended before.
pub(crate) fn run(call: &Call<'_>, given: &Given) -> Result<Outcome> {
    let options = match parse(&given.line, 1, &OPTIONS) {
        Ok(options) => options,
        Err(failure) => return Ok(Err(failure)),
    };
    let format = match options.value("--format").unwrap_or("tar") {
        known @ ("tar" | "tar.gz" | "tar.xz" | "vhd") => known,
        _ => return Ok(Err(Failure::new(&["Wsl"], "E_INVALIDARG"))),
    };
    let format = if options.has("--vhd") { "vhd" } else { format };
    let [name, file] = &options.positions[..] else {
        return Ok(Err(Failure::new(&["Wsl"], "WSL_E_INVALID_USAGE")));
    };
    let target = match target(call, file) {
        Ok(target) => target,
        Err(failure) => return Ok(Err(failure)),
    };
    let (output, path): (Box<dyn Fn() -> std::io::Result<Output>>, _) = match target {
        None => (Box::new(|| Ok(Output::Standard)), None),
        Some((file, path)) => (Box::new(move || file.try_clone().map(Output::File)), Some(path)),
    };
    let outcome = export(call, name, format, &output()?)?;
    match (&outcome, path) {
        (Err(_), Some(path)) => fs::remove_file(path)?,
        (Ok(_), Some(_)) => return Ok(done(call)),
        _ => {}
    }
    Ok(outcome)
}

/// Where it goes.
enum Output {
    Standard,
    File(File),
}

/// The file, created, or `None` for standard output.
fn target(call: &Call<'_>, file: &str) -> Result<Option<(File, PathBuf)>, Failure> {
    if file == "-" {
        return Ok(None);
    }
    let path = windows_path::absolute(call.computer, file);
    let here = windows_path::here(call.computer, &path).unwrap_or_else(|| path.into());
    let created = File::create(&here).map_err(|_| Failure::new(&["Wsl"], "ERROR_PATH_NOT_FOUND"))?;
    Ok(Some((created, here)))
}

fn export(call: &Call<'_>, name: &str, format: &str, to: &Output) -> Result<Outcome> {
    let of = match distribution(call, name, false)? {
        Ok(of) => of,
        Err(failure) => return Ok(Err(failure)),
    };
    let refuse = || Ok(Err(Failure::new(&["Wsl", "Service"], "E_ILLEGAL_STATE_CHANGE")));
    if of.state != State::Installed {
        return refuse();
    }
    // Free again when this process ends, whatever ends it.
    let lock = File::create(call.computer.run(&of.short())?.join("exporting"))?;
    if lock.try_lock().is_err() {
        return refuse();
    }
    exported(call, &of, format, to)
}

fn exported(call: &Call<'_>, of: &Distribution, format: &str, to: &Output) -> Result<Outcome> {
    keeper::stop(call.computer, of)?;
    let failed = || Ok(Err(Failure::new(&["Wsl", "Service"], "WSL_E_EXPORT_FAILED")));
    let Some(root) = disk::root(call.computer, of)? else { return failed() };
    if format == "vhd" {
        let id = new_id()?.trim_matches(['{', '}']).to_owned();
        copy(&root, &call.computer.disk(&id))?;
        let text = disk::text(&id);
        match to {
            Output::Standard => std::io::stdout().write_all(text.as_bytes())?,
            Output::File(file) => (&*file).write_all(text.as_bytes())?,
        }
        return Ok(Ok(0));
    }
    if archive(&root, format, to)? { Ok(Ok(0)) } else { failed() }
}

/// Writes an archive of all below `root`; tells whether that went well.
fn archive(root: &Path, format: &str, to: &Output) -> Result<bool> {
    let mut command = Command::new("tar");
    command.arg("-C").arg(root).args([
        "-c",
        "--one-file-system",
        "--xattrs",
        "--xattrs-include=*",
        "--numeric-owner",
    ]);
    command.args(["--format=posix", "--pax-option=delete=atime,delete=ctime"]);
    match format {
        "tar.gz" => command.arg("--gzip"),
        "tar.xz" => command.arg("--xz"),
        _ => &mut command,
    };
    command.args(["-f", "-", "."]).stdin(Stdio::null());
    command.stdout(match to {
        Output::Standard => Stdio::inherit(),
        Output::File(file) => file.try_clone()?.into(),
    });
    Ok(command.status()?.success())
}
