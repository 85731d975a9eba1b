//! Freeing disk space: what there is of codchi's that nothing needs any more, told first and freed then.
//!
//! Invariant: what is told is looked at again when it is freed, under the lock of whoever may use it.

mod leftovers;
mod text;

pub use leftovers::{Guard, Leftover};
pub(crate) use text::bytes;

use crate::state::{Lock, MachineFolder, machine_names};
use crate::status::sentence;
use crate::store::root_inside;
use crate::{CancellationToken, Discard, Front, LogLevel, MachineError, MachineName, Machines, StoreKind};
use codchi_driver::Image;
use codchi_nix::{Closure, Nix};
use std::path::PathBuf;

/// What nothing needs any more: the JSON of `codchi gc --dry-run --json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Garbage {
    /// Generations that are older than what is kept.
    pub generations: Vec<OldGenerations>,
    /// The bytes in the Nix store that only they keep from being collected; `None` where that is not known.
    pub generations_bytes: Option<u64>,
    /// Files and folders that something interrupted, or another version of codchi, has left.
    pub leftovers: Vec<Leftover>,
    /// Images of the engine that no instance is created from any more.
    pub images: Vec<Image>,
    /// What nothing keeps in the Nix store; `None` where nobody asked for it.
    pub store: Option<Unused>,
    /// What may not be needed and stays nevertheless, and why, as sentences.
    pub stays: Vec<String>,
}

/// Generations of a machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OldGenerations {
    /// The machine.
    pub machine: MachineName,
    /// Their numbers.
    pub numbers: Vec<u32>,
}

/// Paths of the Nix store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Unused {
    /// How many.
    pub paths: usize,
    /// How large those are that Nix knows the size of.
    pub bytes: u64,
}

/// What was freed: the JSON of `codchi gc --yes --json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Freed {
    /// Generations that are gone.
    pub generations: Vec<OldGenerations>,
    /// The bytes of the files, folders and images that are gone.
    pub bytes: u64,
    /// What Nix says about the collection of its store, where that was asked for.
    pub store: Option<String>,
    /// What could not be freed, and why, as sentences.
    pub failed: Vec<String>,
}

impl Garbage {
    /// Whether there is nothing to free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let in_store = self.store.is_some_and(|unused| unused.paths > 0);
        self.generations.is_empty() && self.leftovers.is_empty() && self.images.is_empty() && !in_store
    }
}

impl Machines {
    /// What of all machines, of the engine and of codchi's own folders nothing needs any more, together with leftovers that
    /// only the caller knows of. With `store` also what nothing at all keeps in the Nix store, which is not codchi's alone.
    ///
    /// # Errors
    /// Where the machines cannot be listed, and where `cancel` is cancelled; what else cannot be looked at stays, and is told.
    pub async fn garbage(
        &self,
        which: &Discard,
        store: bool,
        known: Vec<Leftover>,
        cancel: &CancellationToken,
    ) -> Result<Garbage, MachineError> {
        let mut garbage = Garbage::default();
        let (mut links, mut links_in_instance) = (Vec::new(), Vec::new());
        for name in machine_names(self.paths())? {
            match self.old_generations(&name, which).await {
                Ok(numbers) if numbers.is_empty() => {}
                Ok(numbers) => {
                    let folder = MachineFolder::new(self.paths(), &name);
                    let of_machine = numbers.iter().map(|number| folder.generation_link(*number));
                    match folder.definition() {
                        Ok(Some(definition)) if definition.store == StoreKind::Instance => links_in_instance
                            .extend(of_machine.flat_map(|link| [root_inside(self.paths(), &link), link])),
                        _ => links.extend(of_machine),
                    }
                    garbage.generations.push(OldGenerations { machine: name, numbers });
                }
                Err(error) => garbage.stays.push(format!(
                    "The generations of {name}: {}",
                    sentence(&error, error.hint().as_deref())
                )),
            }
        }
        let paths = self.paths().clone();
        let left = tokio::task::spawn_blocking(move || leftovers::of(&paths)).await;
        // A panic is logged by the hook.
        garbage.leftovers = left.unwrap_or_default().into_iter().chain(known).collect();
        match self.idle() {
            Ok(()) => match self.driver().unused_images().await {
                Ok(images) => garbage.images = images,
                Err(error) => garbage.stays.push(format!("Images: {}", sentence(&error, None))),
            },
            Err(why) => garbage.stays.push(format!("Images of the engine: {why}")),
        }
        let mut sizes = Vec::new();
        if store || !links.is_empty() {
            match self.in_store(store, &links, cancel).await {
                Ok((only_theirs, unused)) => {
                    sizes.push(Some(total(&only_theirs)));
                    garbage.store = unused;
                }
                Err(MachineError::Cancelled) => return Err(MachineError::Cancelled),
                Err(error) => {
                    sizes.push(None);
                    let why = sentence(&error, error.hint().as_deref());
                    garbage.stays.push(format!("The Nix store: {why}"));
                }
            }
        }
        if !links_in_instance.is_empty() {
            match self.in_store_instance(&links_in_instance, cancel).await {
                Ok(only_theirs) => sizes.push(Some(total(&only_theirs))),
                Err(MachineError::Cancelled) => return Err(MachineError::Cancelled),
                Err(error) => {
                    tracing::debug!(%error, "what generations take of the store instance is not known");
                    sizes.push(None);
                }
            }
        }
        // Of a sum nothing may be missing.
        garbage.generations_bytes = if sizes.is_empty() { None } else { sizes.into_iter().sum() };
        Ok(garbage)
    }

