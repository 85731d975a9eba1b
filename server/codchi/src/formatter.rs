//! Formatting a text with `nixfmt`, `alejandra` or a command of the person's.
//!
//! The program gets the text on standard input and nothing of it on a command line; it is never run through a shell, has a
//! time to be done in, and is ended with whatever it started when nobody waits for it any more. What it gives is checked
//! before it is used: a formatter changes the layout of a text, not what it says.

use crate::program;
use codchi_machine::ProcessGroup;
use codchi_module::Document;
use serde::Deserialize;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

/// How long a formatter may take.
const TIME: Duration = Duration::from_secs(10);
/// How much of a program's complaint is read and shown.
const COMPLAINT: usize = 1_000;
/// Where profiles have their programs, for a process whose PATH does not have them (an editor started from a desktop).
const PLACES: [&str; 2] = ["/run/current-system/sw/bin", "/nix/var/nix/profiles/default/bin"];
/// Programs that are looked for, the official one first, with what makes them read standard input.
const KNOWN: [(&str, &[&str]); 2] = [("nixfmt", &[]), ("alejandra", &["--quiet", "-"])];

/// The setting `codchi.formatter`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(from = "serde_json::Value")]
pub(crate) enum Setting {
    /// The first that is installed.
    #[default]
    Auto,
    /// None.
    Off,
    /// One of the known ones.
    Known(String),
    /// A program with its arguments.
    Command(Vec<String>),
    /// Something else, as it was written.
    Unknown(String),
}

impl From<serde_json::Value> for Setting {
    fn from(written: serde_json::Value) -> Self {
        let unknown = || Self::Unknown(written.to_string());
        match &written {
            serde_json::Value::Null => Self::Auto,
            serde_json::Value::String(name) => match name.as_str() {
                "auto" | "" => Self::Auto,
                "off" => Self::Off,
                name => KNOWN
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map_or_else(unknown, |_| Self::Known(name.to_owned())),
            },
            serde_json::Value::Array(parts) => {
                let parts: Option<Vec<String>> =
                    parts.iter().map(|part| part.as_str().map(str::to_owned)).collect();
                match parts {
                    Some(parts) if parts.first().is_some_and(|program| !program.is_empty()) => {
                        Self::Command(parts)
                    }
                    _ => unknown(),
                }
            }
            _ => unknown(),
        }
    }
}

/// Why a text was not formatted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The person wants none.
    Off,
    /// There is no program; what is wrong and what to do, as sentences.
    Missing(String),
    /// The program did not do it; what is wrong and what to do, as sentences.
    Failed(String),
}

/// A program that formats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Formatter {
    /// What it is called in messages.
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    /// Whether it is one that is known to keep all names.
    is_known: bool,
}

impl Formatter {
    /// The program that the setting means, in the folders of `PATH`.
    pub(crate) fn find(setting: &Setting) -> Result<Self, Failure> {
        let path = std::env::var_os("PATH");
        let home = std::env::home_dir().map(PathBuf::into_os_string);
        Self::find_in(setting, &folders(path.as_deref(), home.as_deref()))
    }

    fn find_in(setting: &Setting, folders: &[PathBuf]) -> Result<Self, Failure> {
        let known = |name: &str, arguments: &[&str]| {
            Some(Self {
                name: name.to_owned(),
                program: executable(name, folders)?,
                arguments: arguments.iter().map(|&it| it.to_owned()).collect(),
                is_known: true,
            })
        };
        match setting {
            Setting::Off => Err(Failure::Off),
            Setting::Auto => KNOWN.iter().find_map(|(name, arguments)| known(name, arguments)).ok_or_else(|| {
                Failure::Missing(
                    "No formatter for Nix is installed: neither nixfmt nor alejandra is on PATH. Install one, or name \
                     another in the setting codchi.formatter (`off` for none)."
                        .into(),
                )
            }),
            Setting::Known(wanted) => {
                let found = KNOWN.iter().find(|(name, _)| name == wanted);
                found.and_then(|(name, arguments)| known(name, arguments)).ok_or_else(|| {
                    Failure::Missing(format!(
                        "The formatter {wanted}, which the setting codchi.formatter names, is not on PATH. Install it, or \
                         change the setting (`auto` for whichever is installed)."
                    ))
                })
            }
            Setting::Command(parts) => {
                let [name, arguments @ ..] = parts.as_slice() else { return Err(Failure::Off) };
                let program = executable(name, folders).ok_or_else(|| {
                    Failure::Missing(format!(
                        "The formatter {name}, which the setting codchi.formatter names, is not there or cannot be \
                         executed. Give its absolute path, or a name that is on PATH."
                    ))
                })?;
                Ok(Self { name: name.clone(), program, arguments: arguments.to_vec(), is_known: false })
            }
            Setting::Unknown(written) => Err(Failure::Missing(format!(
                "The setting codchi.formatter is {written}: it is `auto`, `nixfmt`, `alejandra`, `off`, or a list of a \
                 program and its arguments."
            ))),
        }
    }

