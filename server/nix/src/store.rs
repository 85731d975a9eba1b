//! What the store holds, and what a build would bring into it.

use crate::{CancellationToken, Nix, NixError, inside};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Paths of the store, each with its size in bytes where Nix knows it.
pub type Closure = BTreeMap<PathBuf, Option<u64>>;

/// What a build would do, as far as that is known before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Planned {
    /// The derivations that it would build.
    pub builds: Vec<PathBuf>,
    /// The paths that it would fetch.
    pub fetches: Vec<PathBuf>,
    /// How much it would fetch, in Nix's words, e.g. `1.20 MiB download, 5.31 MiB unpacked`.
    pub size: Option<String>,
}

impl Planned {
    /// Whether all is there already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.builds.is_empty() && self.fetches.is_empty()
    }
}

impl Nix {
    /// Everything that `path` needs, itself included.
    ///
    /// # Errors
    /// [`NixError::Failed`] where it is not in the store, and the others.
    pub async fn closure(&self, path: &Path, cancel: &CancellationToken) -> Result<Closure, NixError> {
        let mut command = self.command(&["path-info", "--recursive", "--json"]);
        command.arg(&*inside(path));
        let value: Value = self.json(command, "nix path-info", cancel).await?;
        Ok(closure(&value))
    }

    /// The path of `installable`'s output, which need not be there, and what building it would do.
    ///
    /// # Errors
    /// [`NixError::Failed`] where it does not evaluate, and the others.
    pub async fn planned(
        &self,
        installable: &str,
        cancel: &CancellationToken,
    ) -> Result<(PathBuf, Planned), NixError> {
        const OUT: &str = ".outPath";
        let mut lines = Vec::new();
        let mut command = self.command(&["build", "--dry-run", "--no-link", "--no-write-lock-file"]);
        command.arg(installable);
        self.listen(command, "nix build --dry-run", &mut |line| lines.push(line.to_owned()), cancel).await?;
        let out = self.eval(&format!("{installable}{OUT}"), cancel).await?;
        Ok((out, planned(lines.iter().map(String::as_str))))
    }

    /// Builds `installable`, with a link at `link` that keeps it from being collected.
    ///
    /// # Errors
    /// [`NixError::Failed`] with the failed derivation, and the others.
    pub async fn build_at(
        &self,
        installable: &str,
        link: &Path,
        log: &mut (dyn FnMut(&str) + Send),
        cancel: &CancellationToken,
    ) -> Result<(), NixError> {
        let mut command = self.command(&["build", "--no-write-lock-file", "--out-link"]);
        command.arg(&*inside(link)).arg(installable);
        self.listen(command, "nix build", log, cancel).await
    }
}

/// Reads `nix path-info --json`: a list of paths with their size in old versions, a set by path in newer ones.
fn closure(value: &Value) -> Closure {
    let size = |info: &Value| info.get("narSize").and_then(Value::as_u64);
    match value {
        Value::Array(infos) => {
            let path = |info: &Value| Some((info.get("path")?.as_str()?.into(), size(info)));
            infos.iter().filter_map(path).collect()
        }
        Value::Object(infos) => infos.iter().map(|(path, info)| (path.into(), size(info))).collect(),
        _ => Closure::new(),
    }
}

/// Reads what `nix build --dry-run` says: two lists of indented paths, each below its heading.
fn planned<'a>(lines: impl Iterator<Item = &'a str>) -> Planned {
    let mut planned = Planned::default();
    let mut fetched = false;
    for line in lines {
        if line.contains("will be built") {
            fetched = false;
        } else if line.contains("will be fetched") {
            fetched = true;
            planned.size =
                line.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(size, _)| size.into());
        } else if line.starts_with(' ') && line.trim_start().starts_with('/') {
            let list = if fetched { &mut planned.fetches } else { &mut planned.builds };
            list.push(line.trim().into());
        }
    }
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_versions_tell_the_same_closure() {
        let old =
            serde_json::json!([{ "path": "/nix/store/a-x", "narSize": 3 }, { "path": "/nix/store/b-y" }]);
        let new = serde_json::json!({ "/nix/store/a-x": { "narSize": 3 }, "/nix/store/b-y": null });
        assert_eq!(closure(&old), closure(&new));
        assert_eq!(closure(&old)[Path::new("/nix/store/a-x")], Some(3));
    }

    #[test]
    fn what_would_be_built_and_fetched_is_told_apart() {
        let text = "these 2 derivations will be built:\n  /nix/store/a.drv\n  /nix/store/b.drv\nthis path will be fetched \
                    (1.20 MiB download, 5.31 MiB unpacked):\n  /nix/store/c-1.0\nwarning: /nix/store/d";
        let planned = planned(text.lines());
        assert_eq!(planned.builds, [Path::new("/nix/store/a.drv"), Path::new("/nix/store/b.drv")]);
        assert_eq!(planned.fetches, [Path::new("/nix/store/c-1.0")]);
        assert_eq!(planned.size.as_deref(), Some("1.20 MiB download, 5.31 MiB unpacked"));
        assert!(super::planned("".lines()).is_empty());
    }
}
