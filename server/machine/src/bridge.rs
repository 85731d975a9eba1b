//! The *bridge*: a process of this computer that answers what machines ask of it at each use: the SSH agent, and git's
//! credentials.
//!
//! There is one per data folder, started when a machine needs it ([`Machines::bridge_up`]), and gone by itself when none does
//! ([`Machines::serve_bridge`]). Each machine has sockets of its own, so which one is asked says which machine asks ([`doors`]): where the
//! engine passes sockets in as `proxy` devices they are in a folder that only the person can enter, elsewhere (WSL) the driver listens at them in
//! the machine while that runs. Permissions are read anew at each request.

mod agent;
mod control;
mod credentials;
mod doors;
#[cfg(windows)]
mod pipe;
mod serve;

use crate::files::io_error;
use crate::state::{Definition, MachineFolder};
use crate::{MachineError, MachineName, Machines, Paths, access};
use codchi_host::{Host, HostSecret};
use sha2::{Digest as _, Sha256};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What is asked for at each use.
pub(crate) const SERVED: [HostSecret; 2] = [HostSecret::SshAgent, HostSecret::GitCredentials];

/// How long a bridge may take to answer, and to come up.
const UP_LIMIT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(20);

/// No address of a socket may be longer, in bytes (`sun_path` in unix(7)).
const LONGEST: usize = 107;

/// What it says to who greets it, once it serves every machine as it is now.
const GREETING: &str = "serving";

/// The environment that a bridge needs: to find its files and the engine, and for helpers of git that ask on a desktop.
#[cfg(unix)]
const ENVIRONMENT: [&str; 22] = [
    "HOME",
    "PATH",
    "USER",
    "LOGNAME",
    "LANG",
    "TMPDIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "SSH_ASKPASS",
    "GNUPGHOME",
    "PASSWORD_STORE_DIR",
    "SSL_CERT_FILE",
    "NIX_SSL_CERT_FILE",
    "CODCHI_LOG",
    "CODCHI_WSL_EXE",
    "CODCHI_WSL_DRIVES",
    "CODCHI_GUEST",
    // By these a distribution starts programs of Windows.
    "WSL_INTEROP",
    "WSL_DISTRO_NAME",
    "WSLENV",
];
/// The same on Windows, where names have no case: what programs find their files and the system's by.
#[cfg(windows)]
const ENVIRONMENT: [&str; 32] = [
    "ALLUSERSPROFILE",
    "APPDATA",
    "COMMONPROGRAMFILES",
    "COMMONPROGRAMFILES(X86)",
    "COMPUTERNAME",
    "COMSPEC",
    "HOME",
    "HOMEDRIVE",
    "HOMEPATH",
    "LANG",
    "LOCALAPPDATA",
    "NUMBER_OF_PROCESSORS",
    "PATH",
    "PATHEXT",
    "PROCESSOR_ARCHITECTURE",
    "PROGRAMDATA",
    "PROGRAMFILES",
    "PROGRAMFILES(X86)",
    "SSH_ASKPASS",
    "SYSTEMDRIVE",
    "SYSTEMROOT",
    "TEMP",
    "TMP",
    "USERDOMAIN",
    "USERNAME",
    "USERPROFILE",
    "WINDIR",
    "WSLENV",
    "CODCHI_GUEST",
    "CODCHI_LOG",
    "CODCHI_WSL_DRIVES",
    "CODCHI_WSL_EXE",
];
/// And all variables that begin so.
#[cfg(unix)]
const PREFIXES: [&str; 5] = ["XDG_", "LC_", "LXD_", "INCUS_", "GIT_CONFIG_"];
/// And all variables that begin so.
#[cfg(windows)]
const PREFIXES: [&str; 3] = ["XDG_", "GCM_", "GIT_CONFIG_"];

/// Where the bridge's lock and sockets are.
#[derive(Debug, Clone)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// Of the machines in `paths`. In the state folder, since it is the same for every process of the person's: what a session
    /// has in its environment differs between a desktop, SSH and a timer.
    pub(crate) fn of(paths: &Paths) -> Self {
        Self(paths.state.join("bridge"))
    }

    /// The socket at which a machine asks for `secret`; the same whatever the machine's name is.
    ///
    /// # Errors
    /// [`MachineError::User`] where no socket can have this path.
    pub(crate) fn socket(
        &self,
        definition: &Definition,
        secret: HostSecret,
    ) -> Result<PathBuf, MachineError> {
        let id = hex::encode(&Sha256::digest(definition.id.as_bytes())[..6]);
        let word = if secret == HostSecret::SshAgent { "agent" } else { "git" };
        let path = self.0.join(format!("{id}.{word}"));
        if path.as_os_str().len() <= LONGEST {
            return Ok(path);
        }
        Err(MachineError::User {
            message: format!("{} is too long for a socket", path.display()),
            hint: Some("Set XDG_STATE_HOME to a folder with a shorter path.".into()),
        })
    }

    /// Where a bridge that runs is greeted; on Windows a name that is nowhere.
    fn control(&self) -> PathBuf {
        self.0.join("control")
    }

    /// Held by the bridge while it lives.
    fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Makes the folder, for nobody but the person.
    fn make(&self) -> Result<(), MachineError> {
        access::make_private(&self.0).map_err(|e| io_error("Making", &self.0, e))
    }
}