    /// The text as the program lays it out; it runs in `folder`, where it may find how the project wants it.
    pub(crate) async fn format(
        &self,
        document: Arc<Document>,
        folder: Option<&Path>,
    ) -> Result<String, Failure> {
        let done = tokio::time::timeout(TIME, self.run(document.text(), folder)).await;
        let Output { status, stdout, stderr } = match done {
            Err(_) => {
                return Err(self.failed(&format!(
                    "did not format this text within {} s and was ended. Nothing was changed.",
                    TIME.as_secs()
                )));
            }
            Ok(Err(error)) => {
                return Err(self.failed(&format!("cannot be run ({}): {error}.", self.program.display())));
            }
            Ok(Ok(output)) => output,
        };
        if !status.success() {
            let complaint = complaint(&stderr);
            let why = if complaint.is_empty() { status.to_string() } else { complaint };
            return Err(self.failed(&format!("does not format this text: {why}")));
        }
        if stdout.len() >= most(document.text()) {
            return Err(self.failed("gave far more than this text. Nothing was changed."));
        }
        // To read what it gave takes its time.
        let formatter = self.clone();
        let checked = tokio::task::spawn_blocking(move || formatter.checked(&document, stdout));
        checked.await.unwrap_or_else(|_| Err(self.failed("gave what cannot be read. Nothing was changed.")))
    }

    fn failed(&self, what: &str) -> Failure {
        Failure::Failed(format!("{} {what}", self.name))
    }

    fn checked(&self, document: &Document, output: Vec<u8>) -> Result<String, Failure> {
        let text = String::from_utf8(output)
            .map_err(|_| self.failed("gave something that is no text. Nothing was changed."))?;
        let text = with_ends_of(document.text(), text);
        if self.says_the_same(document, &text) {
            Ok(text)
        } else {
            Err(self.failed("gave something else than this text. Nothing was changed."))
        }
    }

    /// Whether the new text says what the old one does, as far as that is seen: it is Nix, and a known formatter keeps all
    /// names in their order.
    fn says_the_same(&self, document: &Document, text: &str) -> bool {
        if text == document.text() {
            return true;
        }
        let new = Document::new(text);
        if new.has_syntax_errors() || text.trim().is_empty() {
            return false;
        }
        !self.is_known || document.names() == new.names()
    }

    async fn run(&self, text: &str, folder: Option<&Path>) -> std::io::Result<Output> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).kill_on_drop(true);
        ProcessGroup::start(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(folder) = folder.filter(|folder| folder.is_dir()) {
            command.current_dir(folder);
        }
        let mut child = command.spawn()?;
        // Dropped before the child: a group is ended while its leader is not yet waited for.
        let _group = ProcessGroup::of(&child);
        let gone = || std::io::Error::other("it has no streams");
        let mut stdin = child.stdin.take().ok_or_else(gone)?;
        let (stdout, stderr) = (child.stdout.take().ok_or_else(gone)?, child.stderr.take().ok_or_else(gone)?);
        let write = async {
            // One that does not read everything says why by its exit code.
            let _ = stdin.write_all(text.as_bytes()).await;
            drop(stdin);
            Ok(())
        };
        let streams = (read(stdout, most(text)), read(stderr, COMPLAINT));
        let (stdout, stderr, ()) = tokio::try_join!(streams.0, streams.1, write)?;
        let status = child.wait().await?;
        Ok(Output { status, stdout, stderr })
    }
}

