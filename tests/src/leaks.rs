//! Canaries: values that are searched for where no secret may be.

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The middle of a secret's value: letters and digits that come through every quoting as they are.
#[derive(Debug, Clone)]
pub struct Canary(String);

impl Canary {
    /// One that nothing else on this computer holds.
    ///
    /// # Panics
    /// Where the kernel gives no random bytes.
    #[must_use]
    pub fn new() -> Self {
        let mut bytes = [0; 12];
        io::Read::read_exact(&mut File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
        Self(format!("Canary{}", hex::encode(bytes)))
    }

    /// A value with it inside.
    #[must_use]
    pub fn within(&self, before: &str, after: &str) -> String {
        format!("{before}{}{after}", self.0)
    }

    /// It, and the forms in which it may have been written down.
    fn forms(&self) -> Vec<Vec<u8>> {
        let text = self.0.as_bytes();
        let (lower, upper) = (hex::encode(text).into_bytes(), hex::encode_upper(text).into_bytes());
        let wide = |big: bool| {
            text.iter().flat_map(|&byte| if big { [0, byte] } else { [byte, 0] }).collect::<Vec<u8>>()
        };
        // What stands before it decides which characters of base64 stand for it alone: one of three ways.
        let base64 = (0..3).map(|before: usize| {
            let encoded = STANDARD.encode([&vec![0; before][..], text].concat()).into_bytes();
            encoded[(before * 4).div_ceil(3)..encoded.len() - 4].to_vec()
        });
        let reversed = text.iter().rev().copied().collect();
        [text.to_vec(), lower, upper, wide(false), wide(true), reversed].into_iter().chain(base64).collect()
    }
}

impl Default for Canary {
    fn default() -> Self {
        Self::new()
    }
}

/// What was looked through, and what was found.
pub struct Search {
    needles: Arc<AhoCorasick>,
    /// Where one was, and in which of its forms.
    pub found: Vec<String>,
    /// How many things of each kind were looked through, and their bytes.
    pub places: BTreeMap<&'static str, (usize, u64)>,
}

impl Search {
    /// For these.
    ///
    /// # Panics
    /// Never for canaries.
    #[must_use]
    pub fn new(canaries: &[&Canary]) -> Self {
        let forms = canaries.iter().flat_map(|canary| canary.forms());
        let needles = Arc::new(AhoCorasick::new(forms).unwrap());
        Self { needles, found: Vec::new(), places: BTreeMap::new() }
    }

    /// Looks through what a `place` of a `kind` holds.
    pub fn bytes(&mut self, kind: &'static str, place: &str, bytes: &[u8]) {
        let (count, size) = self.places.entry(kind).or_default();
        (*count, *size) = (*count + 1, *size + bytes.len() as u64);
        if let Some(hit) = self.needles.find(bytes) {
            self.found.push(format!("{kind}: {place}, form {}", hit.pattern().as_usize() % 9));
        }
    }

    /// Looks through all files below `folder` on its file system, and their names and links.
    ///
    /// # Panics
    /// Where the folder cannot be read.
    pub fn folder(&mut self, kind: &'static str, folder: &Path) {
        let device = fs::metadata(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())).dev();
        let mut open = vec![folder.to_owned()];
        while let Some(folder) = open.pop() {
            // Files come and go while others work.
            for path in fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()) {
                let Ok(metadata) = path.symlink_metadata() else { continue };
                let name = path.display().to_string();
                if metadata.is_symlink() {
                    let target = fs::read_link(&path).unwrap_or_default();
                    self.bytes(
                        kind,
                        &name,
                        [name.as_bytes(), target.as_os_str().as_encoded_bytes()].concat().as_slice(),
                    );
                } else if metadata.is_dir() && metadata.dev() == device {
                    open.push(path);
                } else if metadata.is_file() {
                    self.file(kind, &path);
                }
            }
        }
    }

    /// Looks through a file of any size.
    pub fn file(&mut self, kind: &'static str, path: &Path) {
        let (count, size) = self.places.entry(kind).or_default();
        let Ok(file) = File::open(path) else { return };
        (*count, *size) = (*count + 1, *size + file.metadata().map_or(0, |metadata| metadata.len()));
        let name = path.display().to_string();
        let hit = self.needles.stream_find_iter(file).next();
        if let Some(Ok(hit)) = hit {
            self.found.push(format!("{kind}: {name}, form {}", hit.pattern().as_usize() % 9));
        }
        if self.needles.is_match(&name) {
            self.found.push(format!("{kind}: the name {name}"));
        }
    }

    /// Begins to look at the command line and the environment of every process of this computer, over and over; those inside of
    /// machines are told apart by their users, which are others.
    #[must_use]
    pub fn processes(&self) -> Processes {
        let (needles, ended) = (Arc::clone(&self.needles), Arc::new(AtomicBool::new(false)));
        let stop = Arc::clone(&ended);
        let thread = std::thread::spawn(move || watch(&needles, &stop));
        Processes { ended, thread }
    }

    /// All that was looked through, a line for each kind.
    #[must_use]
    pub fn table(&self) -> String {
        let row = |(kind, (count, size)): (&&str, &(usize, u64))| {
            format!("{kind:<34} {count:>8} {:>12} bytes\n", size)
        };
        let all: usize = self.places.values().map(|(count, _)| count).sum();
        self.places.iter().map(row).collect::<String>() + &format!("{all} places searched\n")
    }
}

