//! Running `wsl.exe`.

use super::text;
use crate::DriverError;
use crate::types::{DriverKind, InstanceName};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};

/// `wsl.exe`.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    /// How long it may take for what is quick; see [`super::WslOptions::patience`].
    pub(super) patience: Duration,
}

/// Why a call did not do what it was to do.
#[derive(Debug)]
pub(super) enum CallError {
    /// It could not be run.
    Run(io::Error),
    /// It did not end.
    Hangs(Duration),
    /// It failed, and this is what it said.
    Failed(String),
    /// It did something that it should not.
    Unexpected(String),
}

impl Program {
    /// A call that is not started yet; its window is not shown. It ends when it is dropped.
    pub(super) fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.path);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("WSL_UTF8", "1").env("WSL_DISABLE_WARNINGS", "1").kill_on_drop(true);
        // From a distribution, only what is named here goes along to a program of Windows.
        let along = std::env::var("WSLENV").unwrap_or_default();
        let separator = if along.is_empty() { "" } else { ":" };
        command.env("WSLENV", format!("{along}{separator}WSL_UTF8:WSL_DISABLE_WARNINGS"));
        #[cfg(windows)]
        {
            /// `CREATE_NO_WINDOW`.
            const NO_WINDOW: u32 = 0x0800_0000;
            command.creation_flags(NO_WINDOW);
        }
        command
    }

    /// How long a distribution may take to start and to answer.
    pub(super) fn boot_limit(&self) -> Duration {
        self.patience * 2
    }

    /// How long it may take once it has an archive's last byte, or before it gives the first.
    pub(super) fn archive_limit(&self) -> Duration {
        self.patience * 15
    }

    /// What a quick call says, which succeeds.
    pub(super) async fn say<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String, CallError> {
        self.say_within(self.patience, arguments).await
    }

    /// What a call says that ends within `limit` and succeeds.
    pub(super) async fn say_within<S: AsRef<OsStr>>(
        &self,
        limit: Duration,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String, CallError> {
        let child = self.command(arguments).spawn().map_err(CallError::Run)?;
        said(ended(child, limit).await?)
    }
}

/// What a call printed that ends within `limit`.
pub(super) async fn ended(child: Child, limit: Duration) -> Result<Output, CallError> {
    let output = tokio::time::timeout(limit, child.wait_with_output()).await;
    output.map_err(|_| CallError::Hangs(limit))?.map_err(CallError::Run)
}

/// What a call said that succeeded. Failures, too, are told on standard output.
pub(super) fn said(output: Output) -> Result<String, CallError> {
    let said = text::decode(&output.stdout);
    if output.status.success() {
        return Ok(said);
    }
    let errors = text::decode(&output.stderr);
    let both: Vec<&str> = [&*said, &*errors].into_iter().filter(|text| !text.is_empty()).collect();
    Err(CallError::Failed(if both.is_empty() {
        format!("it ended with {}", output.status)
    } else {
        both.join("\n")
    }))
}

impl CallError {
    /// The code of what WSL refused.
    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Self::Failed(message) => text::token(message),
            _ => None,
        }
    }

    /// Told of `action`, e.g. `starting`, on the distribution `name`.
    pub(super) fn explain(self, action: &str, name: &InstanceName) -> DriverError {
        match self.token() {
            Some("WSL_E_DISTRO_NOT_FOUND") => DriverError::NotFound { name: name.to_string() },
            Some("ERROR_ALREADY_EXISTS") => DriverError::NameTaken { name: name.to_string() },
            _ => self.while_doing(&format!("{action} instance {name}")),
        }
    }

    /// Told of `action`, e.g. `listing the distributions`.
    pub(super) fn while_doing(self, action: &str) -> DriverError {
        let action = action.to_owned();
        match self {
            Self::Run(source) if source.kind() == io::ErrorKind::NotFound => DriverError::NotInstalled {
                wanted: Some(DriverKind::Wsl),
                searched: "there is no wsl.exe".into(),
            },
            Self::Run(source) => DriverError::Connection { action, source: source.into() },
            Self::Hangs(limit) => unusable(
                format!("wsl.exe did not answer within {} seconds while {action}", limit.as_secs()),
                "Try again; where that does not help, run `wsl --shutdown` in a terminal of Windows, which ends every distribution that \
                 runs, others' too, or restart Windows.",
            ),
            Self::Unexpected(message) => DriverError::Protocol { action, message },
            Self::Failed(message) => match text::token(&message).and_then(known) {
                Some((reason, remedy)) => unusable(reason.into(), remedy),
                None if is_disk_full(&message) => DriverError::Engine {
                    action,
                    message: format!("the disk is full ({})", on_one_line(&message)),
                },
                None => DriverError::Engine { action, message: on_one_line(&message) },
            },
        }
    }
}

fn unusable(reason: String, remedy: &str) -> DriverError {
    DriverError::Unusable { kind: DriverKind::Wsl, reason, remedy: remedy.into() }
}

