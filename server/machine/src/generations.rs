//! A machine's generations: what each is made of, what changed from one to the next, and which to do without.

use crate::inputs;
use crate::preview::packages;
use crate::state::{Generation, Generations, Lock, MachineFolder, now};
use crate::{
    CancellationToken, Input, InputChange, MachineError, MachineName, Machines, Operation, PackageChanges,
};
use codchi_driver::{Exec, RunState};
use codchi_nix::Closure;
use std::path::PathBuf;

/// A generation of a machine: the JSON of `codchi generations --json`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationStatus {
    /// Its number.
    pub number: u32,
    /// When it became current first, in seconds since 1970.
    pub created: u64,
    /// Whether the machine is this one.
    pub current: bool,
    /// The system in the Nix store.
    pub toplevel: PathBuf,
    /// What it was built of; empty where that is not known.
    pub made_of: Vec<Input>,
    /// The inputs that differ from those of the generation before, where both are known.
    pub input_changes: Vec<InputChange>,
    /// The packages that differ from those of the generation before, where both systems are known to Nix.
    pub package_changes: Option<PackageChanges>,
}

/// Which generations are to go. The current one and the one that the machine was started with always stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discard {
    /// Those with these numbers.
    Numbers(Vec<u32>),
    /// All but the newest so many.
    AllBut(usize),
    /// Those that became current longer ago than so many seconds.
    OlderThan(u64),
}

impl GenerationStatus {
    /// What changed against the generation before, in a line; empty for the first, or where nothing is known.
    #[must_use]
    pub fn changes(&self) -> String {
        let mut parts = Vec::new();
        if let Some(changes) = &self.package_changes {
            let counts = [
                (changes.added.len(), "added"),
                (changes.upgraded.len(), "upgraded"),
                (changes.removed.len(), "removed"),
            ];
            parts.extend(
                counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, verb)| {
                    format!("{count} package{} {verb}", if count == 1 { "" } else { "s" })
                }),
            );
        }
        parts.extend(self.input_changes.iter().map(|change| format!("{} {}", change.name, change.how())));
        parts.join("; ")
    }
}

impl Machines {
    /// The generations of a machine, the oldest first.
    ///
    /// # Errors
    /// Where there is no such machine or its files cannot be read, and where `cancel` is cancelled.
    pub async fn generations(
        &self,
        name: &MachineName,
        cancel: &CancellationToken,
    ) -> Result<Vec<GenerationStatus>, MachineError> {
        let folder = MachineFolder::new(self.paths(), name);
        if !folder.exists() {
            return Err(self.unknown(name));
        }
        let generations = folder.generations()?;
        // A list without packages is still one.
        let store = folder.definition()?.map(|definition| definition.store).unwrap_or_default();
        let nix = self.nix_at_hand(store).await;
        let mut list = Vec::new();
        let mut before: Option<(&Generation, Option<Closure>)> = None;
        for generation in generations.all() {
            let closure = match &nix {
                Some(nix) => nix.closure(&generation.toplevel, cancel).await.ok(),
                None => None,
            };
            if cancel.is_cancelled() {
                return Err(MachineError::Cancelled);
            }
            list.push(GenerationStatus {
                number: generation.number,
                created: generation.created,
                current: generations.current() == Some(generation),
                toplevel: generation.toplevel.clone(),
                made_of: generation.made_of.clone(),
                input_changes: match before {
                    Some((earlier, _)) if !earlier.made_of.is_empty() && !generation.made_of.is_empty() => {
                        inputs::compare(&earlier.made_of, &generation.made_of)
                    }
                    _ => Vec::new(),
                },
                package_changes: before
                    .as_ref()
                    .and_then(|(_, earlier)| Some(packages::compare(earlier.as_ref()?, closure.as_ref()?))),
            });
            before = Some((generation, closure));
        }
        Ok(list)
    }

    /// Forgets generations, so that Nix may collect their systems; gives the numbers of those that went.
    ///
    /// # Errors
    /// Where one that is named is not there, is current, or is what the machine was started with; then none went.
    pub async fn discard(&self, name: &MachineName, which: &Discard) -> Result<Vec<u32>, MachineError> {
        let folder = MachineFolder::new(self.paths(), name);
        if !folder.exists() {
            return Err(self.unknown(name));
        }
        let _lock = Lock::take(self.paths(), name, Operation::Rollback).await?;
        settled(name, &folder)?;
        let mut generations = folder.generations()?;
        let gone = self.gone(name, &generations, which).await?;
        if !gone.is_empty() {
            generations.forget(|generation| gone.contains(&generation.number));
            // The list first: a link that nothing names any more goes with the next undoing.
            folder.write_generations(&generations)?;
            folder.reset_profile(generations.current().map(|generation| generation.number))?;
        }
        Ok(gone)
    }

