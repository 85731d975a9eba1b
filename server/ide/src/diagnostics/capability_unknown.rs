//! `capability-unknown`: no such capability. NixOS refuses the whole module for it.

use super::{Context, Finding, nearest};
use crate::{DiagnosticCode, Edit, Severity};
use codchi_module::{OptionPath, OptionType, Options};

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    if cx.facts.capabilities.is_empty() {
        return;
    }
    let known = capability_names();
    for capability in cx.facts.capabilities.iter().filter(|used| !known.contains(&used.name.as_str())) {
        let (name, range) = (&capability.name, capability.range);
        let nearest = nearest(name, known.iter().copied());
        let message = match nearest {
            Some(near) => format!("There is no capability `{name}`. Did you mean `{near}`?"),
            None => format!("There is no capability `{name}`. There are: {}.", known.join(", ")),
        };
        let mut finding = Finding::new(DiagnosticCode::CapabilityUnknown, Severity::Error, range, message);
        if let Some(near) = nearest {
            let edit = Edit { range, new_text: format!("\"{near}\"") };
            finding = finding.edit(format!("Did you mean `{near}`?"), vec![edit]);
        }
        findings.push(finding);
    }
}

/// The names that a module may ask for, as the options say.
pub(crate) fn capability_names() -> Vec<&'static str> {
    let path = OptionPath::new(["codchi", "requiredCapabilities"]);
    match Options::builtin().kind(&path) {
        Some(OptionType::ListOf { of }) => match of.as_ref() {
            OptionType::Enum { values } => values.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Whether the option's elements are capabilities.
pub(crate) fn is_capability_list(path: &OptionPath) -> bool {
    matches!(&*path.0, [codchi, list]
        if codchi == "codchi" && matches!(list.as_str(), "requiredCapabilities" | "optionalCapabilities"))
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn the_nearest_capability_is_suggested() {
        check(
            r#"{ codchi.requiredCapabilities = [ "gpu" "cudda" ]; }"#,
            expect![[r#"
            error capability-unknown at `"cudda"`: There is no capability `cudda`. Did you mean `cuda`?
        "#]],
        );
        check(
            r#"{ codchi.optionalCapabilities = [ "sshagent" ]; }"#,
            expect![[r#"
            error capability-unknown at `"sshagent"`: There is no capability `sshagent`. Did you mean `ssh-agent`?
        "#]],
        );
    }

    #[test]
    fn where_nothing_is_near_all_are_listed() {
        check(
            r#"{ codchi.requiredCapabilities = [ "bluetooth" ]; }"#,
            expect![[r#"
            error capability-unknown at `"bluetooth"`: There is no capability `bluetooth`. There are: gpu, cuda, audio, display, usb, ssh-agent, kvm, nesting, fuse, tun.
        "#]],
        );
    }
}
