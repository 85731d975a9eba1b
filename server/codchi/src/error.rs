//! Errors as a person reads them: what happened, why, and what to do next.

use crate::evaluation::Trouble;
use crate::pins::PinError;
use codchi_machine::MachineError;
use codchi_nix::{NixError, Position};
use std::error::Error;
use std::fmt::Write as _;

/// The causes of an error, nearest first, without those that their effect already tells.
fn causes(error: &(dyn Error + 'static)) -> Vec<String> {
    let mut told = error.to_string();
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !told.contains(&text) {
            causes.push(text.clone());
            told = text;
        }
        next = cause.source();
    }
    causes
}

/// What can be done about an error, where any error of its chain knows.
pub(crate) fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let hint = if let Some(error) = error.downcast_ref::<MachineError>() {
            error.hint()
        } else if let Some(error) = error.downcast_ref::<codchi_machine::VaultError>() {
            error.hint()
        } else if let Some(error) = error.downcast_ref::<codchi_driver::DriverError>() {
            error.hint()
        } else if let Some(error) = error.downcast_ref::<NixError>() {
            error.hint()
        } else if let Some(error) = error.downcast_ref::<PinError>() {
            error.hint()
        } else if let Some(error) = error.downcast_ref::<Trouble>() {
            error.hint()
        } else {
            None
        };
        if hint.is_some() {
            return hint;
        }
        next = error.source();
    }
    None
}

/// What Nix failed with, where an error of the chain is of Nix.
fn nix_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a NixError> {
    let mut next = Some(error);
    while let Some(error) = next {
        let found = match error.downcast_ref::<MachineError>() {
            Some(MachineError::Nix(nix)) => Some(nix),
            _ => error.downcast_ref::<NixError>(),
        };
        if found.is_some() {
            return found;
        }
        next = error.source();
    }
    None
}

/// Where it is, with the line itself where the file can be read.
fn place(position: &Position) -> String {
    let Position { file, line, column } = position;
    let mut text = format!("\n --> {}:{line}:{column}", file.display());
    let source = std::fs::read_to_string(file).unwrap_or_default();
    let index = usize::try_from(*line).unwrap_or_default().saturating_sub(1);
    if let Some(source) = source.lines().nth(index).filter(|source| !source.trim().is_empty()) {
        let before = usize::try_from(*column).unwrap_or_default().saturating_sub(1);
        // Tabs stay tabs, so that the mark stands below its place however wide they are.
        let indent: String = source.chars().take(before).map(|c| if c == '\t' { c } else { ' ' }).collect();
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let _ = write!(text, "\n{margin} |\n{number} | {source}\n{margin} | {indent}^");
    }
    text
}

/// The whole error in one text: message, place, `Caused by:`, `Help:`.
pub(crate) fn report(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    if let Some(NixError::Failed { position, build, .. }) = nix_error(error) {
        if let Some(position) = position {
            text.push_str(&place(position));
        }
        for line in build.iter().flat_map(|build| &build.last_lines) {
            let _ = write!(text, "\n  > {line}");
        }
    }
    let causes = causes(error);
    if !causes.is_empty() {
        text.push_str("\n\nCaused by:");
        for cause in causes {
            let _ = write!(text, "\n  {}", cause.replace('\n', "\n  "));
        }
    }
    if let Some(hint) = hint(error) {
        let _ = write!(text, "\n\nHelp: {hint}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use codchi_driver::DriverError;

    #[test]
    fn a_report_says_what_happened_and_why_and_what_to_do_next() {
        let error = MachineError::Driver(DriverError::Unreachable {
            kind: codchi_driver::DriverKind::Lxd,
            socket: "/run/lxd".into(),
            source: std::io::Error::other("connection refused"),
        });
        expect_test::expect![[r"
            LXD does not answer on /run/lxd

            Caused by:
              connection refused

            Help: Start it with `sudo systemctl start lxd` (or `sudo snap start lxd`)."]]
        .assert_eq(&report(&error));
    }

    #[test]
    fn an_error_of_nix_shows_its_place_and_what_the_builder_printed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("codchi.nix");
        std::fs::write(&file, "{\n\tä = ;\n}\n").unwrap();
        let failed = |position, build| {
            let message = "syntax error".into();
            report(&MachineError::from(NixError::Failed { message, position, trace: Vec::new(), build }))
        };
        let at = |line| Some(Position { file: file.clone(), line, column: 6 });
        let shown = file.display();
        assert_eq!(
            failed(at(2), None),
            format!("syntax error\n --> {shown}:2:6\n  |\n2 | \tä = ;\n  | \t    ^")
        );
        assert_eq!(failed(at(9), None), format!("syntax error\n --> {shown}:9:6"));
        let build =
            codchi_nix::FailedBuild { derivation: "/nix/store/a.drv".into(), last_lines: vec!["no".into()] };
        assert_eq!(failed(None, Some(Box::new(build))), "syntax error\n  > no");
    }

    #[test]
    fn a_cause_that_the_message_already_holds_is_not_repeated() {
        let error = anyhow::Error::msg("no space left").context("writing x failed: no space left");
        assert_eq!(report(error.as_ref()), "writing x failed: no space left");
    }
}