struct Output {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// How much a formatted text may be; what comes after is not kept.
fn most(text: &str) -> usize {
    8 * text.len() + (1 << 20)
}

/// Reads a stream to its end and gives the first `most` bytes.
async fn read(mut stream: impl AsyncRead + Unpin, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    (&mut stream).take(most as u64).read_to_end(&mut bytes).await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
    Ok(bytes)
}

/// What a program complains of: its first lines, without colours.
fn complaint(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut plain = String::new();
    let mut in_escape = false;
    for c in text.chars() {
        match c {
            '\u{1b}' => in_escape = true,
            'm' if in_escape => in_escape = false,
            _ if in_escape => {}
            c if c.is_control() && c != '\n' => {}
            c => plain.push(c),
        }
    }
    plain.lines().map(str::trim_end).filter(|line| !line.is_empty()).take(6).collect::<Vec<_>>().join("\n")
}

/// The text with the other's ends of lines: formatters know `\n` only.
fn with_ends_of(other: &str, text: String) -> String {
    let has_crlf = other.split_once('\n').is_some_and(|(first, _)| first.ends_with('\r'));
    if has_crlf && !text.contains('\r') { text.replace('\n', "\r\n") } else { text }
}

/// Where programs are. A relative entry of PATH would depend on where the server runs, and lie in a folder that is not trusted.
fn folders(path: Option<&OsStr>, home: Option<&OsStr>) -> Vec<PathBuf> {
    let path = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    let profile = home.map(|home| Path::new(home).join(".nix-profile/bin"));
    let places = PLACES.into_iter().map(PathBuf::from);
    path.into_iter().chain(profile).chain(places).filter(|folder| folder.is_absolute()).collect()
}

/// The program of a name in these folders, or at its own absolute path.
fn executable(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let is_executable = |program: &PathBuf| program::is_executable(program);
    let path = Path::new(name);
    if path.is_absolute() {
        return Some(path.to_owned()).filter(is_executable);
    }
    let is_name = path.file_name() == Some(OsString::from(name).as_os_str());
    folders.iter().filter(|_| is_name).flat_map(|folder| program::names(folder, name)).find(is_executable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_setting_is_a_name_or_a_command() {
        assert_eq!(Setting::from(json!("auto")), Setting::Auto);
        assert_eq!(Setting::from(json!(null)), Setting::Auto);
        assert_eq!(Setting::from(json!("alejandra")), Setting::Known("alejandra".into()));
        assert_eq!(Setting::from(json!(["a", "-b"])), Setting::Command(vec!["a".into(), "-b".into()]));
        for wrong in [json!("rustfmt"), json!([]), json!([""]), json!(["a", 1]), json!(true)] {
            assert!(matches!(Setting::from(wrong.clone()), Setting::Unknown(_)), "{wrong}");
        }
    }

    #[test]
    fn programs_come_from_absolute_folders_only() {
        let folders = folders(Some(OsStr::new("bin:/a:./b")), Some(OsStr::new("/home/me")));
        let expected = ["/a", "/home/me/.nix-profile/bin", PLACES[0], PLACES[1]];
        assert_eq!(folders, expected.map(PathBuf::from));
        assert_eq!(executable("../a", &["/bin".into()]), None);
        assert!(executable("sh", &["/bin".into()]).is_some());
    }

    #[test]
    fn a_complaint_is_short_and_plain() {
        assert_eq!(complaint(b"\x1b[31merror:\x1b[0m no\n\n  here\x07\n"), "error: no\n  here");
        assert_eq!(complaint("x\n".repeat(20).as_bytes()).lines().count(), 6);
    }

    #[test]
    fn a_formatter_must_keep_what_the_text_says() {
        let formatter =
            |is_known| Formatter { name: "f".into(), program: "/f".into(), arguments: Vec::new(), is_known };
        let document = Document::new("{ a=b; }");
        assert!(formatter(true).says_the_same(&document, "{ a = b; }\n"));
        assert!(!formatter(true).says_the_same(&document, "garbage"), "a name is Nix, too");
        assert!(!formatter(false).says_the_same(&document, "%%"));
        assert!(!formatter(false).says_the_same(&document, ""));
        assert!(formatter(false).says_the_same(&document, "{ a = c; }"), "a command may do more than layout");
    }

    #[test]
    fn ends_of_lines_stay() {
        assert_eq!(with_ends_of("a\r\nb", "a\nc\n".into()), "a\r\nc\r\n");
        assert_eq!(with_ends_of("a\nb\r\n", "a\nc\n".into()), "a\nc\n");
    }
}
