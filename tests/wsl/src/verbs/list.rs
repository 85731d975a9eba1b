//! `--list`: `ListDistributionsHelper` in `WslClient.cpp`.

use super::Given;
use crate::arguments::{Options, parse};
use crate::client::{Call, FAILED, Outcome};
use crate::distribution::keeper;
use crate::failure::Failure;
use crate::registry::{Registry, State, is_exporting};
use anyhow::Result;

const OPTIONS: Options<'_> = Options {
    flags: &[
        ("--all", None),
        ("--running", None),
        ("--quiet", Some('q')),
        ("--verbose", Some('v')),
        ("--online", Some('o')),
    ],
    values: &[],
    positions: 0,
};

/// Lists distributions.
pub(crate) fn run(call: &Call<'_>, given: &Given) -> Result<Outcome> {
    let options = match parse(&given.line, 1, &OPTIONS) {
        Ok(options) => options,
        Err(failure) => return Ok(Err(failure)),
    };
    let [all, running, quiet, verbose, online] =
        ["--all", "--running", "--quiet", "--verbose", "--online"].map(|flag| options.has(flag));
    if quiet && verbose || all && running || (verbose || all) && online {
        return Ok(Err(Failure::new(&["Wsl"], "WSL_E_INVALID_USAGE")));
    }
    if online {
        return Ok(Err(Failure::new(&["Wsl"], "WININET_E_NAME_NOT_RESOLVED")));
    }
    let registry = Registry::read(call.computer)?;
    let is_default = |id: &str| registry.default_distribution.as_deref() == Some(id);
    let mut found = Vec::new();
    for one in &registry.distributions {
        let state = if keeper::is_running(call.computer, one)? {
            "Running"
        } else {
            match one.state {
                State::Installed if is_exporting(call.computer, one) => "Exporting",
                State::Installed => "Stopped",
                State::Installing => "Installing",
                State::Uninstalling => "Uninstalling",
            }
        };
        found.push((one, state));
    }
    found.sort_by_key(|(one, _)| !is_default(&one.id));
    let none = || Ok(Err(Failure::new(&["Wsl"], "WSL_E_DEFAULT_DISTRO_NOT_FOUND")));
    if verbose {
        if found.is_empty() {
            return none();
        }
        let width = found.iter().map(|(one, _)| one.name.len()).max().unwrap_or(0).max("NAME".len()) + 4;
        let line = |mark: &str, name: &str, state: &str, version: &str| {
            call.console.line(&format!("{mark} {name:width$}{state:16}{version}"));
        };
        line(" ", "NAME", "STATE", "VERSION");
        for (one, state) in found {
            line(if is_default(&one.id) { "*" } else { " " }, &one.name, state, &one.version.to_string());
        }
        return Ok(Ok(0));
    }
    if running {
        found.retain(|(_, state)| *state == "Running");
        if !quiet && found.is_empty() {
            call.console.line(&call.texts.get("MessageNoRunningDistro", &[]));
            return Ok(Ok(FAILED));
        }
    }
    if !all {
        found.retain(|(_, state)| matches!(*state, "Running" | "Stopped"));
    }
    if !quiet {
        if found.is_empty() {
            return none();
        }
        call.console.line(&call.texts.get("MessageRegisteredDistrosHeader", &[]));
    }
    for (one, _) in found {
        if !quiet && is_default(&one.id) {
            call.console.line(&call.texts.get("MessagePrintDistroDefault", &[&one.name]));
        } else {
            call.console.line(&one.name);
        }
    }
    Ok(Ok(0))
}
