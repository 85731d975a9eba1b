//! What `wsl.exe` does besides running commands.

pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod manage;
pub(crate) mod power;
pub(crate) mod settings;
pub(crate) mod unregister;

use crate::client::{Call, Outcome};
use crate::computer::Fault;
use crate::failure::Failure;
use crate::raw::Rest;
use crate::registry::{Distribution, Registry};
use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::BufRead;
use std::process::{Command, Stdio};

/// A verb.
pub(crate) struct Verb {
    /// Its name in `config.json`.
    pub(crate) name: &'static str,
    arguments: &'static [&'static str],
    /// Whether what follows is read like options of `wsl.exe`, by spaces alone.
    pub(crate) takes_name_first: bool,
    /// Whether it asks WSL's service.
    pub(crate) needs_service: bool,
    pub(crate) run: fn(&Call<'_>, &Given) -> Result<Outcome>,
}

/// What a verb was given.
pub(crate) struct Given {
    /// What follows it.
    pub(crate) rest: Rest,
    /// All, from the verb on.
    pub(crate) line: String,
    pub(crate) fault: Option<Fault>,
}

const fn verb(
    name: &'static str,
    arguments: &'static [&'static str],
    takes_name_first: bool,
    run: fn(&Call<'_>, &Given) -> Result<Outcome>,
) -> Verb {
    Verb { name, arguments, takes_name_first, needs_service: true, run }
}

const fn without_service(verb: Verb) -> Verb {
    Verb { needs_service: false, ..verb }
}

const VERBS: [Verb; 16] = [
    verb("list", &["-l", "--list"], false, list::run),
    verb("import", &["--import"], false, import::run),
    verb("import-in-place", &["--import-in-place"], true, import::in_place),
    verb("export", &["--export"], false, export::run),
    verb("unregister", &["--unregister"], true, unregister::run),
    verb("terminate", &["-t", "--terminate"], true, power::terminate),
    verb("shutdown", &["--shutdown"], false, power::shutdown),
    without_service(verb("version", &["-v", "--version"], false, settings::version)),
    verb("status", &["--status"], false, settings::status),
    verb("set-default", &["-s", "--setdefault", "--set-default"], true, settings::set_default),
    without_service(verb(
        "set-default-version",
        &["--set-default-version"],
        true,
        settings::set_default_version,
    )),
    verb("set-version", &["--set-version"], true, settings::refuse),
    verb("manage", &["--manage"], true, manage::run),
    without_service(verb("help", &["--help"], false, settings::help)),
    verb("mount", &["--mount", "--unmount"], false, settings::refuse),
    without_service(verb(
        "install",
        &["--install", "--update", "--uninstall", "--system", "--debug-shell"],
        false,
        settings::refuse,
    )),
];

/// The verb that `argument` names.
pub(crate) fn named(argument: &str) -> Option<&'static Verb> {
    static ALL: [Verb; 16] = VERBS;
    ALL.iter().find(|verb| verb.arguments.contains(&argument))
}

/// Says that all went well.
pub(crate) fn done(call: &Call<'_>) -> Outcome {
    call.console.line(&call.texts.get("ERROR_SUCCESS", &[]));
    Ok(0)
}

/// The distribution with a name: `GetDistributionId` in `LxssUserSession.cpp`.
pub(crate) fn distribution(call: &Call<'_>, name: &str, any: bool) -> Result<Result<Distribution, Failure>> {
    let registry = Registry::read(call.computer)?;
    let found = registry.named(name, any).cloned();
    Ok(found.ok_or_else(|| Failure::new(&["Wsl", "Service"], "WSL_E_DISTRO_NOT_FOUND")))
}

/// Lets WSL's service do something: a process of its own, which goes on where this one is killed.
///
/// # Errors
/// That it says nothing.
pub(crate) fn service<A: DeserializeOwned>(mut command: Command, input: Stdio) -> Result<A> {
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let errors = child
        .stderr
        .take()
        .map(|mut errors| std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::stderr())));
    let mut said = String::new();
    if let Some(output) = child.stdout.take() {
        std::io::BufReader::new(output).read_line(&mut said)?;
    }
    child.wait()?;
    if let Some(errors) = errors {
        let _ = errors.join();
    }
    serde_json::from_str(&said).with_context(|| format!("{command:?} said {said:?}"))
}

/// What the service answers. Nobody may be left to be told.
pub(crate) fn answer(answer: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(answer)?;
    let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes());
    Ok(())
}
