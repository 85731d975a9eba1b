//! The instance's root file system, from a tar archive or from nothing.

use anyhow::{Context as _, Result, bail};
use codchi_guest::FOLDERS;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use std::fs::{self, DirBuilder, Permissions};
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, EntryType};

/// Lays down what is in `archive` as the new folder `into`; empty folders where it has no byte.
pub(super) fn unpack(archive: impl Read, into: &Path) -> Result<()> {
    DirBuilder::new().mode(0o755).create(into).with_context(|| format!("making {}", into.display()))?;
    let mut archive = BufReader::new(archive);
    if !archive.fill_buf()?.is_empty() {
        return all(archive, into);
    }
    for (name, mode) in FOLDERS {
        let folder = into.join(name);
        fs::create_dir(&folder)
            .and_then(|()| fs::set_permissions(&folder, Permissions::from_mode(mode)))
            .with_context(|| format!("making {}", folder.display()))?;
    }
    Ok(())
}

/// Owners, modes and times are kept.
fn all(archive: impl Read, into: &Path) -> Result<()> {
    let mut archive = Archive::new(archive);
    archive.set_preserve_ownerships(true);
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(true);
    archive.set_unpack_xattrs(false);
    let mut folders: Vec<(PathBuf, u64)> = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry.context("reading the archive")?;
        let path = entry.path()?.into_owned();
        let kind = entry.header().entry_type();
        match kind {
            EntryType::XGlobalHeader => continue,
            EntryType::Directory => folders.push((path.clone(), entry.header().mtime()?)),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {}
            EntryType::Symlink | EntryType::Link => {}
            _ => bail!("{} is of a kind that is not laid down", path.display()),
        }
        if !entry.unpack_in(into).with_context(|| format!("laying down {}", path.display()))? {
            bail!("{} leads out of the root file system", path.display());
        }
    }
    // Only now does nothing more change in them.
    for (folder, time) in folders {
        let parts = folder.components().filter(|part| matches!(part, Component::Normal(_)));
        let path = into.join(parts.collect::<PathBuf>());
        let time = Timespec { tv_sec: i64::try_from(time).unwrap_or(0), tv_nsec: 0 };
        let both = Timestamps { last_access: time, last_modification: time };
        utimensat(CWD, &path, &both, AtFlags::SYMLINK_NOFOLLOW)
            .with_context(|| format!("setting the time of {}", path.display()))?;
    }
    Ok(())
}
