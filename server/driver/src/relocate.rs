//! Tar archives whose entries come to another place.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::path::Path;
use tar::{Archive, Builder, Entry, Header};

/// The block that archives are made of; two empty ones are an archive's end.
const BLOCK: usize = 512;

/// Writes those entries of `archive` into `into` to which `place` gives a path, with everything of them: owners, modes, times, extended
/// attributes. `place` gets each path without a slash at its ends, `""` for the root; hard links follow what they are links to. Neither is read or
/// kept as a whole.
///
/// # Errors
/// Where `archive` cannot be read, is none, or has no end, or `into` takes no more.
pub fn relocate<R: Read>(
    archive: R,
    into: &mut Builder<impl Write>,
    mut place: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> io::Result<()> {
    let mut archive = Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path_bytes().into_owned();
        let Some(path) = place(plain(&path)) else { continue };
        pass_on(&mut entry, path, into, &mut place)?;
    }
    // The first of the empty blocks has been read, if there was one.
    let mut rest = archive.into_inner();
    let mut last = [0; BLOCK];
    rest.read_exact(&mut last).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => Error::new(ErrorKind::UnexpectedEof, "it is cut off"),
        _ => error,
    })?;
    if last != [0; BLOCK] {
        return Err(Error::new(ErrorKind::InvalidData, "it has a single empty block in it"));
    }
    io::copy(&mut rest, &mut io::sink()).map(drop)
}

/// A path as `place` gets it.
fn plain(path: &[u8]) -> &[u8] {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    if path == b"." { b"" } else { path }
}

fn pass_on<R: Read>(
    entry: &mut Entry<'_, R>,
    mut path: Vec<u8>,
    into: &mut Builder<impl Write>,
    place: &mut impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> io::Result<()> {
    let mut kept = Vec::new();
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            let key = extension.key().map_err(|error| Error::new(ErrorKind::InvalidData, error))?;
            // What has a place of its own in what is written.
            if !["path", "linkpath", "size", "uid", "gid"].contains(&key) {
                kept.push((key.to_owned(), extension.value_bytes().to_vec()));
            }
        }
    }
    let mut header = fresh(entry.header(), entry.size())?;
    let kind = header.entry_type();
    if kind.is_dir() {
        path.push(b'/');
    }
    if !kept.is_empty() {
        into.append_pax_extensions(kept.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
    }
    let path = as_path(&path)?;
    match entry.link_name_bytes() {
        Some(target) if kind.is_hard_link() => {
            let target = place(plain(&target))
                .ok_or_else(|| Error::new(ErrorKind::InvalidData, "it has a link to nothing in it"))?;
            into.append_link(&mut header, path, as_path(&target)?)
        }
        Some(target) if kind.is_symlink() => into.append_link(&mut header, path, as_path(&target)?),
        _ => into.append_data(&mut header, path, entry),
    }
}

/// What a header says but for the path: a part of that may be in other fields, too.
fn fresh(of: &Header, size: u64) -> io::Result<Header> {
    let mut header = Header::new_gnu();
    header.set_entry_type(of.entry_type());
    header.set_size(size);
    header.set_mode(of.mode()?);
    header.set_uid(of.uid()?);
    header.set_gid(of.gid()?);
    header.set_mtime(of.mtime()?);
    // Not every kind of archive has numbers where there is no device.
    header.set_device_major(of.device_major().ok().flatten().unwrap_or_default())?;
    header.set_device_minor(of.device_minor().ok().flatten().unwrap_or_default())?;
    Ok(header)
}

fn as_path(bytes: &[u8]) -> io::Result<&Path> {
    // Linux' names are bytes; those that are no text are rare enough that Windows need not know them.
    let text = std::str::from_utf8(bytes);
    text.map(Path::new)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it has a name in it that is not UTF-8"))
}