    /// Frees what [`Machines::garbage`] has told, as far as nothing needs it now either. What cannot be freed hinders nothing
    /// else.
    ///
    /// # Errors
    /// [`MachineError::Cancelled`]; what was freed by then is gone.
    pub async fn free(
        &self,
        garbage: Garbage,
        front: &dyn Front,
        cancel: &CancellationToken,
    ) -> Result<Freed, MachineError> {
        let mut freed = Freed::default();
        let unless_cancelled = || if cancel.is_cancelled() { Err(MachineError::Cancelled) } else { Ok(()) };
        for OldGenerations { machine, numbers } in garbage.generations {
            unless_cancelled()?;
            match self.discard(&machine, &Discard::Numbers(numbers)).await {
                Ok(numbers) => freed.generations.push(OldGenerations { machine, numbers }),
                Err(error) => freed.failed.push(format!(
                    "The generations of {machine}: {}",
                    sentence(&error, error.hint().as_deref())
                )),
            }
        }
        for leftover in garbage.leftovers {
            unless_cancelled()?;
            match leftover.remove(self.paths()).await {
                Ok(()) => freed.bytes += leftover.bytes,
                Err(error) => freed.failed.push(sentence(&error, None)),
            }
        }
        for image in garbage.images {
            unless_cancelled()?;
            match self.idle() {
                Err(why) => freed.failed.push(format!("The image {}: {why}", image.name)),
                Ok(()) => match self.driver().delete_image(&image).await {
                    Ok(()) => freed.bytes += image.size,
                    Err(error) => freed.failed.push(sentence(&error, None)),
                },
            }
        }
        if garbage.store.is_some() {
            unless_cancelled()?;
            match self.collect(front, cancel).await {
                Ok(said) => freed.store = Some(said),
                Err(MachineError::Cancelled) => return Err(MachineError::Cancelled),
                Err(error) => {
                    freed.failed.push(format!("The Nix store: {}", sentence(&error, error.hint().as_deref())))
                }
            }
        }
        front.event(crate::Event::MachinesChanged);
        Ok(freed)
    }

    /// The numbers of the generations of a machine that are to go; none of one that nobody knows the state of now.
    async fn old_generations(&self, name: &MachineName, which: &Discard) -> Result<Vec<u32>, MachineError> {
        if Lock::is_held(self.paths(), name) {
            return Err(MachineError::User { message: IN_USE.into(), hint: None });
        }
        self.discardable(name, which).await
    }

    /// What is in the Nix store: what only these links keep, and, where asked for, what nothing keeps.
    async fn in_store(
        &self,
        store: bool,
        links: &[PathBuf],
        cancel: &CancellationToken,
    ) -> Result<(Closure, Option<Unused>), MachineError> {
        let nix = Nix::find().await?;
        let told = async |closure: Result<Closure, codchi_nix::NixError>| match closure {
            Err(_) if cancel.is_cancelled() => Err(MachineError::Cancelled),
            closure => Ok(closure?),
        };
        let only_theirs = match links {
            [] => Closure::new(),
            links => told(nix.kept_only_by(links, cancel).await).await?,
        };
        let unused = match store {
            false => None,
            true => {
                let garbage = told(nix.garbage(cancel).await).await?;
                Some(Unused { paths: garbage.len(), bytes: total(&garbage) })
            }
        };
        Ok((only_theirs, unused))
    }

    /// What only these links keep in the store of the store instance, which is started.
    async fn in_store_instance(
        &self,
        links: &[PathBuf],
        cancel: &CancellationToken,
    ) -> Result<Closure, MachineError> {
        let nix = self.nix_of(StoreKind::Instance, &|_| {}, cancel).await?;
        match nix.kept_only_by(links, cancel).await {
            Err(_) if cancel.is_cancelled() => Err(MachineError::Cancelled),
            closure => Ok(closure?),
        }
    }

    async fn collect(&self, front: &dyn Front, cancel: &CancellationToken) -> Result<String, MachineError> {
        self.idle().map_err(|why| MachineError::User { message: why, hint: None })?;
        let nix = Nix::find().await?;
        let mut log =
            |line: &str| front.event(crate::Event::Log { level: LogLevel::Info, line: line.to_owned() });
        match nix.collect_garbage(&mut log, cancel).await {
            Err(_) if cancel.is_cancelled() => Err(MachineError::Cancelled),
            said => Ok(said?.unwrap_or_else(|| "the garbage of the Nix store is collected".into())),
        }
    }

    /// Whether no operation is under way: one that creates an instance is about to need an image, and one that builds has
    /// things in the store that nothing keeps yet.
    fn idle(&self) -> Result<(), String> {
        match Lock::held(self.paths()) {
            held if held.is_empty() => Ok(()),
            held => {
                let names: Vec<String> = held.iter().map(|name| format!("`{name}`")).collect();
                Err(format!("an operation is under way on {}.", names.join(", ")))
            }
        }
    }
}

/// Why something of a machine stays.
const IN_USE: &str = "An operation is under way";

fn total(closure: &Closure) -> u64 {
    closure.values().flatten().sum()
}
