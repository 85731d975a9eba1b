//! `secret-not-set`: a required secret has no value.
//!
//! A warning, since the value is asked for when a machine is created; an error where a machine of this module runs
//! without it. What counts is what the last evaluation declares, without one only what every evaluation would; and only
//! once the vault was read, and where nothing else may have the value.

use super::secret_name_invalid::is_valid;
use super::{Context, Finding};
use crate::asked::AskedSecret;
use crate::{Command, DiagnosticCode, Machine, MachineState, Severity};
use std::collections::BTreeSet;

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let Some(for_all) = cx.world.secrets.as_ref().filter(|_| !cx.world.secrets_elsewhere) else { return };
    let mut unset = cx.asked.secrets();
    unset.retain(|secret| {
        secret.required == Some(true)
            && secret.in_force == Some(true)
            && !for_all.contains(&secret.name)
            && is_valid(&secret.name)
    });
    if unset.is_empty() {
        return;
    }
    let machines = cx.modules.machines(cx.world, cx.path);
    // A secret may be declared in parts; it is missing once.
    let mut seen = BTreeSet::new();
    let unset = unset.iter().filter(|secret| seen.insert(&secret.name));
    findings.extend(unset.filter_map(|secret| finding(secret, &machines)));
}

fn finding(secret: &AskedSecret, machines: &[&Machine]) -> Option<Finding> {
    let name = &secret.name;
    let without: Vec<&&Machine> = machines.iter().filter(|machine| !machine.secrets.contains(name)).collect();
    if without.is_empty() && !machines.is_empty() {
        return None;
    }
    let running = without.iter().find(|machine| machine.state == MachineState::Running);
    let (severity, message) = match (running, without.first()) {
        (Some(machine), _) => (
            Severity::Error,
            format!(
                "The secret `{name}` has no value, and the machine `{machine}` runs without it. Set it with \
                 `codchi secret set {name}`, then rebuild the machine.",
                machine = machine.name,
            ),
        ),
        (None, Some(machine)) => (
            Severity::Warning,
            format!(
                "The secret `{name}` has no value, which the machine `{machine}` needs. Set it with \
                 `codchi secret set {name}`, or when it is asked for at the next rebuild.",
                machine = machine.name,
            ),
        ),
        (None, None) => (
            Severity::Warning,
            format!(
                "The secret `{name}` has no value. Set it with `codchi secret set {name}`, or when it is asked for as \
                 a machine is created of this module."
            ),
        ),
    };
    let set = |machine: Option<&str>| Command::SetSecret {
        name: name.clone(),
        description: secret.description.clone().unwrap_or_default(),
        machine: machine.map(str::to_owned),
    };
    let mut finding = Finding::new(DiagnosticCode::SecretNotSet, severity, secret.range, message)
        .based_on(secret.basis.cover(secret.range))
        .fix(format!("Set secret {name}…"), Vec::new(), set(None));
    for machine in without {
        let title = format!("Set secret {name} for the machine {} only…", machine.name);
        finding = finding.fix(title, Vec::new(), set(Some(&machine.name)));
    }
    Some(finding)
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use crate::{Machine, MachineModule, MachineState, World};
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let secrets = ["SET".to_owned()].into();
        let machine = |name: &str, state, path: &str, secrets: &[&str]| Machine {
            name: name.into(),
            state,
            modules: vec![MachineModule { path: path.into(), output: None }],
            secrets: secrets.iter().map(|&secret| secret.to_owned()).collect(),
            generation: 1,
            drift: Vec::new(),
        };
        let machines = vec![
            machine("on", MachineState::Running, "/running", &["SET", "OWN"]),
            machine("off", MachineState::Stopped, "/stopped/codchi.nix", &["SET", "OWN"]),
        ];
        let world = World { secrets: Some(secrets), machines, ..World::default() };
        expected.assert_eq(&Fixture::new(text).with(world).diagnostics());
    }

    #[test]
    fn nothing_is_said_before_the_vault_was_read() {
        let text = r#"{ codchi.secrets.TOKEN.description = "a token"; }"#;
        assert_eq!(Fixture::new(text).diagnostics(), "");
    }

    #[test]
    fn nothing_is_said_where_something_else_may_have_the_value() {
        let text = r#"{ codchi.secrets.TOKEN.description = "a token"; }"#;
        for (secrets_elsewhere, count) in [(false, 1), (true, 0)] {
            let world = World { secrets: Some([].into()), secrets_elsewhere, ..World::default() };
            assert_eq!(Fixture::new(text).with(world).diagnostics().lines().count(), count);
        }
    }

    #[test]
    fn a_secret_without_a_value_is_a_warning() {
        check(
            r#"{ codchi.secrets.TOKEN.description = "a token"; }"#,
            expect![[r#"
                warning secret-not-set at `TOKEN`: The secret `TOKEN` has no value. Set it with `codchi secret set TOKEN`, or when it is asked for as a machine is created of this module.
            "#]],
        );
    }

    #[test]
    fn a_secret_that_is_set_is_fine() {
        check(r#"{ codchi.secrets.SET.description = "a token"; }"#, expect![[r#""#]]);
    }

    #[test]
    fn a_secret_that_a_running_machine_lacks_is_an_error() {
        check(
            r#"//- /running/codchi.nix
{ codchi.secrets.TOKEN.description = "a token"; }"#,
            expect![[r#"
                error secret-not-set at `TOKEN`: The secret `TOKEN` has no value, and the machine `on` runs without it. Set it with `codchi secret set TOKEN`, then rebuild the machine.
            "#]],
        );
        check(
            r#"//- /running/codchi.nix
{ imports = [ ./secrets.nix ]; codchi.gpu.enable = true; }
//- /running/secrets.nix
{ codchi.secrets.TOKEN.description = "a token"; }"#,
            expect![[r#"
                /running/secrets.nix error secret-not-set at `TOKEN`: The secret `TOKEN` has no value, and the machine `on` runs without it. Set it with `codchi secret set TOKEN`, then rebuild the machine.
            "#]],
        );
    }

    #[test]
    fn a_secret_that_a_stopped_machine_lacks_is_a_warning() {
        check(
            r#"//- /stopped/codchi.nix
{ codchi.secrets.TOKEN.description = "a token"; }"#,
            expect![[r#"
                warning secret-not-set at `TOKEN`: The secret `TOKEN` has no value, which the machine `off` needs. Set it with `codchi secret set TOKEN`, or when it is asked for at the next rebuild.
            "#]],
        );
    }

    #[test]
    fn a_secret_that_is_set_for_the_machine_alone_is_fine() {
        check(
            r#"//- /running/default.nix
{ codchi.secrets.OWN.description = "a token"; }"#,
            expect![[r#""#]],
        );
        check(
            r#"//- /stopped/codchi.nix
{ codchi.secrets.env.OWN.description = "a token"; }"#,
            expect![[r#""#]],
        );
    }

    #[test]
    fn an_optional_or_conditional_secret_is_not_missed() {
        check(r#"{ codchi.secrets.A = { description = "a"; required = false; }; }"#, expect![[r#""#]]);
        check(
            r#"{ lib, config, ... }: { codchi.secrets.A = lib.mkIf config.x { description = "a"; }; }"#,
            expect![""],
        );
        check(
            r#"{ config, ... }: { codchi.secrets.A = { description = "a"; required = config.x; }; }"#,
            expect![[r#""#]],
        );
    }

    #[test]
    fn a_secret_in_parts_is_missed_once() {
        check(
            r#"{ codchi.secrets.A.description = "a"; codchi.secrets.A.multiline = true; }"#,
            expect![[r#"
                warning secret-not-set at `A`: The secret `A` has no value. Set it with `codchi secret set A`, or when it is asked for as a machine is created of this module.
            "#]],
        );
    }
}
