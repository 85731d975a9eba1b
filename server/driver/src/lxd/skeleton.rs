//! The image of every instance: folders to mount on, and nothing else. What runs comes from the store that is mounted at
//! `/nix`; `/sbin/init`, put into each instance, leads there.
//!
//! The bytes depend on nothing but the architecture, so the image's fingerprint is known before it is imported, and two
//! processes that import it at once import the same one.

use codchi_guest::FOLDERS;
use sha2::{Digest, Sha256};
use std::io;
use tar::{Builder, EntryType, Header};

/// Start of 2024. An image must have a date, and one that never changes.
const CREATED: u64 = 1_704_067_200;

/// What the image says of itself, by which one of another version is known, too.
pub(super) const OS: &str = "codchi";
pub(super) const DESCRIPTION: &str = "codchi, empty root file system";

/// An image as it is imported.
pub(super) struct Skeleton {
    /// A tar archive with metadata and root file system.
    pub(super) archive: Vec<u8>,
    /// By which the engine knows the image: the archive's SHA-256 in hexadecimal.
    pub(super) fingerprint: String,
}

/// The image for `architecture`, in the engine's own words, e.g. `x86_64`.
pub(super) fn skeleton(architecture: &str) -> io::Result<Skeleton> {
    let mut archive = Builder::new(Vec::new());
    let metadata = format!(
        "architecture: {architecture}\n\
         creation_date: {CREATED}\n\
         properties:\n  \
           os: {OS}\n  \
           description: {DESCRIPTION}\n"
    );
    append(&mut archive, "metadata.yaml", EntryType::Regular, 0o644, metadata.as_bytes())?;
    append(&mut archive, "rootfs/", EntryType::Directory, 0o755, &[])?;
    for (folder, mode) in FOLDERS {
        append(&mut archive, &format!("rootfs/{folder}/"), EntryType::Directory, mode, &[])?;
    }
    let archive = archive.into_inner()?;
    let fingerprint = hex::encode(Sha256::digest(&archive));
    Ok(Skeleton { archive, fingerprint })
}

fn append(
    archive: &mut Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    bytes: &[u8],
) -> io::Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(CREATED);
    archive.append_data(&mut header, path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_architecture_gives_the_same_bytes() {
        let first = skeleton("x86_64").unwrap();
        assert_eq!(first.archive, skeleton("x86_64").unwrap().archive);
        assert_ne!(first.fingerprint, skeleton("aarch64").unwrap().fingerprint);
        assert_eq!(first.fingerprint.len(), 64);
    }

    #[test]
    fn it_holds_metadata_and_folders_only() {
        let archive = skeleton("x86_64").unwrap().archive;
        let mut archive = tar::Archive::new(archive.as_slice());
        let entries: Vec<(String, u32, EntryType)> = archive
            .entries()
            .unwrap()
            .map(Result::unwrap)
            .map(|entry| {
                let header = entry.header();
                (entry.path().unwrap().display().to_string(), header.mode().unwrap(), header.entry_type())
            })
            .collect();
        assert_eq!(entries[0], ("metadata.yaml".into(), 0o644, EntryType::Regular));
        assert!(entries[1..].iter().all(|(_, _, kind)| kind.is_dir()));
        assert!(entries.contains(&("rootfs/tmp/".into(), 0o1777, EntryType::Directory)));
        assert!(entries.contains(&("rootfs/nix/".into(), 0o755, EntryType::Directory)));
    }
}