fn is_disk_full(message: &str) -> bool {
    matches!(text::token(message), Some("ERROR_DISK_FULL" | "0x80070070" | "ERROR_HANDLE_DISK_FULL"))
}

/// What WSL says in several lines, as one.
fn on_one_line(message: &str) -> String {
    message.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// What stands in the way of all distributions, by the code; and what to do about it.
///
/// Source: `wslutil.cpp` and `Resources.resw` in microsoft/WSL, and <https://learn.microsoft.com/windows/wsl/troubleshooting>.
fn known(token: &str) -> Option<(&'static str, &'static str)> {
    const VIRTUALIZATION: &str = "Switch virtualization on in the computer's firmware (BIOS or UEFI), run `wsl --install --no-distribution` in a terminal of Windows as \
                                  administrator, and restart Windows.";
    Some(match token {
        "WSL_E_WSL_OPTIONAL_COMPONENT_REQUIRED" | "WSL_E_INSTALL_COMPONENT_FAILED" => (
            "an optional component of Windows that it needs is off",
            "Run `wsl --install --no-distribution` in a terminal of Windows as administrator, then restart Windows.",
        ),
        "WSL_E_VIRTUAL_MACHINE_PLATFORM_REQUIRED"
        | "HCS_E_HYPERV_NOT_INSTALLED"
        | "HCS_E_SERVICE_NOT_AVAILABLE"
        | "0x80370102" => ("this computer's virtualization is off", VIRTUALIZATION),
        "WSL_E_WSL2_NEEDED" | "WSL_E_VM_MODE_NOT_SUPPORTED" => {
            ("it runs distributions as version 1 only", VIRTUALIZATION)
        }
        "ERROR_ACCESS_DISABLED_BY_POLICY" => {
            ("an administrator's policy has switched it off", "Ask who administers this computer.")
        }
        "REGDB_E_CLASSNOTREG" | "ERROR_SERVICE_DOES_NOT_EXIST" | "ERROR_SERVICE_NOT_ACTIVE" => {
            ("its service does not run", "Run `wsl --update` in a terminal of Windows, then restart Windows.")
        }
        "WSL_E_VM_CRASHED" => ("its virtual machine has crashed", "Try again."),
        _ => return None,
    })
}

/// Where `wsl.exe` is: as `CODCHI_WSL_EXE` says; on Windows among the system's programs; in a distribution on the path, or on the drive
/// with Windows. `None` where there is none.
pub(super) fn find(drives: &super::paths::Drives) -> Option<PathBuf> {
    let named = std::env::var_os("CODCHI_WSL_EXE").filter(|value| !value.is_empty());
    if let Some(named) = named {
        return Some(named.into());
    }
    let system = |root: &Path| root.join("System32").join("wsl.exe");
    let candidates: Vec<PathBuf> = match drives {
        super::paths::Drives::Windows => {
            vec![system(Path::new(&std::env::var_os("SystemRoot").unwrap_or_else(|| r"C:\Windows".into())))]
        }
        super::paths::Drives::Below(root) => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let on_path = std::env::split_paths(&path).map(|folder| folder.join("wsl.exe"));
            on_path.chain([system(&root.join("c").join("Windows"))]).collect()
        }
    };
    candidates.into_iter().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> InstanceName {
        InstanceName::new("codchi-x").unwrap()
    }

    fn failed(text: &str) -> DriverError {
        CallError::Failed(text.into()).explain("starting", &name())
    }

    #[test]
    fn what_wsl_refuses_is_told_in_the_drivers_words() {
        let missing = failed("Keine Verteilung.\nFehlercode: Wsl/Service/WSL_E_DISTRO_NOT_FOUND");
        assert!(matches!(missing, DriverError::NotFound { .. }), "{missing:?}");
        let taken = failed("x Wsl/Service/RegisterDistro/ERROR_ALREADY_EXISTS");
        assert!(matches!(taken, DriverError::NameTaken { .. }), "{taken:?}");
        let full = failed(
            "There is not enough space on the disk. \nError code: Wsl/Service/RegisterDistro/ImportDistro/ERROR_DISK_FULL",
        );
        assert!(full.to_string().contains("the disk is full"), "{full}");
        let off = failed("Error code: Wsl/Service/CreateInstance/CreateVm/HCS/HCS_E_HYPERV_NOT_INSTALLED");
        assert_eq!(off.to_string(), "WSL cannot be used: this computer's virtualization is off");
        assert!(off.hint().unwrap().contains("BIOS"));
        let other = failed("Something\nnew. Wsl/0x123");
        assert_eq!(other.to_string(), "Starting instance codchi-x failed: Something new. Wsl/0x123");
    }

    #[test]
    fn one_that_hangs_says_for_how_long() {
        let error = CallError::Hangs(Duration::from_secs(60)).while_doing("listing the distributions");
        assert!(error.to_string().contains("within 60 seconds while listing"), "{error}");
        assert!(error.hint().unwrap().contains("wsl --shutdown"));
    }
}
