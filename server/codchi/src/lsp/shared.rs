//! What the server's tasks share: the texts, what is known of host and machines, the client's settings, and who is told of
//! changes.

use super::evaluating::{Evaluating, Off};
use super::indexing::Indexing;
use super::operations::Operations;
use super::publish::Changed;
use super::session::{Session, Settings, trusted};
use super::workspace::Workspace;
use super::{formatting, tokens};
use crate::context::Context;
use crate::evaluation::{Mode, Surroundings};
use crate::levels;
use crate::pins::Pins;
use codchi_ide::{Rules, World};
use codchi_machine::{Machines, Options};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::{Notify, mpsc, watch};

/// What the server's tasks share.
pub(crate) struct Shared {
    /// The open texts and the files below them.
    pub(crate) workspace: Workspace,
    /// Says when modules are to be evaluated.
    pub(crate) evaluating: Evaluating,
    /// The Nix of this computer, and the nixpkgs of modules.
    pub(crate) pins: Arc<Pins>,
    /// Keeps what is known of the files up to date.
    pub(crate) indexing: Indexing,
    /// What is known about host and machines.
    pub(crate) world: watch::Sender<Arc<World>>,
    /// Says that host or machines may have changed.
    pub(crate) refresh: Notify,
    /// What is being done to machines.
    pub(crate) operations: Arc<Operations>,
    /// The semantic tokens that were told last.
    pub(crate) told: tokens::Told,
    /// What was told of formatters.
    pub(crate) formatting: formatting::Told,
    /// Where things live, what is configured, what runs machines.
    pub(crate) context: Context,
    settings: Mutex<Settings>,
    pub(super) session: OnceLock<Session>,
    changes: mpsc::UnboundedSender<Changed>,
    /// Counts the changes.
    pub(crate) generation: watch::Sender<u64>,
    /// Whether the diagnostics of the whole workspace were told once.
    pub(crate) answered_workspace: AtomicBool,
}

impl Shared {
    /// Knows nothing yet; `changes` are what the publisher is told.
    pub(super) fn new(context: Context, changes: mpsc::UnboundedSender<Changed>) -> Self {
        Self {
            workspace: Workspace::default(),
            evaluating: Evaluating::default(),
            pins: Arc::new(Pins::new(context.paths.clone())),
            indexing: Indexing::default(),
            world: watch::Sender::default(),
            refresh: Notify::new(),
            operations: Arc::default(),
            told: tokens::Told::default(),
            formatting: formatting::Told::default(),
            context,
            settings: Mutex::default(),
            session: OnceLock::new(),
            changes,
            generation: watch::Sender::default(),
            answered_workspace: AtomicBool::new(false),
        }
    }

    /// What is known about host and machines now.
    pub(crate) fn world(&self) -> Arc<World> {
        self.world.borrow().clone()
    }

    /// The client; one that says nothing before `initialize`.
    pub(crate) fn session(&self) -> &Session {
        static BEFORE: OnceLock<Session> = OnceLock::new();
        self.session.get().unwrap_or_else(|| BEFORE.get_or_init(Session::default))
    }

    /// The machines, with the client's settings over the user's configuration.
    pub(crate) fn machines(&self) -> Machines {
        let settings = self.settings().clone();
        let configured = self.context.config.options();
        self.context.machines_with(Options {
            nixpkgs: settings.nixpkgs.filter(|url| !url.is_empty()).or(configured.nixpkgs),
            personal_modules: settings
                .personal_modules
                .filter(|modules| !modules.is_empty())
                .unwrap_or(configured.personal_modules),
            ssh_config: settings.ssh_config.or(configured.ssh_config),
            ..configured
        })
    }

    /// The flake URL of the nixpkgs of new machines, where one is set: by the client, else by the user's configuration.
    pub(crate) fn nixpkgs(&self) -> Option<String> {
        let settings = self.settings().nixpkgs.clone();
        settings.filter(|url| !url.is_empty()).or_else(|| self.context.config.nixpkgs.clone())
    }

    /// The formatter that the client's settings name.
    pub(crate) fn formatter(&self) -> crate::formatter::Setting {
        self.settings().formatter.clone()
    }

    /// What evaluations depend on beside the files: the client's settings over the user's configuration.
    pub(crate) fn surroundings(&self) -> Surroundings {
        Surroundings {
            machines: self.world().machines.clone(),
            nixpkgs: self.nixpkgs(),
            mode: self.mode().unwrap_or(Mode::Off),
        }
    }

    /// How modules are evaluated, never [`Mode::Off`]; or why none is.
    pub(super) fn mode(&self) -> Result<Mode, Off> {
        let settings = self.settings();
        match settings.evaluation.unwrap_or(self.context.config.evaluation) {
            _ if settings.distrusted => Err(Off::Untrusted),
            Mode::Off => Err(Off::Setting),
            mode => Ok(mode),
        }
    }

    /// The client's settings, as it has sent them last.
    fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The levels of diagnostics: the client's over the configured ones.
    pub(super) fn set_rules(&self) {
        let mut written = self.context.config.diagnostics.clone();
        written.extend(self.settings().diagnostics.clone());
        let (levels, problems) = levels::read(&written);
        for problem in problems {
            tracing::warn!("the levels of diagnostics are not understood: {problem}");
        }
        let rules = Rules { levels };
        let is_new = self.world.send_if_modified(|now| {
            let is_new = now.rules != rules;
            if is_new {
                *now = Arc::new(World { rules, ..World::clone(now) });
            }
            is_new
        });
        if is_new {
            self.changed(Changed::Everything);
        }
    }

    /// The client has sent its settings.
    pub(super) fn set_settings(&self, sent: serde_json::Value) {
        let said = sent.is_object().then(|| !trusted(&sent));
        let understood = serde_json::from_value::<Settings>(sent);
        let before = {
            // At once: nobody sees the trust of these with the rest of those before.
            let mut settings = self.settings();
            let before = settings.distrusted;
            let distrusted = said.unwrap_or(before);
            match &understood {
                Ok(understood) => *settings = Settings { distrusted, ..understood.clone() },
                Err(_) => settings.distrusted = distrusted,
            }
            before
        };
        match (before, said) {
            (false, Some(true)) => {
                tracing::info!(
                    "the workspace is not trusted: modules are checked as text, and Nix does not run"
                );
            }
            (true, Some(false)) => tracing::info!("the workspace is trusted now: Nix may run"),
            _ => {}
        }
        match understood {
            Ok(_) => self.set_rules(),
            Err(error) => tracing::warn!("the client's settings are not understood: {error}"),
        }
        self.generation.send_modify(|count| *count += 1);
        self.evaluating.look();
    }

    /// Tells the publisher. After the session's end nobody listens, which is fine.
    pub(crate) fn changed(&self, change: Changed) {
        self.generation.send_modify(|count| *count += 1);
        let _ = self.changes.send(change);
    }
}