impl Machines {
    /// Makes sure that what a machine, which runs, may ask of this computer is answered, and nothing else. A failure is told in the log: the
    /// machine works without, and says itself what it misses.
    pub async fn bridge_up(&self, name: &MachineName) {
        let permissions = match MachineFolder::new(self.paths(), name).permissions() {
            Ok(permissions) => permissions,
            Err(error) => return tracing::warn!("{error}"),
        };
        if !SERVED.into_iter().any(|secret| permissions.host_secret(secret) == Some(true)) {
            // One that runs for others serves this one no longer.
            greet(&Place::of(self.paths()), name).await;
            return;
        }
        if let Err(error) = self.greet_bridge(name).await {
            tracing::warn!("`{name}` cannot ask this computer for keys and credentials: {error}");
        }
    }

    /// Greets the bridge, started where none runs. It then knows of all machines and serves this one, and where this process's agent is.
    async fn greet_bridge(&self, name: &MachineName) -> Result<(), MachineError> {
        let place = Place::of(self.paths());
        place.make()?;
        let begun = tokio::time::Instant::now();
        let mut started = None;
        loop {
            if greet(&place, name).await {
                return Ok(());
            }
            if begun.elapsed() > UP_LIMIT {
                return Err(MachineError::User {
                    message: "The process that answers machines does not come up".into(),
                    hint: Some("`codchi host-bridge` in a terminal says why.".into()),
                });
            }
            let is_up = started
                .as_mut()
                .is_some_and(|child: &mut tokio::process::Child| matches!(child.try_wait(), Ok(None)));
            if !is_up {
                started = Some(self.start_bridge(&place)?);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Starts a bridge that outlives this process: it leaves its session by itself, or on Windows has a console of its own that is not shown, and has
    /// none of its streams. Its folder is its own: a project's could not be removed on Windows meanwhile.
    fn start_bridge(&self, place: &Place) -> Result<tokio::process::Child, MachineError> {
        let program = &self.options().program;
        let is_passed = |name: &str| {
            let name = if cfg!(windows) { name.to_ascii_uppercase() } else { name.to_owned() };
            ENVIRONMENT.contains(&&*name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        let environment = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_passed));
        let mut command = tokio::process::Command::new(program);
        codchi_nix::without_window(&mut command);
        command
            .arg("host-bridge")
            .env_clear()
            .envs(environment)
            .current_dir(&place.0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| io_error("Starting", program, e))
    }
}

/// Tells a bridge where this process's agent is and which machine is about to ask, and waits until it serves that; whether it does.
async fn greet(place: &Place, machine: &MachineName) -> bool {
    let talk = async {
        let mut stream = control::connect(place).await?;
        // The likeliest of those that this process knows.
        let agent = Host::this().agent_sockets().into_iter().next().unwrap_or_default();
        stream.write_all(format!("{}\n{machine}\n", agent.display()).as_bytes()).await?;
        let mut answer = [0; GREETING.len()];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer == GREETING.as_bytes())
    };
    tokio::time::timeout(UP_LIMIT, talk).await.is_ok_and(|answer| answer.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;
    use crate::test::Fake;
    use std::sync::Arc;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn a_bridge_is_greeted_until_it_ends_and_there_is_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let machines =
            Machines::new(crate::test::paths(folder.path()), Arc::new(Fake::default()), Options::default());
        let (place, name) = (Place::of(machines.paths()), "a".parse().unwrap());
        assert!(!greet(&place, &name).await, "there is none yet");
        let (end, ended) = oneshot::channel::<()>();
        let serving = machines.clone();
        let bridge = tokio::spawn(async move { serving.serve_bridge(async { _ = ended.await }).await });
        let begun = tokio::time::Instant::now();
        while !greet(&place, &name).await {
            assert!(begun.elapsed() < UP_LIMIT, "it does not come up");
            tokio::time::sleep(RETRY).await;
        }
        // Many at once, as editors do that start machines.
        let all = (0..20).map(|_| greet(&place, &name));
        assert!(futures_util::future::join_all(all).await.into_iter().all(|answered| answered));
        machines.serve_bridge(std::future::pending()).await.unwrap();
        end.send(()).unwrap();
        bridge.await.unwrap().unwrap();
        assert!(!greet(&place, &name).await, "it is gone");
        let left = std::fs::read_dir(&place.0).unwrap().map(|entry| entry.unwrap().file_name());
        assert_eq!(left.collect::<Vec<_>>(), ["lock"]);
    }
}
