//! The `nix` program, one method per thing that is asked of it.

use crate::process::{self, Listener};
use crate::url::path_url;
use crate::{CancellationToken, NixError, Progress, find, inside};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// A Nix on this computer.
#[derive(Debug, Clone)]
pub struct Nix {
    program: PathBuf,
    /// What `program` is told before the name of a program of Nix, where it is none itself and runs them elsewhere.
    through: Option<Vec<OsString>>,
    version: Version,
    environment: Vec<(OsString, OsString)>,
}

/// A Nix version, e.g. 2.18.1 -> (2, 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

/// What a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The output's path in the store.
    pub out: PathBuf,
    /// The derivation that made it.
    pub derivation: PathBuf,
}

/// Since this version, `nix flake update` takes the names of inputs.
const UPDATE_TAKES_INPUTS: Version = Version(2, 19);

impl Nix {
    /// Looks for `nix` on PATH, in `~/.nix-profile/bin`, `/nix/var/nix/profiles/default/bin` and
    /// `/run/current-system/sw/bin`, and asks its version.
    ///
    /// # Errors
    /// [`NixError::NotInstalled`]; [`NixError::Process`] where it does not run.
    pub async fn find() -> Result<Self, NixError> {
        let path = std::env::var_os("PATH");
        let home = std::env::var_os("HOME");
        Self::at(find::find_in(path.as_deref(), home.as_deref()).ok_or(NixError::NotInstalled)?).await
    }

    /// The `nix` at `program`, an absolute path.
    ///
    /// # Errors
    /// [`NixError::Process`] where it does not run, or is no Nix.
    pub async fn at(program: PathBuf) -> Result<Self, NixError> {
        let version = find::version(Command::new(&program)).await?;
        Ok(Self { program, through: None, version, environment: Vec::new() })
    }

    /// A Nix that is somewhere else: `program`, told `arguments` and then `nix` with its own arguments, runs it there, with its
    /// streams, its exit code and signals passed on.
    ///
    /// # Errors
    /// [`NixError::Process`] where it does not run, or is no Nix.
    pub async fn through<A: Into<OsString>>(
        program: PathBuf,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Self, NixError> {
        let through: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
        let mut command = Command::new(&program);
        command.args(&through).arg("nix");
        let version = find::version(command).await?;
        Ok(Self { program, through: Some(through), version, environment: Vec::new() })
    }

    /// The same Nix, whose processes get these environment variables on top of this process's own.
    #[must_use]
    pub fn with_environment<K: Into<OsString>, V: Into<OsString>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Evaluates `installable` (`path:/folder#attribute`) to JSON. Writes no lock file.
    ///
    /// # Errors
    /// [`NixError::Failed`] with the place of the error, and the others.
    pub async fn eval<T: DeserializeOwned>(
        &self,
        installable: &str,
        cancel: &CancellationToken,
    ) -> Result<T, NixError> {
        let mut command = self.command(&["eval", "--json", "--no-write-lock-file"]);
        command.arg(installable);
        self.json(command, "nix eval", cancel).await
    }

    /// Builds `installable` and makes `profile` (an absolute path; its folder exists) point to the result as a new
    /// generation, which also keeps it from being collected. `progress` is called at most ten times a second;
    /// `log` gets every line a person would want in a log file, without its newline. Writes no lock file.
    ///
    /// # Errors
    /// [`NixError::Failed`] with the failed derivation, and the others.
    pub async fn build(
        &self,
        installable: &str,
        profile: &Path,
        progress: &mut (dyn FnMut(Progress) + Send),
        log: &mut (dyn FnMut(&str) + Send),
        cancel: &CancellationToken,
    ) -> Result<Built, NixError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Result {
            drv_path: PathBuf,
            outputs: Outputs,
        }
        #[derive(Deserialize)]
        struct Outputs {
            out: PathBuf,
        }

        const WHAT: &str = "nix build";
        // Without `--no-link`, old versions leave a `result` link in the current folder besides the profile.
        let mut command =
            self.command(&["build", "--json", "--no-link", "--no-write-lock-file", "--profile"]);
        command.arg(&*inside(profile)).arg(installable);
        let stdout = process::run(command, WHAT, &mut Listener { progress, log }, cancel).await?;
        let [result]: [Result; 1] = parse(&stdout, WHAT)?;
        Ok(Built { out: result.outputs.out, derivation: result.drv_path })
    }

    /// Writes `flake.lock` of the flake in `folder`: adds missing inputs, and takes those named in `update` anew.
    ///
    /// # Errors
    /// [`NixError::Failed`] where an input cannot be fetched, and the others.
    pub async fn lock(
        &self,
        folder: &Path,
        update: &[&str],
        cancel: &CancellationToken,
    ) -> Result<(), NixError> {
        let url = path_url(folder);
        let (what, arguments) = lock_arguments(self.version, &url, update);
        let command = self.command(&arguments);
        self.quiet(command, what, cancel).await?;
        Ok(())
    }

