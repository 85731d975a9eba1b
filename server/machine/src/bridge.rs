//! The *bridge*: a process of this computer that answers what machines ask of it at each use: the SSH agent, and git's
//! credentials.
//!
//! There is one per data folder, started when a machine needs it ([`Machines::bridge_up`]), and gone by itself when none does
//! ([`Machines::serve_bridge`]). Each machine has sockets of its own in a folder that only the person can enter; the engine
//! passes them in as `proxy` devices, so which socket is asked says which machine asks. Permissions are read anew at each
//! request.

mod agent;
mod credentials;
mod serve;

use crate::files::{io_error, make_folder};
use crate::state::{Definition, MachineFolder};
use crate::{MachineError, MachineName, Machines, Paths};
use codchi_host::{Host, HostSecret};
use sha2::{Digest as _, Sha256};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

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
const ENVIRONMENT: [&str; 16] = [
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
];
/// And all variables that begin so.
const PREFIXES: [&str; 5] = ["XDG_", "LC_", "LXD_", "INCUS_", "GIT_CONFIG_"];

/// Where the bridge's sockets are.
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
        let digest = Sha256::digest(definition.id.as_bytes());
        let id: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
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

    /// Where a bridge that runs is greeted.
    fn control(&self) -> PathBuf {
        self.0.join("control")
    }

    /// Held by the bridge while it lives.
    fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Makes the folder, for nobody but the person.
    fn make(&self) -> Result<(), MachineError> {
        make_folder(&self.0)?;
        let private = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(&self.0, private).map_err(|e| io_error("Closing to others", &self.0, e))
    }
}

impl Machines {
    /// Makes sure that what a machine may ask of this computer is answered. A failure is told in the log: the machine works
    /// without, and says itself what it misses.
    pub async fn bridge_up(&self, name: &MachineName) {
        let permissions = match MachineFolder::new(self.paths(), name).permissions() {
            Ok(permissions) => permissions,
            Err(error) => return tracing::warn!("{error}"),
        };
        if !SERVED.into_iter().any(|secret| permissions.host_secret(secret) == Some(true)) {
            return;
        }
        if let Err(error) = self.greet_bridge().await {
            tracing::warn!("`{name}` cannot ask this computer for keys and credentials: {error}");
        }
    }

    /// Greets the bridge, started where none runs. It then knows of all machines, and where this process's agent is.
    async fn greet_bridge(&self) -> Result<(), MachineError> {
        let place = Place::of(self.paths());
        place.make()?;
        let begun = tokio::time::Instant::now();
        let mut started = None;
        loop {
            if greet(&place.control()).await {
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
                started = Some(self.start_bridge()?);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Starts a bridge that outlives this process: it leaves its session by itself, and has none of its streams.
    fn start_bridge(&self) -> Result<tokio::process::Child, MachineError> {
        let program = &self.options().program;
        let is_passed = |name: &str| {
            ENVIRONMENT.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        };
        let environment = std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_passed));
        tokio::process::Command::new(program)
            .arg("host-bridge")
            .env_clear()
            .envs(environment)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| io_error("Starting", program, e))
    }
}

/// Tells a bridge where this process's agent is, and waits until it serves every machine; whether it does.
async fn greet(control: &Path) -> bool {
    let talk = async {
        let mut stream = UnixStream::connect(control).await?;
        // The likeliest of those that this process knows.
        let agent = Host::this().agent_sockets().into_iter().next().unwrap_or_default();
        stream.write_all(format!("{}\n", agent.display()).as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer == GREETING)
    };
    tokio::time::timeout(UP_LIMIT, talk).await.is_ok_and(|answer| answer.unwrap_or(false))
}
