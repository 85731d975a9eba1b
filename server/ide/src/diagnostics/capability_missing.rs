//! `capability-missing`: the host does not offer what the module asks for.
//!
//! An error where it is required, since no machine can be created here then; a hint where it is optional. What counts is
//! what the last evaluation asks for, without one only what every evaluation would; and only what the host was asked about.

use super::{Context, Finding};
use crate::{DiagnosticCode, Severity};

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let Some(host) = &cx.world.capabilities else { return };
    for asked in cx.asked.capabilities().iter().filter(|asked| asked.in_force == Some(true)) {
        let Some(answer) = host.get(&asked.name).filter(|answer| !answer.available) else { continue };
        let (severity, consequence) = if asked.required {
            (Severity::Error, "so no machine can be made of this module here")
        } else {
            (Severity::Hint, "so machines here go without it")
        };
        let mut message = format!(
            "This computer does not offer the capability `{}`, {consequence}. {}",
            asked.name,
            sentence(&answer.probed),
        );
        if let Some(remedy) = &answer.remedy {
            message.push(' ');
            message.push_str(&sentence(remedy));
        }
        findings.push(Finding::new(DiagnosticCode::CapabilityMissing, severity, asked.range, message));
    }
}

/// The text with its full stop.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use crate::{Availability, World};
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let gpu = Availability {
            available: false,
            probed: "There is no render node in /dev/dri".into(),
            remedy: Some("Load the driver of the graphics card".into()),
            ..Availability::default()
        };
        let kvm = Availability {
            available: true,
            probed: "/dev/kvm can be opened".into(),
            ..Availability::default()
        };
        let capabilities = Some([("gpu".to_owned(), gpu), ("kvm".to_owned(), kvm)].into());
        let world = World { capabilities, ..World::default() };
        expected.assert_eq(&Fixture::new(text).with(world).diagnostics());
    }

    #[test]
    fn a_required_capability_that_the_host_lacks_is_an_error() {
        check(
            r#"{ codchi.requiredCapabilities = [ "gpu" "kvm" ]; }"#,
            expect![[r#"
            error capability-missing at `"gpu"`: This computer does not offer the capability `gpu`, so no machine can be made of this module here. There is no render node in /dev/dri. Load the driver of the graphics card.
        "#]],
        );
    }

    #[test]
    fn an_optional_one_is_a_hint() {
        check(
            r#"{ codchi.optionalCapabilities = [ "gpu" ]; }"#,
            expect![[r#"
            hint capability-missing at `"gpu"`: This computer does not offer the capability `gpu`, so machines here go without it. There is no render node in /dev/dri. Load the driver of the graphics card.
        "#]],
        );
    }

    #[test]
    fn what_the_host_was_not_asked_about_and_what_is_conditional_is_not_reported() {
        check(r#"{ codchi.requiredCapabilities = [ "usb" ]; }"#, expect![[r#""#]]);
        check(
            r#"{ lib, config, ... }: { codchi.requiredCapabilities = lib.optional config.x "gpu"; }"#,
            expect![[r#""#]],
        );
    }
}
