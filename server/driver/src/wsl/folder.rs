//! The folder on a Windows drive that a distribution of ours lies in, and what we know of it: WSL itself keeps nothing of ours.
//!
//! A distribution is ours where this says so and its disk is beside it: one of the same name that somebody else has
//! imported lies elsewhere.

use crate::types::{Device, InstanceName, InstanceSpec, User};
use codchi_guest::{BOOT, BOOT_ERROR, BOOTED, Boot, BootMount, Entry, PENDING, PutRequest, SHARED};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The distribution's disk, which `wsl.exe` makes there (`LxssUserSession.cpp`).
const DISK: &str = "ext4.vhdx";
/// What we know of it.
const MARK: &str = "instance.json";

/// The folder of one distribution.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
}

/// What we know of a distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Whether it is being made: then it is nobody's yet.
    #[serde(default)]
    pub(super) making: bool,
    /// Whether it has a volume. Then its instance runs beside that.
    #[serde(default)]
    pub(super) volume: bool,
    /// The instance; always there where there is no volume.
    #[serde(default)]
    pub(super) instance: Option<Kept>,
    /// The digest of our program in it; see [`super::guest`].
    #[serde(default)]
    pub(super) guest: Option<String>,
}

/// What an instance was specified to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) labels: BTreeMap<String, String>,
    /// Settings of its `wsl.conf`.
    pub(super) config: BTreeMap<String, String>,
    pub(super) boot: Boot,
    /// Volumes that it has.
    pub(super) volumes: Vec<String>,
    pub(super) user: Option<User>,
}

impl Kept {
    /// What `spec` says, with paths of this computer as `inside` gives them.
    ///
    /// # Errors
    /// What cannot be handed in, as a sentence.
    pub(super) fn of(
        spec: &InstanceSpec,
        inside: impl Fn(&Path) -> Result<String, String>,
    ) -> Result<Self, String> {
        let mut kept = Self {
            labels: spec.labels.clone(),
            config: spec.config.clone(),
            boot: Boot { init: spec.init.clone(), mounts: Vec::new() },
            volumes: Vec::new(),
            user: spec.user.clone(),
        };
        for (name, device) in &spec.devices {
            let mount = match device {
                Device::Disk { source, path, read_only, .. } => {
                    fs::metadata(source)
                        .map_err(|error| format!("{} cannot be handed in: {error}", source.display()))?;
                    BootMount { source: inside(source)?, path: path.clone(), read_only: *read_only }
                }
                Device::Volume { name, path, read_only, .. } => {
                    kept.volumes.push(name.to_string());
                    BootMount {
                        source: format!("{SHARED}/{name}"),
                        path: path.clone(),
                        read_only: *read_only,
                    }
                }
                Device::Raw(_) => return Err(format!("WSL has no device such as `{name}`")),
            };
            kept.boot.mounts.push(mount);
        }
        // What lies below another mount comes after it.
        kept.boot.mounts.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(kept)
    }
}

impl Folder {
    /// Of the distribution `name` below `all`.
    pub(super) fn of(all: &Path, name: &InstanceName) -> Self {
        Self { path: all.join(name.as_str()) }
    }

    /// What is known of the distribution; `None` where it is not ours, or is still being made.
    pub(super) fn mark(&self) -> io::Result<Option<Mark>> {
        if !self.path.join(DISK).exists() {
            return Ok(None);
        }
        Ok(self.any_mark()?.filter(|mark| !mark.making))
    }

    /// Also of one that is being made.
    pub(super) fn any_mark(&self) -> io::Result<Option<Mark>> {
        let Some(bytes) = read(&self.path.join(MARK))? else { return Ok(None) };
        let mark = serde_json::from_slice(&bytes).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", self.path.join(MARK).display()))
        })?;
        Ok(Some(mark))
    }

    /// How many bytes the distribution's disk takes.
    pub(super) fn disk_size(&self) -> Option<u64> {
        fs::metadata(self.path.join(DISK)).ok().map(|metadata| metadata.len())
    }

    /// Keeps `mark`.
    pub(super) fn set_mark(&self, mark: &Mark) -> io::Result<()> {
        self.write(MARK, &serde_json::to_vec_pretty(mark)?)
    }

    /// Says what the next boot makes of it.
    pub(super) fn prepare(&self, boot: &Boot) -> io::Result<()> {
        for stale in [BOOT_ERROR, BOOTED] {
            remove(&self.path.join(stale))?;
        }
        self.write(BOOT, &serde_json::to_vec_pretty(boot)?)
    }

    /// The text that names the last boot.
    pub(super) fn booted(&self) -> String {
        fs::read_to_string(self.path.join(BOOTED)).unwrap_or_default().trim().to_owned()
    }

    /// Why the last boot failed.
    pub(super) fn boot_error(&self) -> Option<String> {
        fs::read_to_string(self.path.join(BOOT_ERROR)).ok().map(|text| text.trim().to_owned())
    }

    /// Has the next boot lay down an entry.
    pub(super) fn put_later(&self, entry: &PutRequest, contents: &[u8]) -> io::Result<()> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let pending = self.path.join(PENDING);
        fs::create_dir_all(&pending)?;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        // Names are in the order of their making, also those of several processes.
        let name =
            format!("{:020}-{:06}", since.as_nanos(), NEXT.fetch_add(1, Ordering::Relaxed) % 1_000_000);
        let mut bytes = serde_json::to_vec(entry)?;
        bytes.push(b'\n');
        if entry.entry == Entry::File {
            bytes.extend_from_slice(contents);
        }
        write_new(&pending.join(name), &bytes)
    }

    /// Removes it with all that is in it; that it is not there is no error.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        write_new(&self.path.join(name), bytes)
    }
}

