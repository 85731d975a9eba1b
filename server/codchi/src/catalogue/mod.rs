//! The options and packages of each nixpkgs that a module uses: worked out once by Nix, kept on the disk, shared between
//! processes, answered from there.
//!
//! What a nixpkgs declares and what a flake's own modules declare are kept apart, so that a change of the latter costs
//! only the latter. At most one of them is worked out at a time on this computer. In memory are names; documentation is
//! read from the file when it is asked for.

mod build;
mod error;
mod folder;
mod known;
mod packages;
mod questions;
mod surveyor;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use error::CatalogueError;
pub(crate) use questions::Questions;
pub(crate) use surveyor::ThisComputer;

use build::Builder;
use codchi_ide::Catalogue;
use codchi_machine::{CancellationToken, Leftover};
use codchi_nix::{InspectedModule, Limits, Survey, SurveyQuestion, read_options};
use folder::{Entry, Folder, Key};
use known::{Base, Known};
use questions::Asked;
use std::collections::HashMap;
use std::io::{self, Seek as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use surveyor::Surveyor;
use table::Table;
use tokio::sync::mpsc;

/// All of NixOS takes some 10 s; on a slow and busy computer ten times that. It maps 1 to 2 GiB, its collector may reserve
/// more. The answer has some 20 MB.
const NIXPKGS: Limits = Limits { time: Duration::from_secs(300), memory: 6 << 30, output: 256 << 20 };

/// A flake's own modules, without NixOS.
const OWN: Limits = Limits { time: Duration::from_secs(60), memory: 3 << 30, output: 32 << 20 };

/// So many own modules are looked at.
const MOST_MODULES: usize = 500;

/// The options and packages of each nixpkgs that a module uses.
pub(crate) struct Catalogues {
    folder: Folder,
    surveyor: Arc<dyn Surveyor>,
    questions: mpsc::UnboundedSender<Asked>,
    /// Those that something still uses.
    known: Mutex<HashMap<Key, Weak<Base>>>,
}

impl Catalogues {
    /// Keeps them below the user's cache folder. The questions that come up later want to be answered.
    pub(crate) fn new(cache: &Path, surveyor: Arc<dyn Surveyor>) -> (Self, Questions) {
        let folder = Folder::new(cache);
        let (sender, receiver) = mpsc::unbounded_channel();
        let questions = Questions::new(folder.clone(), surveyor.clone(), receiver);
        (Self { folder, surveyor, questions: sender, known: Mutex::default() }, questions)
    }

    /// The catalogue of the nixpkgs at `path`, together with what these modules declare: from the disk, else worked out.
    ///
    /// # Errors
    /// Where the nixpkgs does not say what it has. Modules that do not are left out.
    pub(crate) async fn of(
        &self,
        path: &Path,
        revision: &str,
        own: &[InspectedModule],
        cancel: &CancellationToken,
    ) -> Result<Arc<dyn Catalogue>, CatalogueError> {
        let base = self.base(path, revision, cancel).await?;
        let own = match self.own(&base, own, cancel).await {
            Ok(own) => own,
            Err(CatalogueError::Cancelled) => return Err(CatalogueError::Cancelled),
            Err(error) => {
                let error = crate::error::report(&error);
                tracing::info!("options that your own modules declare are not completed: {error}");
                None
            }
        };
        Ok(Arc::new(Known::new(base, own)))
    }

    /// What a nixpkgs itself has.
    async fn base(
        &self,
        path: &Path,
        revision: &str,
        cancel: &CancellationToken,
    ) -> Result<Arc<Base>, CatalogueError> {
        let key = Key::of([b"nixpkgs".as_slice(), revision.as_bytes()]);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a collision of hashes, the same revision at another place: only places would differ.
        let before = known().get(&key).and_then(Weak::upgrade).filter(|base| base.path() == path);
        let entry = self.folder.entry(&key);
        if let Some(base) = before {
            // Many states of own modules may be kept since; they are of no use without it.
            let _ = tokio::task::spawn_blocking(move || entry.touch()).await;
            return Ok(base);
        }
        let question = || SurveyQuestion::Options;
        let table = self.table(&entry, path, question, NIXPKGS, cancel).await?;
        let base = Base::new(key.clone(), path, table, entry, self.questions.clone());
        let mut known = known();
        known.retain(|_, base| base.strong_count() > 0);
        known.insert(key, Arc::downgrade(&base));
        Ok(base)
    }

    /// What modules declare besides; `None` where that is nothing.
    async fn own(
        &self,
        base: &Base,
        modules: &[InspectedModule],
        cancel: &CancellationToken,
    ) -> Result<Option<(Key, Table)>, CatalogueError> {
        let modules = modules.iter().take(MOST_MODULES).cloned().collect();
        let declaring = tokio::task::spawn_blocking(move || declaring(modules)).await;
        // A panic is logged by the hook.
        let declaring = declaring.unwrap_or_default();
        if declaring.is_empty() {
            return Ok(None);
        }
        let mut parts = vec![b"own".as_slice(), base.key().as_str().as_bytes()];
        for (module, text) in &declaring {
            let (path, output) = match module {
                InspectedModule::File(file) => (file, None),
                InspectedModule::Output { folder, output } => (folder, output.as_deref()),
            };
            parts.extend([
                path.as_os_str().as_encoded_bytes(),
                output.unwrap_or_default().as_bytes(),
                text.as_bytes(),
            ]);
        }
        let key = Key::of(parts);
        let entry = self.folder.entry(&key);
        let question = || SurveyQuestion::Own(declaring.into_iter().map(|(module, _)| module).collect());
        let table = self.table(&entry, base.path(), question, OWN, cancel).await?;
        Ok(Some((key, table)).filter(|(_, table)| !table.is_empty()))
    }

    /// The table of an entry; made where there is none, or a damaged one.
    async fn table(
        &self,
        entry: &Entry,
        nixpkgs: &Path,
        question: impl FnOnce() -> SurveyQuestion,
        limits: Limits,
        cancel: &CancellationToken,
    ) -> Result<Table, CatalogueError> {
        if let Some(table) = open(entry, nixpkgs).await {
            return Ok(table);
        }
        let _lock = self.folder.lock(cancel).await?;
        // Another process may have been at it.
        if let Some(table) = open(entry, nixpkgs).await {
            return Ok(table);
        }
        if let Some(why) = entry.failed() {
            return Err(CatalogueError::Before(why));
        }
        let survey = Survey { nixpkgs: nixpkgs.to_owned(), question: question(), limits };
        let answer = entry.new_file()?;
        let left_out = match self.surveyor.survey(&survey, answer.as_file(), cancel).await {
            Ok(left_out) => left_out,
            Err(error) => {
                let error = CatalogueError::from(error);
                // One that was collected meanwhile does not say what it has.
                if error.is_lasting() && nixpkgs.exists() {
                    entry.set_failed(&crate::error::report(&error));
                }
                return Err(error);
            }
        };
        if !left_out.is_empty() {
            tracing::info!(
                "of the options, these are left out as they do not evaluate: {}",
                left_out.join("; ")
            );
        }
        let (kept, root, folder) = (entry.clone(), nixpkgs.to_owned(), self.folder.clone());
        let built = tokio::task::spawn_blocking(move || {
            let table = build(&kept, answer.into_file(), &root)?;
            folder.tidy();
            Ok::<_, io::Error>(table)
        });
        match built.await {
            Ok(table) => Ok(table?),
            Err(panic) => Err(io::Error::other(panic).into()),
        }
    }
}

/// What of the catalogues below the user's cache folder nothing uses. Blocking.
pub(crate) fn leftovers(cache: &Path) -> Vec<Leftover> {
    Folder::new(cache).unused()
}

/// The table of an entry, where there is a whole one.
async fn open(entry: &Entry, root: &Path) -> Option<Table> {
    let (entry, root) = (entry.clone(), root.to_owned());
    let opened = tokio::task::spawn_blocking(move || match Table::open(&entry.options(), &root) {
        Ok(table) => {
            entry.touch();
            Some(table)
        }
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::info!("{} is made anew: {error}", entry.options().display());
            }
            None
        }
    });
    opened.await.ok().flatten()
}

/// Makes the table of an entry of Nix's answer.
fn build(entry: &Entry, mut answer: std::fs::File, root: &Path) -> io::Result<Table> {
    answer.rewind()?;
    let mut builder = Builder::new(entry.new_file()?, root)?;
    read_options(answer, &mut |option| builder.add(option))?;
    entry.keep(builder.finish()?, &entry.options())?;
    Table::open(&entry.options(), root)
}

/// The modules whose text declares options, each with it.
fn declaring(modules: Vec<InspectedModule>) -> Vec<(InspectedModule, String)> {
    let file = |module: &InspectedModule| match module {
        InspectedModule::File(file) => file.clone(),
        InspectedModule::Output { folder, .. } => folder.join("flake.nix"),
    };
    let with_text = modules.into_iter().filter_map(|module| {
        let text = crate::files::read(&file(&module)).ok()?;
        Some((module, text))
    });
    let declares = |text: &str| {
        text.contains("options")
            && ["mkOption", "mkEnableOption", "mkPackageOption"].iter().any(|word| text.contains(word))
    };
    with_text.filter(|(_, text)| declares(text)).collect()
}
