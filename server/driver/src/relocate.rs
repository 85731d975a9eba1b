//! Tar archives whose entries come to another place.

use std::io::{self, Error, ErrorKind, Read, Write};
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
    let link = match entry.link_name_bytes() {
        Some(target) if kind.is_hard_link() => Some(
            place(plain(&target))
                .ok_or_else(|| Error::new(ErrorKind::InvalidData, "it has a link to nothing in it"))?,
        ),
        Some(target) if kind.is_symlink() => Some(target.into_owned()),
        _ => None,
    };
    if let Some(fields) = header.as_gnu_mut() {
        // The names of Linux are bytes. The library's own writing takes paths, and on Windows those are text in which `\` is a separator.
        for (key, field, name) in
            [("path", &mut fields.name, Some(path)), ("linkpath", &mut fields.linkname, link)]
        {
            let Some(name) = name else { continue };
            let fits = name.len().min(field.len());
            field[..fits].copy_from_slice(&name[..fits]);
            if fits < name.len() {
                kept.push((key.to_owned(), name));
            }
        }
    }
    header.set_cksum();
    if !kept.is_empty() {
        into.append_pax_extensions(kept.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
    }
    into.append(&header, entry)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive with an entry of each name, and links that lead to each.
    fn archive(names: &[Vec<u8>]) -> Vec<u8> {
        let mut made = Builder::new(Vec::new());
        for (number, name) in names.iter().enumerate() {
            let mut add = |kind, fields: &[(&str, &[u8])]| {
                let mut header = Header::new_gnu();
                header.set_entry_type(kind);
                header.set_size(0);
                header.set_mode(0o644);
                header.set_uid(7);
                header.set_gid(7);
                header.set_mtime(1);
                header.set_cksum();
                made.append_pax_extensions(fields.iter().copied()).unwrap();
                made.append(&header, [].as_slice()).unwrap();
            };
            add(tar::EntryType::Regular, &[("path", name)]);
            add(tar::EntryType::Symlink, &[("path", format!("link{number}").as_bytes()), ("linkpath", name)]);
            add(tar::EntryType::Link, &[("path", format!("hard{number}").as_bytes()), ("linkpath", name)]);
        }
        made.into_inner().unwrap()
    }

    #[test]
    fn names_are_bytes_of_any_length() {
        let names: Vec<Vec<u8>> = [
            "unit-with\\x2ddashes.device".into(),
            "../up/./and//down".into(),
            "/absolute".into(),
            "C:\\no\\drive".into(),
            format!("{}/{}", "long".repeat(40), "name".repeat(40)),
            "x".repeat(100),
            "x".repeat(101),
        ]
        .map(String::into_bytes)
        .into_iter()
        .chain([b"\xff\xfe no text".to_vec()])
        .collect();
        let mut made = Builder::new(Vec::new());
        relocate(&*archive(&names), &mut made, |path| Some([b"new/", path].concat())).unwrap();
        let made = made.into_inner().unwrap();
        let mut made = Archive::new(&*made);
        let mut found = made.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.path_bytes().into_owned(), entry.link_name_bytes().map(Into::into))
        });
        for (number, name) in names.iter().enumerate() {
            let new = |name: &[u8]| [b"new/", name].concat();
            let kept = new(plain(name));
            assert_eq!(found.next(), Some((kept.clone(), None)));
            assert_eq!(found.next(), Some((new(format!("link{number}").as_bytes()), Some(name.clone()))));
            assert_eq!(found.next(), Some((new(format!("hard{number}").as_bytes()), Some(kept))));
        }
        assert_eq!(found.next(), None);
    }
}
