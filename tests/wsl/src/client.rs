//! What `wsl.exe` does with its command line: `WslMain` in `WslClient.cpp`.

use crate::computer::{Computer, Fault};
use crate::failure::Failure;
use crate::launch::{Launch, What, launch};
use crate::raw::{self, Rest};
use crate::registry::{Registry, find};
use crate::text::{Console, Texts, USAGE};
use crate::{verbs, windows_path};
use anyhow::Result;
use std::fs;
use std::io::Write;
use std::time::Duration;

/// What `wsl.exe` exits with, or what it refuses.
pub(crate) type Outcome = Result<i32, Failure>;

/// What it exits with where it fails itself: -1, of which Linux keeps a byte.
pub(crate) const FAILED: i32 = -1;

/// A call of `wsl.exe`.
pub(crate) struct Call<'a> {
    pub(crate) computer: &'a Computer,
    pub(crate) texts: &'a Texts,
    pub(crate) console: &'a Console,
}

/// Does what `arguments` say and tells the exit code.
///
/// # Errors
/// What this program could not do, which WSL would have.
pub(crate) fn run(computer: &Computer, arguments: &[String]) -> Result<i32> {
    computer.log("calls.log", arguments)?;
    let (texts, console) = (Texts::of(&computer.config.locale), Console::of_this_process());
    let call = Call { computer, texts: &texts, console: &console };
    if !computer.config.installed {
        console.line(
            "The Windows Subsystem for Linux is not installed. You can install by running 'wsl.exe --install'.\n\
             For more information please visit https://aka.ms/wslinstall\n",
        );
        return Ok(1);
    }
    match main(&call, Rest::new(&raw::joined(arguments)))? {
        Ok(code) => Ok(code),
        Err(failure) => {
            console.line(&failure.text(&texts));
            Ok(FAILED)
        }
    }
}

fn main(call: &Call<'_>, mut rest: Rest) -> Result<Outcome> {
    let mut wanted = Launch::default();
    let mut id = None;
    // Looked up once, since calls are counted.
    let mut fault = None;
    if is_id(rest.peek()) {
        id = Some(rest.next());
    }
    if rest.peek() == "~" {
        wanted.folder = Some(rest.next());
    }
    let (mut shell, mut login) = (true, None);
    loop {
        let argument = rest.peek().to_owned();
        let take = |rest: &mut Rest| {
            rest.consume(argument.len());
            let value = rest.next();
            if value.is_empty() { Err(missing(call, long(&argument))) } else { Ok(value) }
        };
        match &*argument {
            "" => break,
            "-d" | "--distribution" => {
                if id.is_some() {
                    call.console.line(&call.texts.get("MessageDistroAlreadySet", &[]));
                    return Ok(Ok(FAILED));
                }
                let name = match take(&mut rest) {
                    Ok(name) => name,
                    Err(code) => return Ok(Ok(code)),
                };
                if let Some(outcome) = call.needs_service() {
                    return Ok(Err(outcome));
                }
                let found = call.computer.fault("exec", Some(&name))?;
                if found.as_ref().is_some_and(|fault| fault.vanish) {
                    verbs::unregister::vanish(call.computer, &name)?;
                }
                fault = Some(found);
                match find(&Registry::read(call.computer)?, Some(&name)) {
                    Ok(found) => id = Some(found.id),
                    Err(failure) => return Ok(Err(failure)),
                }
                continue;
            }
            "--distribution-id" => match take(&mut rest) {
                Ok(given) if is_id(&given) => {
                    id = Some(given);
                    continue;
                }
                Ok(_) => return Ok(Err(Failure::new(&["Wsl"], "E_INVALIDARG"))),
                Err(code) => return Ok(Ok(code)),
            },
            "-u" | "--user" => match take(&mut rest) {
                Ok(user) => {
                    wanted.user = Some(user);
                    continue;
                }
                Err(code) => return Ok(Ok(code)),
            },
            "--cd" => {
                rest.consume(argument.len());
                let folder = rest.peek_quoted().to_owned();
                rest.consume(folder.len());
                if let Err(failure) = change_folder(call, folder.trim_matches('"'), &mut wanted)? {
                    return Ok(Err(failure));
                }
                continue;
            }
            "--shell-type" => {
                let kind = match take(&mut rest) {
                    Ok(kind) => kind,
                    Err(code) => return Ok(Ok(code)),
                };
                (shell, login) = match &*kind {
                    "login" => (true, Some(true)),
                    "standard" => (true, Some(false)),
                    "none" => (false, Some(false)),
                    _ => return Ok(Err(Failure::new(&["Wsl"], "E_INVALIDARG"))),
                };
                continue;
            }
            "--" => {
                rest.consume(argument.len());
                break;
            }
            "-e" | "--exec" => {
                rest.consume(argument.len());
                (shell, login) = (false, Some(false));
                break;
            }
            _ => {}
        }
        if let Some(verb) = verbs::named(&argument) {
            return verb_of(call, verb, &argument, rest);
        }
        if argument.starts_with('-') {
            call.console.line(&call.texts.get("MessageInvalidCommandLine", &[&argument, "wsl.exe"]));
            return Ok(Ok(FAILED));
        }
        break;
    }
    let line = rest.as_str();
    wanted.what = match (shell, line.is_empty()) {
        (false, true) => return Ok(Err(Failure::new(&["Wsl"], "E_INVALIDARG"))),
        (false, false) => What::Program(raw::apart(line)),
        (true, true) if login.unwrap_or(true) => What::LoginShell,
        (true, _) => What::Shell(line.into(), login.unwrap_or(false)),
    };
    in_distribution(call, id.as_deref(), &wanted, fault)
}

