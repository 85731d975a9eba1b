//! Units that fail at a switch: what they last said, and the definition that brought them.
//!
//! What a unit said comes from the machine's journal, so a program that prints secrets prints them here; values of the vault
//! are concealed as in the log.

use super::instance::lines;
use crate::run::Run;
use crate::{MachineError, locate};
use codchi_driver::Exec;
use codchi_nix::Position;
use ignore::WalkBuilder;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Of so many units it is told what they said, each with so many lines of so many characters.
const UNITS: usize = 3;
const LINES: usize = 10;
const WIDTH: usize = 300;
/// So many files are searched for definitions, none larger than so many bytes.
const FILES: usize = 1000;
const LARGEST: u64 = 1024 * 1024;
/// How long a journal may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

impl Run<'_> {
    /// The error of a switch at which `failed` failed.
    pub(super) async fn activation_error(&self, failed: &[String]) -> MachineError {
        let copies = self.next.copies.clone();
        let units: Vec<String> = failed.iter().take(UNITS).cloned().collect();
        let searched = tokio::task::spawn_blocking(move || {
            let files = module_files(&copies);
            units.iter().map(|unit| definition(unit, &files)).collect::<Vec<_>>()
        });
        let places = searched.await.unwrap_or_default();
        let told =
            failed.iter().enumerate().map(|(index, unit)| match places.get(index).and_then(Option::as_ref) {
                Some(Position { file, line, column }) => {
                    format!("{unit} (defined at {}:{line}:{column})", file.display())
                }
                None => unit.clone(),
            });
        let mut message = format!("these units failed: {}", told.collect::<Vec<_>>().join(", "));
        for unit in failed.iter().take(UNITS) {
            for line in self.last_lines(unit).await {
                let _ = write!(message, "\n{unit}> {line}");
            }
        }
        MachineError::Activation {
            name: self.name.to_string(),
            message,
            definition: places.into_iter().flatten().next().map(Box::new),
        }
    }

    /// What `unit` said last, without values of the vault.
    async fn last_lines(&self, unit: &str) -> Vec<String> {
        let Ok(target) = self.target() else { return Vec::new() };
        let (journalctl, count) = (target.path("sw/bin/journalctl"), LINES.to_string());
        let words =
            [&journalctl, "--unit", unit, "--lines", &count, "--output", "cat", "--no-pager", "--boot"];
        let exec = Exec::root(words);
        let asked = tokio::time::timeout(LIMIT, self.machines.driver().run(&self.instance, &exec, &[]));
        let Ok(Ok(output)) = asked.await else { return Vec::new() };
        if !output.status.success() {
            return Vec::new();
        }
        let lines = lines(&output.stdout);
        let last = lines.len().saturating_sub(LINES);
        lines[last..].iter().map(|line| self.report.concealed(line).chars().take(WIDTH).collect()).collect()
    }
}

/// The Nix files of the local modules: each where it is copied and where the user has it.
fn module_files(copies: &[crate::flake::Copied]) -> Vec<(PathBuf, PathBuf)> {
    let files = copies.iter().flat_map(|copied| {
        let walk = WalkBuilder::new(&copied.copy).standard_filters(false).build();
        walk.filter_map(Result::ok).filter_map(|entry| {
            let path = entry.path();
            let is_small = entry.metadata().is_ok_and(|m| m.is_file() && m.len() <= LARGEST);
            let relative = path.strip_prefix(&copied.copy).ok()?;
            (is_small && path.extension()? == "nix").then(|| (path.to_owned(), copied.root.join(relative)))
        })
    });
    files.take(FILES).collect()
}

/// Where the user's files define `unit`; `None` where none does in so many words.
fn definition(unit: &str, files: &[(PathBuf, PathBuf)]) -> Option<Position> {
    let (name, kind) = unit.rsplit_once('.')?;
    let kind = match kind {
        "service" | "socket" | "timer" | "path" | "target" | "slice" => format!("{kind}s"),
        _ => return None,
    };
    // Of a template's instance, the template.
    let name = name.split_once('@').map_or(name.into(), |(template, _)| format!("{template}@"));
    files.iter().find_map(|(copy, original)| {
        let place = locate::exactly(&std::fs::read_to_string(copy).ok()?, &["systemd", &kind, &name])?;
        Some(Position { file: original.clone(), ..place })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flake::Copied;

    #[test]
    fn the_definition_of_a_unit_is_found_in_the_users_own_file() {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("copy");
        std::fs::create_dir_all(copy.join("nix")).unwrap();
        std::fs::write(copy.join("codchi.nix"), "{ imports = [ ./nix/web.nix ]; systemd = import ./x; }")
            .unwrap();
        std::fs::write(
            copy.join("nix/web.nix"),
            "{ ... }: {\n  systemd.services = {\n    web.script = \"x\";\n    \"job@\".script = \"x\";\n  };\n}",
        )
        .unwrap();
        let files = module_files(&[Copied { root: "/home/me/p".into(), copy }]);
        let at = |unit: &str| {
            definition(unit, &files).map(|p| format!("{}:{}:{}", p.file.display(), p.line, p.column))
        };
        assert_eq!(at("web.service").as_deref(), Some("/home/me/p/nix/web.nix:3:5"));
        assert_eq!(at("job@1.service").as_deref(), Some("/home/me/p/nix/web.nix:4:5"));
        assert_eq!((at("web.timer"), at("other.service"), at("nonsense")), (None, None, None));
    }
}
