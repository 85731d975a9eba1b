//! Running a command in a distribution: `LaunchProcess` in `WslClient.cpp` and `svccomm.cpp`.

use crate::client::{Call, Outcome};
use crate::computer::Fault;
use crate::distribution::keeper::{self, Running};
use crate::distribution::process::{self, Handle};
use crate::distribution::rooted::Root;
use crate::distribution::session::{self, Order, choose_pids};
use crate::distribution::socket;
use crate::distribution::users::{self, User};
use crate::registry::{Distribution, disk};
use crate::relay::Streams;
use crate::windows_path;
use crate::{environment, failure::Failure};
use anyhow::Result;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

/// Exit codes that `/init` has a meaning for. They are taken for that even where the command itself ended with them.
const USER_NOT_FOUND: i32 = 67;
/// See [`USER_NOT_FOUND`].
const TTY_LIMIT: i32 = 87;

/// What is to run, as the command line says.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    pub(crate) user: Option<String>,
    /// A path in the distribution, beginning with `/` or `~`.
    pub(crate) folder: Option<String>,
    pub(crate) what: What,
}

/// See [`Launch`].
#[derive(Debug, Default)]
pub(crate) enum What {
    /// The user's shell.
    #[default]
    LoginShell,
    /// A command line for the user's shell, and whether that is a login shell.
    Shell(String, bool),
    /// A program and its arguments.
    Program(Vec<String>),
}

/// Runs a command and tells what `wsl.exe` exits with.
///
/// # Errors
/// What `wsl.exe` refuses, within; outside, what this program could not do.
pub(crate) fn launch(
    call: &Call<'_>,
    of: &Distribution,
    launch: &Launch,
    fault: Option<&Fault>,
) -> Result<Outcome> {
    let (keeper, running) = match start(call, of)? {
        Ok(started) => started,
        Err(failure) => return Ok(Err(failure)),
    };
    for warning in &running.warnings {
        call.console.warn(&call.texts.get(warning, &[]));
    }
    let root = Root::at(Path::new(&format!("/proc/{}/root", running.pid)))?;
    let user = match user_of(of, &running, &root, launch.user.as_deref()) {
        Some(user) => user,
        None => {
            let name = launch.user.clone().unwrap_or_default();
            session::complain("CreateProcessParseCommon:1007", &format!("getpwnam({name}) failed 0"));
            return Ok(Err(Failure::new(&["Wsl"], "WSL_E_USER_NOT_FOUND")));
        }
    };
    if running.systemd && socket::ask(&keeper, &format!("login {}", serde_json::to_string(&user)?))? != "true"
    {
        // Said by a program in the distribution, so in its encoding.
        eprintln!("wsl: {}", call.texts.get("MessageSystemdUserSessionFailed", &[&user.name]));
    }
    let streams = Streams::of_this_process(running.pid)?;
    let (program, arguments) = command_line(&user, &launch.what);
    let order = Order {
        pid: running.pid,
        cgroup: running.cgroup.clone(),
        terminal: Some((streams.number, streams.on_terminal)),
        groups: users::groups(&root, &user),
        folder: folder_of(call, &running, &root, &user, launch),
        umask: running.conf.umask,
        program,
        arguments,
        environment: environment::of(&running, &of.name, &root, &user, &call.computer.config.windows_path)
            .into_iter()
            .collect(),
        user,
    };
    let mut command = order.command()?;
    streams.apply(&mut command);
    choose_pids(running.pid)?;
    let child = command.spawn();
    choose_pids("self")?;
    let child = child?;
    if let Some(after) = fault.and_then(|fault| fault.end_after) {
        let kill = Handle::of(running.pid);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(after));
            if let Some(kill) = kill {
                kill.kill();
            }
        });
    }
    let status = streams.relay(child)?;
    drop(keeper);
    Ok(match status.code() {
        Some(USER_NOT_FOUND) => Err(Failure::new(&["Wsl"], "WSL_E_USER_NOT_FOUND")),
        Some(TTY_LIMIT) => Err(Failure::new(&["Wsl"], "WSL_E_TTY_LIMIT")),
        Some(code) => Ok(code),
        // The channel on which the exit code would have come was closed.
        None if status.signal() == Some(9) && process::is_ending(running.pid) => Ok(1),
        // A signal is told as the kernel does, without the 128 of shells.
        None => Ok(status.into_raw()),
    })
}