fn in_distribution(
    call: &Call<'_>,
    id: Option<&str>,
    wanted: &Launch,
    fault: Option<Option<Fault>>,
) -> Result<Outcome> {
    if let Some(failure) = call.needs_service() {
        return Ok(Err(failure));
    }
    let registry = Registry::read(call.computer)?;
    let of = match id {
        Some(id) => registry.with_id(id).cloned().ok_or_else(|| {
            Failure::new(&["Wsl", "Service", "CreateInstance", "ReadDistroConfig"], "ERROR_FILE_NOT_FOUND")
        }),
        None => find(&registry, None),
    };
    let of = match of {
        Ok(of) => of,
        Err(failure) => return Ok(Err(failure)),
    };
    let fault = match fault {
        Some(fault) => fault,
        None => call.computer.fault("exec", Some(&of.name))?,
    };
    if let Some(outcome) = call.suffer(fault.as_ref())? {
        return Ok(outcome);
    }
    launch(call, &of, wanted, fault.as_ref())
}

/// Does `verb`, unless something goes wrong before.
fn verb_of(call: &Call<'_>, verb: &verbs::Verb, argument: &str, mut rest: Rest) -> Result<Outcome> {
    let line = rest.as_str().to_owned();
    if verb.takes_name_first {
        rest.consume(argument.len());
    }
    let name = raw::apart(&line).get(1).cloned();
    let fault = call.computer.fault(verb.name, name.as_deref())?;
    if let Some(fault) = &fault
        && fault.vanish
        && let Some(name) = &name
    {
        verbs::unregister::vanish(call.computer, name)?;
    }
    if let Some(outcome) = call.suffer(fault.as_ref())? {
        return Ok(outcome);
    }
    if verb.needs_service
        && let Some(failure) = call.needs_service()
    {
        return Ok(Err(failure));
    }
    (verb.run)(call, &verbs::Given { rest, line, fault })
}

impl Call<'_> {
    /// What the command line part of WSL says where it finds no service.
    fn needs_service(&self) -> Option<Failure> {
        let missing = !self.computer.config.optional_component;
        missing.then(|| Failure::new(&["Wsl"], "WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED"))
    }

    /// Suffers what goes wrong before anything is done.
    fn suffer(&self, fault: Option<&Fault>) -> Result<Option<Outcome>> {
        let Some(fault) = fault else { return Ok(None) };
        std::thread::sleep(Duration::from_millis(fault.delay));
        if fault.hang {
            loop {
                std::thread::park();
            }
        }
        if fault.garbage {
            std::io::stdout().write_all(b"\xff\xfe\x00\xd8\x41\xd8\xc3\x28\x00\xfe\x80")?;
            return Ok(Some(Ok(0)));
        }
        let Some(fail) = &fault.fail else { return Ok(None) };
        let mut contexts: Vec<&str> = fail.split('/').collect();
        let code = contexts.pop().unwrap_or_default();
        let failure = Failure { literal: fault.message.clone(), ..Failure::new(&contexts, code) };
        Ok(Some(Err(failure)))
    }
}

/// `ChangeDirectory` in `WslClient.cpp`.
fn change_folder(call: &Call<'_>, folder: &str, wanted: &mut Launch) -> Result<Result<(), Failure>> {
    if folder.starts_with(['/', '~']) {
        wanted.folder = Some(folder.into());
        return Ok(Ok(()));
    }
    if !windows_path::is_absolute(folder) {
        return Ok(Err(Failure::new(&["Wsl"], "E_INVALIDARG")));
    }
    let here = windows_path::here(call.computer, folder);
    let Some(here) = here.filter(|here| fs::metadata(here).is_ok_and(|found| found.is_dir())) else {
        return Ok(Err(Failure::new(&["Wsl"], "ERROR_FILE_NOT_FOUND")));
    };
    std::env::set_current_dir(here)?;
    Ok(Ok(()))
}

/// The name that an option is told by.
fn long(argument: &str) -> &str {
    match argument {
        "-d" => "--distribution",
        "-u" => "--user",
        other => other,
    }
}

/// Says that an option has no value.
pub(crate) fn missing(call: &Call<'_>, option: &str) -> i32 {
    call.console.line(&call.texts.get("MessageRequiredParameterMissing", &[option]));
    FAILED
}

fn is_id(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else { return false };
    inner.len() == 36 && inner.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-')
}

/// Prints how `wsl.exe` is used.
pub(crate) fn help(call: &Call<'_>) -> i32 {
    call.console.line(USAGE);
    FAILED
}