/// A look at processes that goes on until it is ended.
pub struct Processes {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<(BTreeMap<String, usize>, Vec<String>)>,
}

impl Processes {
    /// Ends it, and adds what it has seen to `search`.
    ///
    /// # Panics
    /// Where the look has.
    pub fn end(self, search: &mut Search) {
        self.ended.store(true, Ordering::Relaxed);
        let (seen, found) = self.thread.join().unwrap();
        let entry = search.places.entry("processes (argv and environ)").or_default();
        for size in seen.values() {
            *entry = (entry.0 + 1, entry.1 + *size as u64);
        }
        search.found.extend(found);
    }
}

fn watch(needles: &AhoCorasick, ended: &AtomicBool) -> (BTreeMap<String, usize>, Vec<String>) {
    let users = |process: &Path| fs::read_link(process.join("ns/user")).ok();
    let ours = users(Path::new("/proc/self"));
    let (mut seen, mut found) = (BTreeMap::new(), Vec::new());
    while !ended.load(Ordering::Relaxed) {
        for process in numbered() {
            if users(&process) != ours {
                continue;
            }
            let read = |file: &str| fs::read(process.join(file)).unwrap_or_default();
            let (arguments, environment) = (read("cmdline"), read("environ"));
            let shown = String::from_utf8_lossy(&arguments).replace('\0', " ");
            for (what, bytes) in [("argv", &arguments), ("environ", &environment)] {
                if needles.is_match(bytes) {
                    found.push(format!("{what} of {}", shown.split(' ').next().unwrap_or_default()));
                }
            }
            seen.insert(format!("{} {shown}", process.display()), arguments.len() + environment.len());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    found.dedup();
    (seen, found)
}

fn numbered() -> impl Iterator<Item = PathBuf> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    all.filter(|path| path.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_found_in_every_form_and_nothing_else_is() {
        let (canary, other) = (Canary::new(), Canary::new());
        let value = canary.within("a\"'$ ", "\n`");
        let mut search = Search::new(&[&canary]);
        search.bytes("x", "another", other.within("", "").as_bytes());
        assert_eq!(search.found, Vec::<String>::new());
        let hex = hex::encode_upper(&value);
        let wide: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let json = serde_json::to_string(&value).unwrap();
        for before in ["", "1", "12", "123"] {
            search.bytes("x", before, STANDARD.encode(format!("{before}{value}")).as_bytes());
        }
        for bytes in [value.as_bytes(), hex.as_bytes(), &wide, json.as_bytes()] {
            search.bytes("x", "form", bytes);
        }
        assert_eq!(search.found.len(), 8, "{:?}", search.found);
        assert_eq!(search.places["x"].0, 9);
    }

    #[test]
    fn files_and_the_command_lines_of_processes_are_looked_through() {
        let canary = Canary::new();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("large"), [vec![b' '; 1 << 20], canary.within("", "").into()].concat())
            .unwrap();
        fs::write(folder.path().join("small"), "nothing").unwrap();
        let mut search = Search::new(&[&canary]);
        search.folder("files", folder.path());
        assert_eq!((search.found.len(), search.places["files"].0), (1, 2), "{:?}", search.found);
        let processes = search.processes();
        let script = format!("sleep 0.3 # {}", canary.within("", ""));
        assert!(std::process::Command::new("sh").args(["-c", &script, "x"]).status().unwrap().success());
        processes.end(&mut search);
        assert!(search.found.iter().any(|found| found.starts_with("argv of")), "{:?}", search.found);
    }
}
