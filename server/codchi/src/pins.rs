//! Which nixpkgs a module has, and where it lies in the store.
//!
//! It is the one that a machine made of the module has locked (its own, the shared one or that of a module that it follows),
//! else the one that the module's own flake has, else the one that a new machine would get: the one that the machines of
//! this computer share, where one is locked by now. So what is fetched is only what creating a machine would fetch as well; each is fetched
//! once, however many ask for it, and goes on being fetched when they no longer wait. What cannot be fetched is said once
//! and not tried again for a while.

use crate::files;
use codchi_ide::{Machine, ModuleKey};
use codchi_machine::{DEFAULT_NIXPKGS, MachineName, Paths, nixpkgs_pin};
use codchi_nix::{CancellationToken, Lock, Nix, NixError};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;

/// What a URL means is looked up again after this time, as Nix itself does it.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// What failed is not tried again before.
const FAILED: Duration = Duration::from_secs(5 * 60);

/// A nixpkgs has 45 MB: on a slow line, too, it is there by then.
const LONGEST_FETCH: Duration = Duration::from_secs(15 * 60);

/// A nixpkgs in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Which one it is: the hash of its contents, or what its lock says where that has none.
    pub(crate) revision: String,
}

/// Why there is no nixpkgs for a module.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum PinError {
    /// Nix is missing or does not run.
    #[error("Nix cannot be used")]
    Nix(#[source] Arc<NixError>),
    /// It cannot be fetched.
    #[error("the nixpkgs {wanted} cannot be fetched")]
    Fetch {
        /// Which one, as a person calls it.
        wanted: String,
        /// Why.
        #[source]
        source: Arc<NixError>,
    },
    /// It takes too long.
    #[error("the nixpkgs {wanted} is not fetched after {} minutes", LONGEST_FETCH.as_secs() / 60)]
    Slow {
        /// Which one, as a person calls it.
        wanted: String,
    },
    /// Nobody waits any more.
    #[error("cancelled")]
    Cancelled,
}

impl PinError {
    /// What the person can do next, as a sentence.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Nix(error) => error.hint(),
            Self::Fetch { .. } | Self::Slow { .. } => Some(
                "Check the network connection, or name another nixpkgs in `nixpkgs` of config.toml, in the setting \
                 `codchi.nixpkgs` or in $CODCHI_NIXPKGS."
                    .into(),
            ),
            Self::Cancelled => None,
        }
    }
}

/// Which nixpkgs is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Wanted {
    /// The `locked` of a lock file's entry.
    Locked(Value),
    /// What a flake URL means today.
    Url(String),
}

/// The Nix of this computer, or why there is none.
type Found = Result<Nix, Arc<NixError>>;
type Answer = Result<Arc<Pin>, PinError>;
type Fetching = Shared<BoxFuture<'static, Answer>>;

/// The Nix of this computer, and the nixpkgs of modules. For as long as it lives, what is being fetched goes on.
pub(crate) struct Pins {
    paths: Paths,
    nix: tokio::sync::Mutex<Option<(Instant, Found)>>,
    known: Mutex<HashMap<Wanted, (Instant, Fetching)>>,
    all: CancellationToken,
    tasks: TaskTracker,
    _end: DropGuard,
}

impl Pins {
    /// Knows nothing yet. `paths` are where machines live.
    pub(crate) fn new(paths: Paths) -> Self {
        let all = CancellationToken::new();
        let end = all.clone().drop_guard();
        Self {
            paths,
            nix: tokio::sync::Mutex::default(),
            known: Mutex::default(),
            all,
            tasks: TaskTracker::new(),
            _end: end,
        }
    }

    /// The Nix of this computer; one that is missing is looked for again after a while.
    pub(crate) async fn nix(&self) -> Result<Nix, PinError> {
        let mut known = self.nix.lock().await;
        if let Some((when, nix)) = &*known
            && (nix.is_ok() || when.elapsed() < FAILED)
        {
            return nix.clone().map_err(PinError::Nix);
        }
        let nix = Nix::find().await.map_err(Arc::new);
        *known = Some((Instant::now(), nix.clone()));
        nix.map_err(PinError::Nix)
    }

    /// The nixpkgs of a module. `machines` are those of this computer, `configured` is the URL for new ones, codchi's own
    /// where `None`. Cancelling ends the wait, not what is waited for.
    pub(crate) async fn of(
        &self,
        key: &ModuleKey,
        machines: &[Machine],
        configured: Option<&str>,
        cancel: &CancellationToken,
    ) -> Answer {
        let url = configured.unwrap_or(DEFAULT_NIXPKGS).to_owned();
        let (locks, paths, otherwise) = (locks(&self.paths, key, machines), self.paths.clone(), url.clone());
        let wanted = tokio::task::spawn_blocking(move || wanted(locks, &paths, url));
        let wanted = wanted.await.unwrap_or(Wanted::Url(otherwise));
        let nix = self.nix().await?;
        let fetching =
            self.fetching(wanted, |wanted, cancel| async move { fetch(&nix, &wanted, &cancel).await });
        tokio::select! {
            answer = fetching => answer,
            () = cancel.cancelled() => Err(PinError::Cancelled),
        }
    }

