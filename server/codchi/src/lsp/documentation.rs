//! The documentation of the diagnostics, which editors link to: the page of this very version, kept beside our caches, so
//! that a link works without a network and never tells of another version.

use codchi_machine::{Guard, Leftover, Paths};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PAGE: &str = include_str!("../../../../docs/diagnostics.md");

/// Where the page is.
pub(crate) fn path(paths: &Paths) -> PathBuf {
    paths.cache.join("docs").join(concat!("diagnostics-", env!("CARGO_PKG_VERSION"), ".md"))
}

/// The pages of other versions, and what was not written to its end. Blocking.
pub(crate) fn leftovers(paths: &Paths) -> Vec<Leftover> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let current = path(paths);
    let is_old = |path: &PathBuf| {
        let written = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
        written.and_then(|written| written.elapsed().ok()).is_some_and(|age| age > DAY)
    };
    let pages = std::fs::read_dir(paths.cache.join("docs")).into_iter().flatten().flatten();
    let others = pages.map(|page| page.path()).filter(|page| *page != current && is_old(page));
    others.map(|page| Leftover::new(page, "the documentation of another version", Guard::Nobody)).collect()
}

/// The diagnostics' codes, each with what it says in short: the rows of the page's table.
pub(crate) fn codes() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| [`")?.split('|').map(str::trim);
        let (code, _) = cells.next()?.split_once('`')?;
        Some((code, cells.nth(1)?))
    })
}

/// What the page says about a code.
pub(crate) fn section(code: &str) -> &'static str {
    let sections = PAGE.split("\n## ").skip(1);
    let found =
        sections.filter_map(|section| section.split_once('\n')).find(|(title, _)| title.trim() == code);
    found.map(|(_, text)| text.trim()).unwrap_or_default()
}

/// Makes sure that it is there.
pub(crate) fn write(path: &Path) -> io::Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|page| page == PAGE) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Renamed into its place, for another server may write it or an editor read it at the same time.
    let new = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&new, PAGE)?;
    std::fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_has_its_section() {
        assert!(codes().any(|(code, short)| code == "syntax" && short == "the text is not Nix"));
        for (code, _) in codes() {
            assert!(section(code).starts_with("**What.**"), "{code}");
        }
    }

    #[test]
    fn the_page_is_there_and_is_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docs/diagnostics.md");
        for text in [None, Some("of an older build")] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            write(&path).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), PAGE);
        }
        assert_eq!(std::fs::read_dir(folder.path().join("docs")).unwrap().count(), 1);
    }
}
