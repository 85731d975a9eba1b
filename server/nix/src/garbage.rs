//! What keeps paths in the store, what nothing keeps, and collecting that.

use crate::elsewhere::outside;
use crate::process::{self, Listener};
use crate::{CancellationToken, Closure, Nix, NixError, inside};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// So many paths a process is asked about at once: what a command line may hold is limited.
const AT_ONCE: usize = 5000;

/// Something that keeps a path of the store, and all that this needs, from being collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// A link on this computer, or a process; in Nix's words where those of others are not told.
    pub by: PathBuf,
    /// The path in the store.
    pub path: PathBuf,
}

impl Nix {
    /// All that keeps something in the store.
    ///
    /// # Errors
    /// [`NixError`].
    pub async fn roots(&self, cancel: &CancellationToken) -> Result<Vec<Root>, NixError> {
        let text =
            self.store(&["--gc", "--print-roots"], &[], "nix-store --gc --print-roots", cancel).await?;
        Ok(text.lines().filter_map(root).collect())
    }

    /// The paths that nothing keeps, each with its size in bytes where Nix knows it.
    ///
    /// # Errors
    /// [`NixError`].
    pub async fn garbage(&self, cancel: &CancellationToken) -> Result<Closure, NixError> {
        let text = self.store(&["--gc", "--print-dead"], &[], "nix-store --gc --print-dead", cancel).await?;
        let dead: Vec<PathBuf> = text.lines().filter(|line| line.starts_with('/')).map(Into::into).collect();
        self.sizes(&dead, cancel).await
    }

    /// What only these links keep: it would be garbage without them. The derivations that it was built by are not counted.
    ///
    /// # Errors
    /// [`NixError`].
    pub async fn kept_only_by(
        &self,
        links: &[PathBuf],
        cancel: &CancellationToken,
    ) -> Result<Closure, NixError> {
        let links: BTreeSet<PathBuf> = links.iter().map(|link| resolved(link)).collect();
        let (gone, staying): (Vec<Root>, Vec<Root>) =
            self.roots(cancel).await?.into_iter().partition(|root| links.contains(&resolved(&root.by)));
        let paths = |roots: Vec<Root>| -> Vec<PathBuf> {
            let paths: BTreeSet<PathBuf> = roots.into_iter().map(|root| root.path).collect();
            paths.into_iter().collect()
        };
        let (gone, staying) =
            (self.valid(&paths(gone), cancel).await?, self.valid(&paths(staying), cancel).await?);
        let needed = self.requisites(&gone, cancel).await?;
        let kept = self.requisites(&staying, cancel).await?;
        let only: Vec<PathBuf> = needed.difference(&kept).cloned().collect();
        self.sizes(&only, cancel).await
    }

    /// Each of `paths` with its size in bytes, without what it needs; one that was never finished has none.
    ///
    /// # Errors
    /// [`NixError`].
    pub async fn sizes(&self, paths: &[PathBuf], cancel: &CancellationToken) -> Result<Closure, NixError> {
        let mut sized: Closure = paths.iter().map(|path| (path.clone(), None)).collect();
        for some in paths.chunks(AT_ONCE) {
            let valid = self.valid(some, cancel).await?;
            if valid.is_empty() {
                continue;
            }
            // Not `nix path-info`, which takes a derivation for its outputs in some versions.
            let text = self.store(&["--query", "--size"], &valid, "nix-store --query --size", cancel).await?;
            sized.extend(valid.into_iter().zip(text.lines().map(|size| size.trim().parse().ok())));
        }
        Ok(sized)
    }

    /// Those of `paths` that are whole: asked about one that is not, Nix tells of none.
    async fn valid(&self, paths: &[PathBuf], cancel: &CancellationToken) -> Result<Vec<PathBuf>, NixError> {
        const CHECK: [&str; 2] = ["--check-validity", "--print-invalid"];
        let mut valid = Vec::new();
        for some in paths.chunks(AT_ONCE) {
            let text = self.store(&CHECK, some, "nix-store --check-validity", cancel).await?;
            let invalid: BTreeSet<&Path> = text.lines().map(Path::new).collect();
            valid.extend(some.iter().filter(|path| !invalid.contains(path.as_path())).cloned());
        }
        Ok(valid)
    }

    /// All that `paths` need, themselves included.
    ///
    /// # Errors
    /// [`NixError::Failed`] where one is not in the store, and the others.
    pub async fn requisites(
        &self,
        paths: &[PathBuf],
        cancel: &CancellationToken,
    ) -> Result<BTreeSet<PathBuf>, NixError> {
        let mut all = BTreeSet::new();
        for some in paths.chunks(AT_ONCE) {
            const QUERY: [&str; 2] = ["--query", "--requisites"];
            let text = self.store(&QUERY, some, "nix-store --query --requisites", cancel).await?;
            all.extend(text.lines().map(PathBuf::from));
        }
        Ok(all)
    }

    /// Collects what nothing keeps; what Nix says about it last, e.g. `3 store paths deleted, 1.20 MiB freed`.
    ///
    /// # Errors
    /// [`NixError`].
    pub async fn collect_garbage(
        &self,
        log: &mut (dyn FnMut(&str) + Send),
        cancel: &CancellationToken,
    ) -> Result<Option<String>, NixError> {
        let mut listener = Listener { progress: &mut |_| {}, log };
        let command = self.command(&["store", "gc"]);
        let printed = process::run(command, "nix store gc", &mut listener, cancel).await?;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        Ok(printed.lines().rfind(|line| line.contains("freed")).map(|line| line.trim().to_owned()))
    }

    /// What `nix-store`, which lies beside `nix`, prints.
    async fn store(
        &self,
        arguments: &[&str],
        paths: &[PathBuf],
        what: &str,
        cancel: &CancellationToken,
    ) -> Result<String, NixError> {
        let mut command: Command = self.sibling("nix-store");
        command.args(arguments).args(paths.iter().map(|path| inside(path).into_owned()));
        let printed = self.quiet(command, what, cancel).await?;
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}

/// A link by a path without other links in it, so that two ways to name it are the same.
fn resolved(link: &Path) -> PathBuf {
    let folder = link.parent().and_then(|folder| folder.canonicalize().ok());
    folder.zip(link.file_name()).map_or_else(|| link.to_owned(), |(folder, name)| folder.join(name))
}

/// Reads `LINK -> PATH`.
fn root(line: &str) -> Option<Root> {
    let (by, path) = line.rsplit_once(" -> ")?;
    let path = Path::new(path.trim());
    // Of Nix: on Windows it begins with no drive, and is not called absolute.
    path.has_root().then(|| Root { by: outside(by).into_owned(), path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_a_link_whatever_it_is_called_or_what_nix_calls_it() {
        let read = |line| root(line).map(|root| (root.by, root.path));
        let is = |by: &str, path: &str| Some((PathBuf::from(by), PathBuf::from(path)));
        assert_eq!(read("/home/a -> b/link -> /nix/store/x"), is("/home/a -> b/link", "/nix/store/x"));
        assert_eq!(read("{censored} -> /nix/store/x"), is("{censored}", "/nix/store/x"));
        assert_eq!(read("finding garbage collector roots..."), None);
    }
}