    /// `nix-instantiate` or `nix-store`, which lies beside `nix`: the same program by another name.
    pub(crate) fn sibling(&self, name: &str) -> Command {
        let sibling = self.program.with_file_name(name);
        let mut command = if self.through.is_some() {
            self.start(name)
        } else if sibling.exists() {
            Command::new(sibling)
        } else {
            as_another(&self.program, name)
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.start("nix");
        command.args(["--extra-experimental-features", "nix-command flakes"]);
        command.args(["--log-format", "internal-json", "--show-trace"]).args(arguments);
        // Nobody answers a question on a terminal here: git and ssh shall fail, or ask in a window of their own.
        command.env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "force");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `name`, a program of Nix, without arguments: elsewhere, or the `nix` that this is.
    fn start(&self, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(through) = &self.through {
            command.args(through).arg(name);
        }
        command
    }

    pub(crate) async fn quiet(
        &self,
        command: Command,
        what: &str,
        cancel: &CancellationToken,
    ) -> Result<Vec<u8>, NixError> {
        let mut listener = Listener { progress: &mut |_| {}, log: &mut |_| {} };
        process::run(command, what, &mut listener, cancel).await
    }

    /// Runs to the end; `log` gets what is said meanwhile.
    pub(crate) async fn listen(
        &self,
        command: Command,
        what: &str,
        log: &mut (dyn FnMut(&str) + Send),
        cancel: &CancellationToken,
    ) -> Result<(), NixError> {
        process::run(command, what, &mut Listener { progress: &mut |_| {}, log }, cancel).await.map(drop)
    }

    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        command: Command,
        what: &str,
        cancel: &CancellationToken,
    ) -> Result<T, NixError> {
        parse(&self.quiet(command, what, cancel).await?, what)
    }
}

/// `program`, told that its name is `name`.
fn as_another(program: &Path, name: &str) -> Command {
    let mut command = Command::new(program);
    #[cfg(unix)]
    command.arg0(name);
    // There is no Nix of Windows that could go by another name.
    #[cfg(not(unix))]
    command.arg(name);
    command
}

/// What writes the lock file of the flake at `url`, and what to call it.
fn lock_arguments<'a>(version: Version, url: &'a str, update: &[&'a str]) -> (&'static str, Vec<&'a str>) {
    if version >= UPDATE_TAKES_INPUTS && !update.is_empty() {
        return ("nix flake update", [&["flake", "update", "--flake", url], update].concat());
    }
    let mut arguments = vec!["flake", "lock", url];
    for input in update {
        arguments.extend(["--update-input", input]);
    }
    ("nix flake lock", arguments)
}

fn parse<T: DeserializeOwned>(json: &[u8], what: &str) -> Result<T, NixError> {
    serde_json::from_slice(json).map_err(|source| NixError::Output { command: what.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program that is given with its arguments, in order, what else is to be run: it says what that is.
    fn elsewhere(folder: &Path, script: &str) -> PathBuf {
        let program = folder.join("elsewhere");
        crate::script::script(&program, script);
        program
    }

    #[tokio::test]
    async fn a_nix_that_is_somewhere_else_is_told_what_this_one_would_be() {
        let folder = tempfile::tempdir().unwrap();
        let script = "shift 2\ncase \"$*\" in\n'nix --version') echo 'nix (Nix) 2.24.9' ;;\n\
                      *) printf '{\"said\":\"%s\"}' \"$1 ${9}\" ;;\nesac";
        let nix = Nix::through(elsewhere(folder.path(), script), ["exec", "--"]).await.unwrap();
        assert_eq!(nix.version(), Version(2, 24));
        let said: serde_json::Value = nix.eval("path:/f#x", &CancellationToken::new()).await.unwrap();
        assert_eq!(said["said"], "nix --no-write-lock-file");
        let instantiate = nix.sibling("nix-instantiate");
        let words: Vec<_> = instantiate.as_std().get_args().collect();
        assert_eq!(words, ["exec", "--", "nix-instantiate"]);
    }

    #[tokio::test]
    async fn what_runs_somewhere_else_is_asked_to_end_where_the_run_is_cancelled() {
        let folder = tempfile::tempdir().unwrap();
        let note = folder.path().join("ended");
        let script = format!(
            "shift 2\n[ \"$*\" != 'nix --version' ] || {{ echo 'nix (Nix) 2.24.9'; exit; }}\n\
             trap 'echo >{}; exit 1' TERM\nsleep 60 & wait",
            note.display()
        );
        let nix = Nix::through(elsewhere(folder.path(), &script), ["exec", "--"]).await.unwrap();
        let cancel = CancellationToken::new();
        let cancelled = cancel.clone();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            cancelled.cancel();
        });
        let error = nix.eval::<serde_json::Value>("path:/f#x", &cancel).await.unwrap_err();
        assert!(matches!(error, NixError::Cancelled) && note.exists(), "{error}");
    }

    #[test]
    fn inputs_are_updated_in_the_way_that_the_version_knows() {
        let arguments =
            |version, update: &[&'static str]| lock_arguments(version, "path:/f", update).1.join(" ");
        assert_eq!(
            arguments(Version(2, 8), &["a", "b"]),
            "flake lock path:/f --update-input a --update-input b"
        );
        assert_eq!(arguments(Version(2, 26), &["a", "b"]), "flake update --flake path:/f a b");
        assert_eq!(arguments(Version(2, 8), &[]), "flake lock path:/f");
        assert_eq!(arguments(Version(2, 26), &[]), "flake lock path:/f");
    }
}