    /// Ends what is being fetched, and waits for that.
    pub(crate) async fn end(&self) {
        self.all.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What is known of a nixpkgs, or is being found out by `fetch`, from now on where it is not yet.
    fn fetching<F: Future<Output = Answer> + Send + 'static>(
        &self,
        wanted: Wanted,
        fetch: impl FnOnce(Wanted, CancellationToken) -> F,
    ) -> Fetching {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((when, fetching)) = known.get(&wanted)
            && holds(&wanted, fetching.peek(), when.elapsed())
        {
            return fetching.clone();
        }
        let fetch = fetch(wanted.clone(), self.all.clone());
        let named = wanted.named();
        // A task of its own: it goes on where nobody waits.
        let task = self.tasks.spawn(async move {
            let answer = match tokio::time::timeout(LONGEST_FETCH, fetch).await {
                Ok(answer) => answer,
                Err(_elapsed) => Err(PinError::Slow { wanted: named }),
            };
            if let Err(error) = &answer
                && !matches!(error, PinError::Cancelled)
            {
                tracing::warn!("{}", crate::error::report(error));
            }
            answer
        });
        let fetching = async move { task.await.unwrap_or(Err(PinError::Cancelled)) }.boxed().shared();
        known.insert(wanted, (Instant::now(), fetching.clone()));
        fetching
    }
}

/// Whether an answer still counts; one that is awaited does.
fn holds(wanted: &Wanted, answer: Option<&Answer>, age: Duration) -> bool {
    match (answer, wanted) {
        (None, _) => true,
        (Some(Err(PinError::Cancelled)), _) => false,
        (Some(Err(_)), _) => age < FAILED,
        // A garbage collection may have taken it.
        (Some(Ok(pin)), Wanted::Locked(_)) => pin.path.exists(),
        (Some(Ok(pin)), Wanted::Url(_)) => age < FRESH && pin.path.exists(),
    }
}

impl Wanted {
    /// As a person calls it.
    fn named(&self) -> String {
        match self {
            Self::Url(url) => format!("`{url}`"),
            Self::Locked(locked) => {
                let text = |name: &str| locked.get(name).and_then(Value::as_str);
                let parts = ["type", "owner", "repo", "url", "path", "rev"].into_iter().filter_map(text);
                format!("`{}`", parts.collect::<Vec<_>>().join(" "))
            }
        }
    }
}

async fn fetch(nix: &Nix, wanted: &Wanted, cancel: &CancellationToken) -> Answer {
    let fetched = match wanted {
        Wanted::Url(url) => {
            let tree = nix.flake_tree(url, cancel).await;
            tree.map(|tree| Pin { path: tree.path, revision: tree.hash })
        }
        Wanted::Locked(locked) => {
            let tree = nix.locked_tree(locked, cancel).await;
            tree.map(|tree| Pin {
                path: match locked.get("dir").and_then(Value::as_str) {
                    Some(folder) => tree.join(folder),
                    None => tree,
                },
                revision: revision(locked),
            })
        }
    };
    fetched.map(Arc::new).map_err(|error| match error {
        NixError::Cancelled => PinError::Cancelled,
        error => PinError::Fetch { wanted: wanted.named(), source: Arc::new(error) },
    })
}

/// What identifies a locked tree.
fn revision(locked: &Value) -> String {
    let text = |name: &str| locked.get(name).and_then(Value::as_str).map(str::to_owned);
    text("narHash").or_else(|| text("rev")).unwrap_or_else(|| locked.to_string())
}

/// The lock files that may say which nixpkgs a module has, the first that does counts.
fn locks(paths: &Paths, key: &ModuleKey, machines: &[Machine]) -> Vec<PathBuf> {
    let (path, output) = key;
    let named = |output: &Option<String>| output.clone().filter(|output| output != "default");
    let is_made_of = |machine: &&Machine| {
        let mut modules = machine.modules.iter();
        modules.any(|module| module.path == *path && named(&module.output) == named(output))
    };
    let names =
        machines.iter().filter(is_made_of).filter_map(|machine| machine.name.parse::<MachineName>().ok());
    let mut locks: Vec<PathBuf> = names.map(|name| paths.machine(&name).join("flake/flake.lock")).collect();
    locks.extend(lock_of(path));
    locks
}

/// What the first of `locks` that says so has locked, else what machines share of `url`, else what that means today.
fn wanted(locks: Vec<PathBuf>, paths: &Paths, url: String) -> Wanted {
    let mut locks = locks.into_iter().chain(nixpkgs_pin(paths, &url));
    match locks.find_map(|lock| locked(&lock)) {
        Some(locked) => Wanted::Locked(locked),
        None => Wanted::Url(url),
    }
}

/// The lock of the flake that a folder or file is a part of, whether there is one or not.
pub(crate) fn lock_of(path: &Path) -> Option<PathBuf> {
    flake_above(path).map(|folder| folder.join("flake.lock"))
}

/// The flake that a folder or file is a part of: the nearest one up to the root of the repository, as Nix looks for it.
fn flake_above(path: &Path) -> Option<&Path> {
    let mut folders = path.ancestors();
    let nearest =
        folders.find(|folder| folder.join("flake.nix").is_file() || folder.join(".git").exists())?;
    nearest.join("flake.nix").is_file().then_some(nearest)
}

/// What a lock file says about nixpkgs.
fn locked(lock: &Path) -> Option<Value> {
    if !lock.exists() {
        return None;
    }
    let text =
        files::read(lock).map_err(|why| tracing::debug!("{} is not read: {why}", lock.display())).ok()?;
    let parsed = Lock::parse(&text);
    let parsed = parsed.map_err(|error| tracing::debug!("{} is no lock: {error}", lock.display())).ok()?;
    parsed.locked("nixpkgs", lock.parent()?)
}

#[cfg(test)]
mod tests;
