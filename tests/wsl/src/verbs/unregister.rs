//! `--unregister`: `UnregisterDistribution` in `LxssUserSession.cpp`.

use super::{Given, answer, distribution, done, service as serve};
use crate::client::{Call, Outcome, missing};
use crate::computer::Computer;
use crate::distribution::process::{self, UNREGISTER};
use crate::distribution::{keeper, vm};
use crate::failure::Failure;
use crate::registry::{Distribution, Held, Registry, State, disk, is_exporting};
use anyhow::Result;
use std::fs;
use std::process::Stdio;

/// Takes a distribution away, with all its files.
pub(crate) fn run(call: &Call<'_>, given: &Given) -> Result<Outcome> {
    let name = given.rest.peek();
    if name.is_empty() {
        return Ok(Ok(missing(call, "--unregister")));
    }
    let of = match distribution(call, name, true)? {
        Ok(of) => of,
        Err(failure) => return Ok(Err(failure)),
    };
    Ok(match unregister(&of)? {
        Ok(()) => done(call),
        Err(failure) => Err(failure),
    })
}

/// Lets the service do it.
fn unregister(of: &Distribution) -> Result<Result<(), Failure>> {
    let mut command = process::this(UNREGISTER)?;
    command.arg(&of.id);
    serve(command, Stdio::null())
}

/// The service's part, for the distribution `id`.
///
/// # Errors
/// What this program could not do, which the service would have.
pub(crate) fn service(computer: &Computer, id: &str) -> Result<()> {
    let _ = rustix::process::setsid();
    let contexts = ["Wsl", "Service", "UnregisterDistro"];
    let outcome = {
        let mut held = Held::of(computer)?;
        match held.registry.entry(id) {
            None => Err(Failure::new(&contexts, "ERROR_FILE_NOT_FOUND")),
            Some(entry) if entry.state != State::Installed || is_exporting(computer, entry) => {
                Err(Failure::new(&contexts, "E_ILLEGAL_STATE_CHANGE"))
            }
            Some(entry) => {
                entry.state = State::Uninstalling;
                let of = entry.clone();
                held.write()?;
                Ok(of)
            }
        }
    };
    let outcome = match outcome {
        Ok(of) => {
            remove(computer, &of)?;
            Ok(())
        }
        Err(failure) => Err(failure),
    };
    answer(&outcome)
}

/// Ends a distribution and takes away its files and what is known of it.
fn remove(computer: &Computer, of: &Distribution) -> Result<()> {
    keeper::stop(computer, of)?;
    if let Some(root) = disk::root(computer, of)? {
        vm::eject(computer, &root)?;
        fs::remove_dir_all(root)?;
    }
    let file = disk::file(computer, of);
    let _ = fs::remove_file(&file);
    if let Some(folder) = file.parent() {
        // Only where it is empty.
        let _ = fs::remove_dir(folder);
    }
    let _ = fs::remove_dir_all(computer.run(&of.short())?);
    let mut held = Held::of(computer)?;
    held.registry.remove(&of.id);
    held.write()
}

/// Takes `name` away as if somebody else had done it just before; nothing where there is none.
///
/// # Errors
/// That it cannot be taken away.
pub(crate) fn vanish(computer: &Computer, name: &str) -> Result<()> {
    if let Some(of) = Registry::read(computer)?.named(name, true) {
        // Somebody may have done so meanwhile indeed.
        let _ = unregister(of)?;
    }
    Ok(())
}
