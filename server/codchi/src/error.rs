//! Errors as a person reads them: what happened, why, and what to do next.

use codchi_machine::MachineError;
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
        } else if let Some(error) = error.downcast_ref::<codchi_driver::DriverError>() {
            error.hint()
        } else if let Some(error) = error.downcast_ref::<codchi_nix::NixError>() {
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

/// The whole error in one text: message, `Caused by:`, `Help:`.
pub(crate) fn report(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
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
    fn a_cause_that_the_message_already_holds_is_not_repeated() {
        let error = anyhow::Error::msg("no space left").context("writing x failed: no space left");
        assert_eq!(report(error.as_ref()), "writing x failed: no space left");
    }
}
