//! Inlay hints: the host's answer beside a capability, and whether a secret has a value beside its name.

use crate::asked::Asked;
use crate::modules::Modules;
use crate::{Files, InlayHint, TextRange, World};
use std::collections::BTreeSet;
use std::path::Path;

/// The hints within `range`, in order of the text.
pub(crate) fn inlay_hints(files: &dyn Files, world: &World, path: &Path, range: TextRange) -> Vec<InlayHint> {
    let Some(document) = files.document(path) else { return Vec::new() };
    let modules = Modules::new(files);
    let asked = Asked::new(modules, world, path, &document);
    let mut hints = Vec::new();
    if let Some(host) = &world.capabilities {
        let capabilities = asked.capabilities();
        // What an evaluation does not ask for needs no answer.
        let asked = capabilities.iter().filter(|asked| asked.in_force != Some(false));
        for asked in asked.filter(|asked| range.contains_range(asked.range)) {
            let Some(answer) = host.get(&asked.name) else { continue };
            let label = if answer.available { "available" } else { "missing" };
            let remedy = answer.remedy.iter().filter(|_| !answer.available);
            let sentences = std::iter::once(&answer.probed).chain(remedy);
            let tooltip: Vec<_> = sentences.map(|text| crate::diagnostics::sentence(text)).collect();
            hints.push(InlayHint {
                offset: asked.range.end(),
                label: label.to_owned(),
                tooltip: tooltip.join(" "),
            });
        }
    }
    if let Some(for_all) = &world.secrets {
        let mut seen = BTreeSet::new();
        let mut secrets = asked.secrets();
        secrets.retain(|secret| secret.in_force != Some(false) && range.contains_range(secret.range));
        secrets.retain(|secret| seen.insert(secret.name.clone()));
        let machines = if secrets.is_empty() { Vec::new() } else { modules.machines(world, path) };
        for secret in secrets {
            let without: Vec<&str> = machines
                .iter()
                .filter(|machine| !machine.secrets.contains(&secret.name))
                .map(|machine| machine.name.as_str())
                .collect();
            let (label, tooltip) = if for_all.contains(&secret.name)
                || (without.is_empty() && !machines.is_empty())
            {
                ("set".to_owned(), format!("`{}` has a value.", secret.name))
            } else if world.secrets_elsewhere {
                continue;
            } else if without.is_empty() {
                (
                    "not set".to_owned(),
                    format!("`{}` has no value yet; it is asked for when a machine is created.", secret.name),
                )
            } else {
                let names = without.join(", ");
                (format!("not set for {names}"), format!("`{}` has no value for {names}.", secret.name))
            };
            hints.push(InlayHint { offset: secret.range.end(), label, tooltip });
        }
    }
    hints.sort_by_key(|hint| hint.offset);
    hints
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use crate::{Availability, Machine, MachineModule, MachineState, TextRange, World};
    use expect_test::{Expect, expect};

    fn check(world: World, text: &str, expected: Expect) {
        let fixture = Fixture::new(text).with(world);
        let text = fixture.text(&fixture.path);
        let all = TextRange::up_to(rnix::TextSize::of(text));
        let mut shown = text.to_owned();
        for hint in fixture.analysis().inlay_hints(&fixture.path, all).iter().rev() {
            shown.insert_str(usize::from(hint.offset), &format!("‹{}: {}›", hint.label, hint.tooltip));
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn a_capability_has_the_hosts_answer_and_a_secret_whether_it_is_set() {
        let text = "{ codchi.requiredCapabilities = [ \"gpu\" \"kvm\" \"x\" ]; codchi.secrets.A.description = \"a\"; codchi.secrets.B = { }; }";
        check(
            World::default(),
            text,
            expect![[
                r#"{ codchi.requiredCapabilities = [ "gpu" "kvm" "x" ]; codchi.secrets.A.description = "a"; codchi.secrets.B = { }; }"#
            ]],
        );
        let capability = |available| Availability {
            available,
            probed: "Looked".into(),
            remedy: Some("Do".into()),
            ..Availability::default()
        };
        let machine = |name: &str| Machine {
            name: name.into(),
            state: MachineState::Stopped,
            modules: vec![MachineModule { path: "/project".into(), output: None }],
            secrets: ["A".to_owned()].into(),
            generation: 1,
            drift: Vec::new(),
        };
        let mut world = World {
            capabilities: Some([("gpu".into(), capability(true)), ("kvm".into(), capability(false))].into()),
            secrets: Some(["A".to_owned()].into()),
            ..World::default()
        };
        check(
            world.clone(),
            text,
            expect![[
                r#"{ codchi.requiredCapabilities = [ "gpu"‹available: Looked.› "kvm"‹missing: Looked. Do.› "x" ]; codchi.secrets.A‹set: `A` has a value.›.description = "a"; codchi.secrets.B‹not set: `B` has no value yet; it is asked for when a machine is created.› = { }; }"#
            ]],
        );
        world.machines = vec![machine("m"), machine("n")];
        check(
            world,
            text,
            expect![[
                r#"{ codchi.requiredCapabilities = [ "gpu"‹available: Looked.› "kvm"‹missing: Looked. Do.› "x" ]; codchi.secrets.A‹set: `A` has a value.›.description = "a"; codchi.secrets.B‹not set for m, n: `B` has no value for m, n.› = { }; }"#
            ]],
        );
    }
}
