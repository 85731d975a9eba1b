//! What tells or sets something small.

use super::{Given, distribution, done};
use crate::client::{self, Call, Outcome, missing};
use crate::failure::Failure;
use crate::registry::{Held, Registry};
use anyhow::Result;

/// `--version`, which the WSL that comes with Windows does not know.
pub(crate) fn version(call: &Call<'_>, _: &Given) -> Result<Outcome> {
    let config = &call.computer.config;
    if config.version == "inbox" {
        return Ok(Ok(client::help(call)));
    }
    let versions = [
        &*config.version,
        &config.kernel,
        "1.0.66",
        "1.2.6074",
        "1.611.1-81528511",
        "10.0.26100.1-240331-1435.ge-release",
        &config.windows,
    ];
    call.console.line(&call.texts.get("MessagePackageVersions", &versions));
    Ok(Ok(0))
}

/// `--status`.
pub(crate) fn status(call: &Call<'_>, _: &Given) -> Result<Outcome> {
    let registry = Registry::read(call.computer)?;
    if let Some(of) = registry.default_one() {
        call.console.line(&call.texts.get("MessageStatusDefaultDistro", &[&of.name]));
    }
    call.console.line(&call.texts.get("MessageStatusDefaultVersion", &["2"]));
    if !call.computer.config.virtualization {
        call.console.line(&call.texts.get("MessageEnableVirtualization", &[]));
    }
    Ok(Ok(0))
}

/// `--help`.
pub(crate) fn help(call: &Call<'_>, _: &Given) -> Result<Outcome> {
    Ok(Ok(client::help(call)))
}

/// `--set-default`.
pub(crate) fn set_default(call: &Call<'_>, given: &Given) -> Result<Outcome> {
    let name = given.rest.peek();
    if name.is_empty() {
        return Ok(Ok(missing(call, "--set-default")));
    }
    match distribution(call, name, false)? {
        Ok(of) => {
            let mut held = Held::of(call.computer)?;
            held.registry.default_distribution = Some(of.id);
            held.write()?;
            Ok(done(call))
        }
        Err(failure) => Ok(Err(failure)),
    }
}

/// `--set-default-version`: 2 is all there is.
pub(crate) fn set_default_version(call: &Call<'_>, given: &Given) -> Result<Outcome> {
    match given.rest.peek() {
        "2" => Ok(done(call)),
        "1" => Ok(Err(Failure::new(&["Wsl"], "WSL_E_WSL1_NOT_SUPPORTED"))),
        _ => Ok(Err(Failure::new(&["Wsl"], "ERROR_VERSION_PARSE_ERROR"))),
    }
}

/// What exists on Windows and not here.
pub(crate) fn refuse(_: &Call<'_>, _: &Given) -> Result<Outcome> {
    Ok(Err(Failure::new(&["Wsl", "Service"], "ERROR_NOT_SUPPORTED")))
}
