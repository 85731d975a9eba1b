//! Archives of root file systems, as a driver's tests make and read them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use tar::{Builder, EntryType, Header};

/// What an archive says of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryType,
    /// Its owner and group.
    pub owner: (u64, u64),
    /// Permission bits.
    pub mode: u32,
    /// Where a link leads.
    pub link: Option<String>,
    /// A device's numbers.
    pub device: (Option<u32>, Option<u32>),
    /// How many bytes it has.
    pub size: u64,
    /// Its extended attributes.
    pub attributes: BTreeMap<String, Vec<u8>>,
}

/// An archive to be written to `to`, with the folders that an instance needs to boot; `description` is in what the engine
/// says of an image of it.
///
/// # Panics
/// Where it cannot be written.
pub fn begin<W: Write>(to: W, description: &str) -> Builder<W> {
    let mut archive = Builder::new(to);
    let metadata = format!(
        "architecture: {}\ncreation_date: 1704067200\nproperties:\n  description: {description}\n",
        std::env::consts::ARCH
    );
    add(&mut archive, "metadata.yaml", EntryType::Regular, (0, 0), 0o644, metadata.as_bytes());
    for folder in ["", "bin", "dev", "etc", "nix", "opt", "proc", "root", "run", "sbin", "sys", "tmp"] {
        add(&mut archive, &format!("rootfs/{folder}"), EntryType::Directory, (0, 0), 0o755, b"");
    }
    archive
}

/// Adds a file or folder.
///
/// # Panics
/// Where it cannot be written.
pub fn add<W: Write>(
    archive: &mut Builder<W>,
    path: &str,
    kind: EntryType,
    (uid, gid): (u64, u64),
    mode: u32,
    contents: &[u8],
) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(contents.len() as u64);
    header.set_mode(mode);
    header.set_uid(uid);
    header.set_gid(gid);
    header.set_mtime(1_704_067_200);
    header.set_device_major(0).unwrap();
    header.set_device_minor(0).unwrap();
    archive.append_data(&mut header, path, contents).unwrap();
}

/// Adds a link to `target`.
///
/// # Panics
/// Where it cannot be written.
pub fn link<W: Write>(archive: &mut Builder<W>, path: &str, kind: EntryType, target: &str) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(0o777);
    header.set_uid(0);
    header.set_gid(0);
    archive.append_link(&mut header, path, target).unwrap();
}

/// Which capabilities an attribute of the kernel's gives: without the form it has, which may name the root user.
///
/// # Panics
/// Where it is none.
#[must_use]
pub fn capabilities(attribute: &[u8]) -> Vec<u8> {
    attribute[4..20].to_vec()
}

/// All that is in the root file system of an archive, by its path inside.
///
/// # Panics
/// Where it is not one.
#[must_use]
pub fn read(archive: impl Read) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        let Some(path) = path.strip_prefix("rootfs/") else { continue };
        let attributes = entry
            .pax_extensions()
            .unwrap()
            .into_iter()
            .flatten()
            .map(Result::unwrap)
            .filter_map(|record| {
                let name = record.key().unwrap().strip_prefix("SCHILY.xattr.")?;
                let mut value = record.value_bytes().to_vec();
                if name == "security.capability" {
                    value = capabilities(&value);
                }
                Some((name.to_owned(), value))
            })
            .collect();
        let header = entry.header();
        let kind = header.entry_type();
        let is_device = matches!(kind, EntryType::Char | EntryType::Block);
        let device = |number: Option<u32>| if is_device { number } else { None };
        let told = Entry {
            kind,
            owner: (header.uid().unwrap(), header.gid().unwrap()),
            mode: header.mode().unwrap() & 0o7777,
            link: entry.link_name().unwrap().map(|link| link.display().to_string()),
            device: (device(header.device_major().unwrap()), device(header.device_minor().unwrap())),
            size: header.size().unwrap(),
            attributes,
        };
        found.insert(path.trim_end_matches('/').to_owned(), told);
    }
    found
}