    /// The numbers of the generations that [`Machines::discard`] would forget now.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn discardable(
        &self,
        name: &MachineName,
        which: &Discard,
    ) -> Result<Vec<u32>, MachineError> {
        let folder = MachineFolder::new(self.paths(), name);
        settled(name, &folder)?;
        self.gone(name, &folder.generations()?, which).await
    }

    /// Which generations go; the machine is asked only where some may.
    async fn gone(
        &self,
        name: &MachineName,
        generations: &Generations,
        which: &Discard,
    ) -> Result<Vec<u32>, MachineError> {
        if discarded(name, generations, None, which)?.is_empty() {
            return Ok(Vec::new());
        }
        let booted = self.booted(name, generations).await?;
        discarded(name, generations, booted.as_deref(), which)
    }

    /// The system with which a running machine was started; `None` for one that does not run.
    async fn booted(
        &self,
        name: &MachineName,
        generations: &Generations,
    ) -> Result<Option<String>, MachineError> {
        let folder = MachineFolder::new(self.paths(), name);
        let (Some(definition), Some(current)) = (folder.definition()?, generations.current()) else {
            return Ok(None);
        };
        let instance = crate::instance::instance_name(name)?;
        let found = crate::instance::own_instance(self.driver().as_ref(), &instance, &definition).await?;
        if found.is_none_or(|found| found.state != RunState::Running) {
            return Ok(None);
        }
        let exec = Exec::root([current.path("sw/bin/readlink").as_str(), "-f", "/run/booted-system"]);
        let output = self.driver().run(&instance, &exec, &[]).await?;
        let booted = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && !booted.is_empty() {
            return Ok(Some(booted));
        }
        Err(MachineError::User {
            message: format!("`{name}` runs but does not say with which generation it was started"),
            hint: Some(format!("Stop it with `codchi stop {name}`, then try again.")),
        })
    }
}

/// Refuses a machine of which an operation was interrupted: what its generations are is not known before that is undone.
fn settled(name: &MachineName, folder: &MachineFolder) -> Result<(), MachineError> {
    match folder.journal()? {
        None => Ok(()),
        Some(journal) => Err(MachineError::User {
            message: format!("An earlier {} of `{name}` was interrupted", journal.operation),
            hint: Some(format!("`codchi rebuild {name}` finishes or undoes it first.")),
        }),
    }
}

/// Which generations go.
fn discarded(
    name: &MachineName,
    generations: &Generations,
    booted: Option<&str>,
    which: &Discard,
) -> Result<Vec<u32>, MachineError> {
    let current = generations.current().map(|generation| generation.number);
    let is_booted = |g: &Generation| booted.is_some_and(|booted| g.toplevel.as_os_str() == booted);
    let stays = |g: &Generation| Some(g.number) == current || is_booted(g);
    let all = generations.all();
    let goes: Vec<&Generation> = match which {
        Discard::Numbers(numbers) => {
            for &number in numbers {
                let refused =
                    |message: String, hint: String| MachineError::User { message, hint: Some(hint) };
                let Some(generation) = generations.numbered(number) else {
                    return Err(refused(
                        format!("`{name}` has no generation {number}"),
                        format!("`codchi generations {name}` lists those that it has."),
                    ));
                };
                if Some(number) == current {
                    return Err(refused(
                        format!("Generation {number} is what `{name}` is now"),
                        format!("Switch to another one with `codchi rollback {name} GENERATION` first."),
                    ));
                }
                if is_booted(generation) {
                    return Err(refused(
                        format!(
                            "`{name}` was started with generation {number} and still uses programs of it"
                        ),
                        format!("Stop and start it first: `codchi stop {name}`, `codchi start {name}`."),
                    ));
                }
            }
            all.iter().filter(|generation| numbers.contains(&generation.number)).collect()
        }
        Discard::AllBut(kept) => all.iter().rev().skip(*kept).collect(),
        Discard::OlderThan(seconds) => {
            let since = now().saturating_sub(*seconds);
            all.iter().filter(|generation| generation.created < since).collect()
        }
    };
    let mut numbers: Vec<u32> = goes
        .into_iter()
        .filter(|generation| !stays(generation))
        .map(|generation| generation.number)
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Generations 1 to 4, the third one current.
    fn generations() -> Generations {
        let mut generations = Generations::default();
        for number in [1, 2, 4, 3] {
            generations.activate(Generation {
                number,
                toplevel: format!("/nix/store/{number}").into(),
                created: u64::from(number),
                ..Generation::default()
            });
        }
        generations
    }

    fn gone(booted: Option<&str>, which: &Discard) -> Result<Vec<u32>, String> {
        let name = "a".parse().unwrap();
        discarded(&name, &generations(), booted, which).map_err(|error| error.to_string())
    }

    #[test]
    fn the_current_generation_and_the_booted_one_never_go() {
        assert_eq!(gone(None, &Discard::AllBut(0)), Ok(vec![1, 2, 4]));
        assert_eq!(gone(Some("/nix/store/1"), &Discard::AllBut(0)), Ok(vec![2, 4]));
        assert_eq!(gone(Some("/nix/store/1"), &Discard::OlderThan(60)), Ok(vec![2, 4]));
        assert_eq!(gone(None, &Discard::AllBut(3)), Ok(vec![1]));
        assert_eq!(gone(None, &Discard::OlderThan(now())), Ok(vec![]));
    }

    #[test]
    fn one_that_is_named_and_cannot_go_is_told_and_none_goes() {
        let numbers = |numbers: &[u32]| Discard::Numbers(numbers.to_vec());
        assert_eq!(gone(None, &numbers(&[4, 1])), Ok(vec![1, 4]));
        assert_eq!(gone(None, &numbers(&[1, 3])).unwrap_err(), "Generation 3 is what `a` is now");
        assert_eq!(gone(None, &numbers(&[9])).unwrap_err(), "`a` has no generation 9");
        let error = gone(Some("/nix/store/2"), &numbers(&[2])).unwrap_err();
        assert!(error.contains("was started with generation 2"), "{error}");
    }
}
