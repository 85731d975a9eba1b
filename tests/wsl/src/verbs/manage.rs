//! `--manage`.

use super::{Given, distribution, done};
use crate::arguments::{Options, parse};
use crate::client::{Call, Outcome};
use crate::distribution::keeper;
use crate::failure::Failure;
use anyhow::Result;

const OPTIONS: Options<'_> = Options {
    flags: &[("--allow-unsafe", None)],
    values: &[
        ("--set-sparse", Some('s')),
        ("--move", Some('m')),
        ("--set-default-user", None),
        ("--resize", Some('r')),
    ],
    positions: 1,
};

/// Of what WSL can change, `--set-sparse` is checked here, and changes nothing.
pub(crate) fn run(call: &Call<'_>, given: &Given) -> Result<Outcome> {
    let options = match parse(given.rest.as_str(), 0, &OPTIONS) {
        Ok(options) => options,
        Err(failure) => return Ok(Err(failure)),
    };
    let usage = || Ok(Err(Failure::new(&["Wsl"], "WSL_E_INVALID_USAGE")));
    let Some(name) = options.positions.first() else { return usage() };
    let sparse = match options.value("--set-sparse").map(|value| (value, parsed(value))) {
        Some((value, None)) => {
            return Ok(Err(Failure::told(&["Wsl"], "E_INVALIDARG", "MessageInvalidBoolean", &[value])));
        }
        Some((_, parsed)) => parsed,
        None => None,
    };
    let of = match distribution(call, name, false)? {
        Ok(of) => of,
        Err(failure) => return Ok(Err(failure)),
    };
    let service = ["Wsl", "Service"];
    match sparse {
        Some(true) if !options.has("--allow-unsafe") => {
            Ok(Err(Failure::told(&service, "E_INVALIDARG", "MessageSparseVhdDisabled", &[])))
        }
        Some(_) if keeper::is_running(call.computer, &of)? => {
            Ok(Err(Failure::new(&service, "WSL_E_DISTRO_NOT_STOPPED")))
        }
        Some(_) => Ok(done(call)),
        None if ["--move", "--set-default-user", "--resize"]
            .iter()
            .all(|option| options.value(option).is_none()) =>
        {
            usage()
        }
        None => Ok(Err(Failure::new(&service, "ERROR_NOT_SUPPORTED"))),
    }
}

fn parsed(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
