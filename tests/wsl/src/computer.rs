//! The folder that stands for the computer with Windows, and what the computer is to be like.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Names the folder.
const FOLDER: &str = "CODCHI_TEST_WSL";

/// The computer.
pub(crate) struct Computer {
    pub(crate) folder: PathBuf,
    pub(crate) config: Config,
}

/// `config.json`: what the computer is like, read at each call. All of it may be left out.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    /// WSL's version; `inbox` for the one that comes with Windows and knows no `--version`.
    pub(crate) version: String,
    pub(crate) kernel: String,
    /// The version of Windows.
    pub(crate) windows: String,
    /// The language: `en-US`, `de-DE`, `ja-JP` or `zh-CN`.
    pub(crate) locale: String,
    /// Whether WSL is installed. What Windows has in its place says how to install it.
    pub(crate) installed: bool,
    /// Whether the optional component of Windows 10 is on.
    pub(crate) optional_component: bool,
    /// Whether virtualization is on.
    pub(crate) virtualization: bool,
    /// Milliseconds that a distribution goes on without any `wsl.exe`; less than 0 for ever.
    pub(crate) instance_idle_timeout: i64,
    /// Milliseconds that the virtual machine goes on without any distribution; less than 0 for ever.
    pub(crate) vm_idle_timeout: i64,
    /// Whether a distribution's disk is detached when it ends, so that what others have of it goes. WSL leaves it attached.
    pub(crate) detach_on_stop: bool,
    /// The computer's name.
    pub(crate) computer_name: String,
    /// `PATH` of Windows.
    pub(crate) windows_path: String,
    /// What goes wrong, by verb: `import`, `export`, `unregister`, `terminate`, `shutdown`, `list`, `version`, `status`, `manage`,
    /// `set-default`, `exec`, and `*` for each.
    pub(crate) faults: BTreeMap<String, Fault>,
}

/// What goes wrong.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Fault {
    /// Milliseconds to wait before anything else.
    pub(crate) delay: u64,
    /// Never answers.
    pub(crate) hang: bool,
    /// Prints bytes that are no text in any encoding.
    pub(crate) garbage: bool,
    /// Fails with this, e.g. `Wsl/Service/E_UNEXPECTED`, before it does anything.
    pub(crate) fail: Option<String>,
    /// What it says when it fails; else the code's own text.
    pub(crate) message: Option<String>,
    /// Of `import`: the disk gets full half way.
    pub(crate) disk_full: bool,
    /// The distribution is gone, with its files, before the verb gets to it.
    pub(crate) vanish: bool,
    /// Of `exec`: the distribution ends so many milliseconds after the command has started.
    pub(crate) end_after: Option<u64>,
    /// Only the first so many calls; else each.
    pub(crate) times: Option<u64>,
    /// Only where the call is about this distribution.
    pub(crate) only: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            version: "2.6.1.0".into(),
            kernel: "6.6.87.2-1".into(),
            windows: "10.0.26100.4652".into(),
            locale: "en-US".into(),
            installed: true,
            optional_component: true,
            virtualization: true,
            instance_idle_timeout: 15_000,
            vm_idle_timeout: 60_000,
            detach_on_stop: false,
            computer_name: "DESKTOP-CODCHI".into(),
            windows_path: r"C:\Windows\system32;C:\Windows".into(),
            faults: BTreeMap::new(),
        }
    }
}

/// The folder of the computer that this program is installed on.
fn installed_on() -> Option<OsString> {
    let program = std::env::current_exe().ok()?;
    let installed = program.ends_with("c/Windows/System32/wsl.exe");
    Some(program.ancestors().nth(4).filter(|_| installed)?.into())
}

impl Computer {
    /// The one that `CODCHI_TEST_WSL` names, or else the one that this program is installed on, as a copy at `c/Windows/System32/wsl.exe`: who
    /// starts `wsl.exe` need not pass on what only tests know.
    ///
    /// # Errors
    /// That there is none, or that `config.json` cannot be read.
    pub(crate) fn of_this_process() -> Result<Self> {
        let folder = std::env::var_os(FOLDER).filter(|folder| !folder.is_empty());
        let folder = folder.or_else(installed_on);
        let folder = folder.with_context(|| format!("{FOLDER} must name the folder of the computer"))?;
        let folder = fs::canonicalize(&folder).with_context(|| format!("{FOLDER}={}", folder.display()))?;
        let file = folder.join("config.json");
        let config = match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| file.display().to_string())?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Config::default(),
            Err(error) => return Err(error).with_context(|| file.display().to_string()),
        };
        Ok(Self { folder, config })
    }

    /// The folder of what runs, or of `of` in it: the virtual machine, or a distribution by the beginning of its id. It is made.
    pub(crate) fn run(&self, of: &str) -> Result<PathBuf> {
        let folder = self.folder.join("run").join(of);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }

    /// Where the root file system on the disk `id` is.
    pub(crate) fn disk(&self, id: &str) -> PathBuf {
        self.folder.join("disks").join(id)
    }

    /// The drives, by their letters: the folders that are named by one.
    pub(crate) fn drives(&self) -> Vec<(char, PathBuf)> {
        ('a'..='z')
            .map(|letter| (letter, self.folder.join(letter.to_string())))
            .filter(|(_, folder)| folder.is_dir())
            .collect()
    }

    /// What goes wrong with this call of `verb`, about the distribution `name`.
    ///
    /// # Errors
    /// That the calls cannot be counted.
    pub(crate) fn fault(&self, verb: &str, name: Option<&str>) -> Result<Option<Fault>> {
        for key in [verb, "*"] {
            let Some(fault) = self.config.faults.get(key) else { continue };
            if fault.only.as_deref().is_some_and(|only| name != Some(only)) {
                continue;
            }
            if let Some(times) = fault.times
                && self.count(key)? > times
            {
                continue;
            }
            return Ok(Some(fault.clone()));
        }
        Ok(None)
    }

    /// Counts a call that `key` is about.
    fn count(&self, key: &str) -> Result<u64> {
        let folder = self.run("")?;
        let _lock = lock(&folder.join("faults.lock"))?;
        let file = folder.join("faults.json");
        let mut counts: BTreeMap<String, u64> = fs::read_to_string(&file)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let count = counts.entry(key.into()).or_default();
        *count += 1;
        let count = *count;
        fs::write(&file, serde_json::to_vec(&counts)?)?;
        Ok(count)
    }

    /// Appends a line to a log in the folder: when, which process, `words`.
    ///
    /// # Errors
    /// That it cannot be written.
    pub(crate) fn log(&self, log: &str, words: &[String]) -> Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            seconds: f64,
            process: u32,
            arguments: &'a [String],
        }
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let line = Line { seconds: since.as_secs_f64(), process: std::process::id(), arguments: words };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        let file = self.folder.join(log);
        let mut file = OpenOptions::new().create(true).append(true).open(&file)?;
        Ok(file.write_all(&text)?)
    }
}

/// Holds `file` as a lock until what comes back is dropped.
///
/// # Errors
/// That it cannot be opened or locked.
pub(crate) fn lock(file: &Path) -> Result<File> {
    let held = OpenOptions::new().create(true).truncate(false).write(true).open(file);
    let held = held.with_context(|| file.display().to_string())?;
    held.lock().with_context(|| file.display().to_string())?;
    Ok(held)
}