/// A file as a whole or not at all.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".new-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    let new = PathBuf::from(new);
    let written = fs::File::create(&new)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // Nothing more can be done about it.
        let _ = fs::remove_file(&new);
    }
    written
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(source: &Path) -> InstanceSpec {
        let disk = |path: &str| Device::Disk {
            source: source.into(),
            path: path.into(),
            read_only: true,
            shift: true,
        };
        let volume = Device::Volume {
            pool: String::new(),
            name: InstanceName::new("codchi-store").unwrap(),
            path: "/nix".into(),
            read_only: true,
        };
        let devices = [("a", disk("/nix/inner")), ("b", volume), ("c", disk("/home"))];
        InstanceSpec {
            devices: devices.into_iter().map(|(name, device)| (name.into(), device)).collect(),
            init: "/nix/init".into(),
            ..InstanceSpec::default()
        }
    }

    #[test]
    fn devices_become_mounts_with_outer_ones_first() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::of(&spec(folder.path()), |_| Ok("/mnt/c/x".into())).unwrap();
        let paths: Vec<&str> = kept.boot.mounts.iter().map(|mount| &*mount.path).collect();
        assert_eq!(paths, ["/home", "/nix", "/nix/inner"]);
        assert_eq!(kept.boot.mounts[1].source, "/mnt/wsl/codchi/codchi-store");
        assert_eq!(kept.volumes, ["codchi-store"]);
    }

    #[test]
    fn what_cannot_be_handed_in_is_named() {
        let error = Kept::of(&spec(Path::new("/no/such")), |_| Ok(String::new())).unwrap_err();
        assert!(error.contains("/no/such"), "{error}");
        let mut raw = InstanceSpec::default();
        raw.devices.insert("gpu".into(), Device::Raw(BTreeMap::new()));
        assert_eq!(Kept::of(&raw, |_| Ok(String::new())).unwrap_err(), "WSL has no device such as `gpu`");
    }

    #[test]
    fn a_folder_is_ours_where_it_says_so_and_the_disk_is_in_it() {
        let all = tempfile::tempdir().unwrap();
        let folder = Folder::of(all.path(), &InstanceName::new("codchi-x").unwrap());
        assert_eq!(folder.mark().unwrap(), None);
        let mut mark = Mark { making: true, ..Mark::default() };
        folder.set_mark(&mark).unwrap();
        assert_eq!(folder.mark().unwrap(), None);
        fs::write(folder.path.join(DISK), "").unwrap();
        assert_eq!(folder.mark().unwrap(), None, "it is being made");
        mark.making = false;
        folder.set_mark(&mark).unwrap();
        assert_eq!(folder.mark().unwrap(), Some(mark));
        fs::write(folder.path.join(MARK), "{").unwrap();
        assert!(folder.mark().unwrap_err().to_string().contains(MARK));
        folder.remove().unwrap();
        folder.remove().unwrap();
    }

    #[test]
    fn what_is_laid_down_later_is_in_order() {
        let all = tempfile::tempdir().unwrap();
        let folder = Folder::of(all.path(), &InstanceName::new("codchi-x").unwrap());
        for number in 0..20 {
            let entry =
                PutRequest { path: format!("/{number}"), uid: 0, gid: 0, mode: 0o644, entry: Entry::File };
            folder.put_later(&entry, b"text\n\0").unwrap();
        }
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder.path.join(PENDING)).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        for (number, file) in files.iter().enumerate() {
            let bytes = fs::read(file).unwrap();
            let line = bytes.iter().position(|&byte| byte == b'\n').unwrap();
            let entry: PutRequest = serde_json::from_slice(&bytes[..line]).unwrap();
            assert_eq!((entry.path, &bytes[line + 1..]), (format!("/{number}"), &b"text\n\0"[..]));
        }
        assert_eq!(files.len(), 20);
    }
}
