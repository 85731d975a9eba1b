//! From modules to a built system: copies and locks, evaluation, build.

use crate::explain::localise;
use crate::files::{make_folder, remove_folder, write_atomic};
use crate::flake::{Flake, PIN};
use crate::instance;
use crate::locked::{Locked, explain_lock, moved_pin};
use crate::nixpkgs::Pin;
use crate::run::{Outcome, Run};
use crate::state::{Generation, Module, NixpkgsFrom};
use crate::{MachineError, SourceKind, StoreKind, drift, inputs, our_nix, snapshot, store};
use codchi_nix::{Nix, NixError, Progress, path_url};
use std::sync::Arc;

impl Run<'_> {
    /// [`Step::Lock`](crate::Step::Lock).
    pub(crate) async fn lock_inputs(&mut self) -> Result<Outcome, MachineError> {
        let nix = self.nix().await?;
        if store::needs_git(&self.definition) {
            let report = self.report;
            let tell = |what: &str| {
                report.info(what);
                report.progress(what.into(), None);
            };
            self.machines.store_git(&nix, &tell, self.cancel).await?;
        }
        let user = instance::user(&self.definition)?;
        let pin = Pin::new(self.machines.paths());
        if let Some(moved) = self.folder.flake_lock()?.and_then(|text| moved_pin(&text, pin.folder())) {
            self.folder.write_flake_lock(&moved)?;
        }
        let locked = Locked::read(&self.folder)?;
        let plain = self.plain_modules(&nix, &locked).await?;
        let flake = self.look_at_modules(&plain)?;
        // Before the copies, so that what changes in between counts as changed since.
        self.next.digests = drift::digests(self.definition.modules.iter().map(|module| &module.source));
        self.copy_modules(&flake).await?;
        self.next.copies.clone_from(&flake.copies);
        let folder = self.folder.flake();
        make_folder(&folder)?;
        our_nix::write(&folder.join("codchi"))?;
        write_atomic(&folder.join("flake.nix"), flake.render(&self.name, user).as_bytes(), 0o600)?;
        let anew: Vec<&str> = flake
            .local_inputs()
            .into_iter()
            .chain(self.updated_inputs().iter().map(String::as_str))
            .collect();
        let takes_pin = self.definition.nixpkgs == NixpkgsFrom::Pin
            && (anew.contains(&PIN) || locked.is_flake(PIN).is_none());
        // The shared nixpkgs must not move while it is read.
        let _held = if takes_pin {
            Some(pin.hold(self.machines.pinned_url(), false, &nix, self.cancel).await?)
        } else {
            None
        };
        nix.lock(&folder, &anew, self.cancel).await.map_err(|error| match error {
            NixError::Cancelled => MachineError::Cancelled,
            error => explain_lock(localise(error, &self.next.copies), &self.definition, &self.name),
        })?;
        // Only now all inputs are known, and so what there is to choose from.
        if self.choose_outputs(&nix).await? {
            let text = self.look_at_modules(&plain)?.render(&self.name, user);
            write_atomic(&folder.join("flake.nix"), text.as_bytes(), 0o600)?;
        }
        self.next.user = Some(user);
        Ok(Outcome::Done)
    }

    /// [`Step::Evaluate`](crate::Step::Evaluate).
    pub(crate) async fn evaluate(&mut self) -> Result<Outcome, MachineError> {
        let nix = self.nix().await?;
        let installable = format!("{}#manifest", path_url(&self.folder.flake()));
        let manifest: crate::Manifest = self.nix_done(nix.eval(&installable, self.cancel).await)?;
        for warning in &manifest.warnings {
            self.report.warning(warning);
        }
        self.next.manifest = Some(manifest);
        Ok(Outcome::Done)
    }

    /// [`Step::Build`](crate::Step::Build).
    pub(crate) async fn build(&mut self) -> Result<Outcome, MachineError> {
        let nix = self.nix().await?;
        let profile = self.folder.profile();
        if let Some(folder) = profile.parent() {
            make_folder(folder)?;
        }
        let installable = format!("{}#toplevel", path_url(&self.folder.flake()));
        let report = self.report;
        let mut progress = |progress: Progress| {
            let (message, percent) = describe(&progress);
            report.progress(message, percent);
        };
        let mut log = |line: &str| report.info(line);
        let built = nix.build(&installable, &profile, &mut progress, &mut log, self.cancel).await;
        let built = self.nix_done(built)?;
        let (Some(manifest), Some(user)) = (self.next.manifest.take(), self.next.user) else {
            return Err(MachineError::User {
                message: "Nothing was evaluated before the build".into(),
                hint: None,
            });
        };
        let made_of = inputs::of(&self.definition, &Locked::read(&self.folder)?);
        self.next.generation = Some(Generation {
            number: self.folder.profile_number(),
            toplevel: built.out,
            uid: user.uid,
            gid: user.gid,
            created: 0,
            manifest,
            local_modules: std::mem::take(&mut self.next.digests),
            made_of,
        });
        Ok(Outcome::Done)
    }

    pub(crate) async fn nix(&mut self) -> Result<Nix, MachineError> {
        if let Some(nix) = self.next.nix.as_ref().filter(|_| self.definition.store == StoreKind::Host) {
            return Ok(nix.clone());
        }
        // A store instance may have gone while somebody was asked.
        let report = self.report;
        let tell = |what: &str| {
            report.info(what);
            report.progress(what.into(), None);
        };
        let nix = self.machines.nix_of(self.definition.store, &tell, self.cancel).await?;
        self.next.nix = Some(nix.clone());
        Ok(nix)
    }

    /// A result of Nix, with its error in the user's words.
    pub(crate) fn nix_done<T>(&self, result: Result<T, NixError>) -> Result<T, MachineError> {
        result.map_err(|error| match error {
            NixError::Cancelled => MachineError::Cancelled,
            error => localise(error, &self.next.copies).into(),
        })
    }

    fn look_at_modules(&self, plain: &[String]) -> Result<Flake, MachineError> {
        let paths = self.machines.paths();
        let (modules, pin) = (self.folder.modules(), Pin::new(paths));
        Flake::new(&self.definition, &paths.home, &modules, pin.folder(), &|input| {
            plain.iter().any(|plain| plain == input)
        })
    }

    /// The inputs of git modules without a `flake.nix`. What is locked is known; otherwise Nix is asked, and the person
    /// then chooses from what it finds.
    async fn plain_modules(&mut self, nix: &Nix, locked: &Locked) -> Result<Vec<String>, MachineError> {
        let mut plain = Vec::new();
        for index in 0..self.definition.modules.len() {
            let Some(Module { input, source, .. }) = self.definition.modules.get(index).cloned() else {
                break;
            };
            let SourceKind::Git(url) = &source.kind else { continue };
            if source.output.is_some() || plain.contains(&input) {
                continue;
            }
            match locked.is_flake(&input) {
                Some(false) => plain.push(input),
                Some(true) => {}
                None => {
                    let has_flake = nix.has_flake(url, self.cancel).await;
                    if !self.nix_done(has_flake)? {
                        plain.push(input.clone());
                    }
                }
            }
        }
        Ok(plain)
    }

    async fn copy_modules(&self, flake: &Flake) -> Result<(), MachineError> {
        let folder = self.folder.modules();
        remove_folder(&folder)?;
        make_folder(&folder)?;
        for copied in flake.copies.clone() {
            let cancel = self.cancel.clone();
            let scope = snapshot::Scope::of(&copied.root, self.machines.paths());
            // The thread keeps the machine locked for as long as it writes.
            let lock = Arc::clone(&self.lock);
            let copying = tokio::task::spawn_blocking(move || {
                let _lock = lock;
                snapshot::take(&copied.root, &copied.copy, scope, &cancel)
            });
            copying
                .await
                .map_err(|e| crate::files::io_error("Copying to", &folder, std::io::Error::other(e)))??;
        }
        Ok(())
    }
}

/// Progress as a person reads it, and in percent.
fn describe(progress: &Progress) -> (String, Option<u8>) {
    let Progress { built, copied, current, .. } = progress;
    let mut parts = Vec::new();
    if built.expected > 0 {
        parts.push(format!("{} of {} built", built.done, built.expected));
    }
    if copied.expected > 0 {
        parts.push(format!("{} of {} fetched", copied.done, copied.expected));
    }
    if !current.is_empty() {
        let now = if parts.is_empty() { current.clone() } else { format!("now {current}") };
        parts.push(now);
    }
    let (done, expected) = (built.done + copied.done, built.expected + copied.expected);
    let percent = (done * 100).checked_div(expected).map(|p| u8::try_from(p.min(100)).unwrap_or(100));
    (parts.join(", "), percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use codchi_nix::Activity;

    #[test]
    fn progress_says_how_much_of_what_is_done_and_what_is_under_way() {
        let progress = Progress {
            built: Activity { done: 3, expected: 17 },
            current: "hello-2.12".into(),
            ..Progress::default()
        };
        assert_eq!(describe(&progress), ("3 of 17 built, now hello-2.12".into(), Some(17)));
        assert_eq!(describe(&Progress::default()), (String::new(), None));
    }
}
