//! A binary tarball of Nix as an archive that drivers import.

use super::{NO_NIX, NO_REGISTRATION, none, whole_nix};
use crate::MachineError;
use crate::files::io_error;
use codchi_driver::FOLDERS;
use lzma_rust2::XzReader;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write as _};
use std::path::Path;
use tempfile::NamedTempFile;

/// The archive; its file goes when this is dropped.
pub(in crate::store) struct Archived {
    /// The archive, with `/nix/store` in it and nothing else.
    pub(in crate::store) file: NamedTempFile,
    /// Nix in it, as `/nix/store/HASH-nix-VERSION`.
    pub(in crate::store) nix: String,
    /// What a database has to know.
    pub(in crate::store) registration: Vec<u8>,
}

/// Makes an archive of `tarball` in `folder`.
pub(super) fn archive(tarball: &Path, folder: &Path) -> Result<Archived, MachineError> {
    let bad = |what: &str| none(tarball, what);
    let mut file = tempfile::Builder::new()
        .prefix(".archive-")
        .tempfile_in(folder)
        .map_err(|error| io_error("Making a file in", folder, error))?;
    let mut registration = Vec::new();
    open(tarball)
        .and_then(|source| registration_in(source, &mut registration))
        .map_err(|error| bad(&error.to_string()))?;
    if registration.is_empty() {
        return Err(bad(NO_REGISTRATION));
    }
    let mut packages = Vec::new();
    let written = open(tarball).and_then(|source| {
        let mut made = tar::Builder::new(BufWriter::new(file.as_file_mut()));
        metadata(&mut made)?;
        codchi_driver::relocate(source, &mut made, |path| {
            let below = store_path(path)?;
            if let Some(package) = below.strip_suffix(b"/bin/nix-daemon") {
                packages.push(String::from_utf8_lossy(package).into_owned());
            }
            Some([b"rootfs/nix/store/", below].concat())
        })?;
        made.into_inner()?.flush()
    });
    written.map_err(|error| bad(&error.to_string()))?;
    let nix = whole_nix(packages).ok_or_else(|| bad(NO_NIX))?;
    Ok(Archived { file, nix, registration })
}

/// What of `TOP/store/…` is below the store.
fn store_path(path: &[u8]) -> Option<&[u8]> {
    let mut parts = path.splitn(3, |&byte| byte == b'/');
    let (_, store, below) = (parts.next()?, parts.next()?, parts.next()?);
    (store == b"store" && !below.is_empty()).then_some(below)
}

fn registration_in(source: impl Read, registration: &mut Vec<u8>) -> io::Result<()> {
    for entry in tar::Archive::new(source).entries()? {
        let mut entry = entry?;
        if entry.path_bytes().ends_with(b"/.reginfo") {
            return entry.read_to_end(registration).map(drop);
        }
    }
    Ok(())
}

fn metadata(made: &mut tar::Builder<impl io::Write>) -> io::Result<()> {
    let text = format!("architecture: {}\ncreation_date: 0\n", std::env::consts::ARCH);
    let header = |mode, size: usize| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(size as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header
    };
    made.append_data(&mut header(0o644, text.len()), "metadata.yaml", text.as_bytes())?;
    // Nix makes the last one where it is missing.
    for (folder, mode) in
        [("", 0o755)].into_iter().chain(FOLDERS).chain([("nix/store", 0o755), ("nix/store/.links", 0o755)])
    {
        let mut header = header(mode, 0);
        header.set_entry_type(tar::EntryType::Directory);
        made.append_data(&mut header, format!("rootfs/{folder}/"), [].as_slice())?;
    }
    Ok(())
}

/// The tarball, unpacked where it is compressed: by its first bytes, since whoever names a file may name it anything.
fn open(tarball: &Path) -> io::Result<Box<dyn Read>> {
    const XZ: &[u8] = b"\xfd7zXZ\0";
    let mut begin = Vec::new();
    File::open(tarball)?.take(XZ.len() as u64).read_to_end(&mut begin)?;
    let file = BufReader::with_capacity(1 << 20, File::open(tarball)?);
    Ok(if begin == XZ { Box::new(XzReader::new(file, true)) } else { Box::new(file) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tarball_becomes_an_archive_of_its_store() {
        let folder = tempfile::tempdir().unwrap();
        let mut made = tar::Builder::new(Vec::new());
        for (path, text) in [
            ("nix-2.0-x86_64-linux/.reginfo", "known"),
            ("nix-2.0-x86_64-linux/store/f-nix-cli-2.0/bin/nix-daemon", "part"),
            ("nix-2.0-x86_64-linux/store/h-nix-2.0/bin/nix-daemon", "all"),
            ("nix-2.0-x86_64-linux/install", "script"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o555);
            header.set_size(text.len() as u64);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(1);
            made.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
        let tarball = folder.path().join("nix.tar");
        std::fs::write(&tarball, made.into_inner().unwrap()).unwrap();
        let archived = archive(&tarball, folder.path()).unwrap();
        assert_eq!((&*archived.nix, &*archived.registration), ("/nix/store/h-nix-2.0", &b"known"[..]));
        let mut made = tar::Archive::new(File::open(archived.file.path()).unwrap());
        let paths = made.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string());
        let paths: Vec<String> = paths.collect();
        assert!(paths.contains(&"rootfs/nix/store/h-nix-2.0/bin/nix-daemon".into()), "{paths:?}");
        assert!(!paths.iter().any(|path| path.contains("install") || path.contains("reginfo")), "{paths:?}");
    }

    #[test]
    fn what_is_no_tarball_of_nix_is_told_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let tarball = folder.path().join("other.tar");
        for bytes in [&b"text"[..], b"\xfd7zXZ\0", &[0; 1024]] {
            std::fs::write(&tarball, bytes).unwrap();
            let error = archive(&tarball, folder.path()).err().unwrap();
            assert!(error.to_string().contains("other.tar is no binary tarball of Nix"), "{error}");
        }
    }
}