/// Makes sure that the distribution runs.
fn start(call: &Call<'_>, of: &Distribution) -> Result<Result<(UnixStream, Running), Failure>> {
    if !call.computer.config.virtualization && !keeper::is_running(call.computer, of)? {
        let contexts = ["Wsl", "Service", "CreateInstance", "CreateVm", "HCS"];
        return Ok(Err(Failure::new(&contexts, "HCS_E_HYPERV_NOT_INSTALLED")));
    }
    if disk::root(call.computer, of)?.is_none() {
        let file = format!("{}\\{}", of.base_path.trim_end_matches('\\'), of.vhd_file_name);
        let contexts = ["Wsl", "Service", "CreateInstance", "MountDisk", "HCS"];
        let missing = call.texts.get("ERROR_FILE_NOT_FOUND", &[]);
        let values = [&*file, &*missing];
        return Ok(Err(Failure::told(
            &contexts,
            "ERROR_FILE_NOT_FOUND",
            "MessageFailedToAttachDisk",
            &values,
        )));
    }
    match keeper::hold(call.computer, of) {
        Ok(held) => Ok(Ok(held)),
        Err(error) => {
            // For whoever looks for why: WSL itself does not say it.
            eprintln!("codchi-test-wsl: {error:#}");
            Ok(Err(Failure::new(&["Wsl", "Service", "CreateInstance"], "E_UNEXPECTED")))
        }
    }
}

/// Who the command is run as; `None` where the one that is asked for is nobody.
fn user_of(of: &Distribution, running: &Running, root: &Root, name: Option<&str>) -> Option<User> {
    if let Some(name) = name {
        return users::find(root, |user| user.name == name);
    }
    let configured = running.conf.default_user.as_ref();
    let configured = configured.and_then(|name| users::find(root, |user| user.name == *name));
    let registered = || users::find(root, |user| user.uid == of.default_uid);
    let uid_0 = || users::find(root, |user| user.uid == 0);
    Some(configured.or_else(registered).or_else(uid_0).unwrap_or_else(User::root))
}

/// The program and its arguments, the first of which is what it is called.
fn command_line(user: &User, what: &What) -> (String, Vec<String>) {
    let shell = if user.shell.is_empty() { "/bin/sh".to_owned() } else { user.shell.clone() };
    let of_login = || format!("-{}", shell.rsplit('/').next().unwrap_or(&shell));
    match what {
        What::LoginShell => (shell.clone(), vec![of_login()]),
        What::Shell(line, login) => {
            let name = if *login { of_login() } else { shell.clone() };
            (shell, vec![name, "-c".into(), line.clone()])
        }
        What::Program(arguments) => (arguments.first().cloned().unwrap_or_default(), arguments.clone()),
    }
}

/// Where the command begins.
fn folder_of(call: &Call<'_>, running: &Running, root: &Root, user: &User, launch: &Launch) -> String {
    if let Some(folder) = &launch.folder {
        return match folder.strip_prefix('~') {
            Some(rest) => format!("{}{rest}", user.home),
            None => folder.clone(),
        };
    }
    let here = std::env::current_dir().unwrap_or_default();
    // A process of Windows is on some drive.
    let here = windows_path::of_here(call.computer, &here).unwrap_or_else(|| r"C:\".into());
    let inside = windows_path::inside(&here, &running.conf.root).filter(|inside| root.has(inside));
    match inside.filter(|_| running.conf.automount) {
        Some(inside) => inside,
        None => {
            if running.conf.automount {
                eprintln!("wsl: {}", call.texts.get("MessageFailedToTranslate", &[&here]));
            }
            user.home.clone()
        }
    }
}
