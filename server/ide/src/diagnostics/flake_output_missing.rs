//! `flake-output-missing`: a machine is made of a module output that this flake does not have (any more).
//!
//! Only where all of the flake's outputs are visible.

use super::{Context, Finding, nearest};
use crate::syntax::names;
use crate::{DiagnosticCode, Edit, Severity, TextRange};
use codchi_module::is_identifier;
use rnix::ast::{Expr, HasEntry as _};
use rowan::ast::AstNode as _;

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let is_flake = cx.path.file_name().is_some_and(|name| name == "flake.nix");
    if !is_flake || cx.facts.flake_modules_unseen || cx.facts.has_syntax_errors {
        return;
    }
    let (Some(folder), Some(range)) = (cx.path.parent(), outputs(cx)) else { return };
    let known: Vec<&str> = cx.facts.flake_modules.iter().map(|module| module.name.as_str()).collect();
    for machine in &cx.world.machines {
        for module in machine.modules.iter().filter(|module| module.path == folder) {
            let output = module.output.as_deref().unwrap_or("default");
            if known.contains(&output) {
                continue;
            }
            let has = match nearest(output, known.iter().copied()) {
                Some(near) => format!("Was it renamed to `{near}`?"),
                None if known.is_empty() => "It has no module outputs.".to_owned(),
                None => format!("It has `{}`.", known.join("`, `")),
            };
            let message = format!(
                "The machine `{}` is made of the module output `{output}`, which this flake does not have. {has} The \
                 machine cannot be rebuilt until there is one of that name, or it is created anew of another.",
                machine.name,
            );
            let finding = Finding::new(DiagnosticCode::FlakeOutputMissing, Severity::Error, range, message);
            findings.push(renamed(cx, finding.based_on_all(cx), output, &known));
        }
    }
}

/// With a fix that gives the output which was probably renamed its name back.
fn renamed(cx: &Context<'_>, finding: Finding, output: &str, known: &[&str]) -> Finding {
    let near = nearest(output, known.iter().copied());
    let module = near.and_then(|near| cx.facts.flake_modules.iter().find(|module| module.name == near));
    match module {
        Some(module) => {
            let new_text = if is_identifier(output) { output.to_owned() } else { format!("{output:?}") };
            let edit = Edit { range: module.range, new_text };
            let finding = finding.related(
                cx.path,
                module.range,
                format!("`{}` may be the new name of it", module.name),
            );
            finding.edit(format!("Rename the output `{}` to `{output}`", module.name), vec![edit])
        }
        None => finding,
    }
}

/// Where the flake's outputs are: the name of the first module's set, else `outputs`.
fn outputs(cx: &Context<'_>) -> Option<TextRange> {
    let Expr::AttrSet(set) = cx.document.root().expr()? else { return None };
    let binding = set.attrpath_values().find(|binding| names(binding) == ["outputs"])?;
    Some(binding.attrpath()?.syntax().text_range())
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use crate::{Machine, MachineModule, MachineState, World};
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let machine = |name: &str, output: Option<&str>| Machine {
            name: name.into(),
            state: MachineState::Stopped,
            modules: vec![MachineModule { path: "/project".into(), output: output.map(Into::into) }],
            secrets: [].into(),
            generation: 1,
            drift: Vec::new(),
        };
        let world =
            World { machines: vec![machine("a", None), machine("b", Some("dev"))], ..World::default() };
        let fixture =
            Fixture::new(&format!("//- /project/flake.nix\n{text}\n//- /project/m.nix\n{{ }}")).with(world);
        expected.assert_eq(&fixture.diagnostics());
    }

    #[test]
    fn an_output_that_a_machine_needs_and_the_flake_does_not_have_is_an_error() {
        check(
            "{ outputs = _: { nixosModules.default = ./m.nix; nixosModules.development = ./m.nix; }; }",
            expect![[r#"
                /project/flake.nix error flake-output-missing at `outputs`: The machine `b` is made of the module output `dev`, which this flake does not have. It has `default`, `development`. The machine cannot be rebuilt until there is one of that name, or it is created anew of another.
            "#]],
        );
        check(
            "{ outputs = _: { }; }",
            expect![[r#"
            /project/flake.nix error flake-output-missing at `outputs`: The machine `a` is made of the module output `default`, which this flake does not have. It has no module outputs. The machine cannot be rebuilt until there is one of that name, or it is created anew of another.
            /project/flake.nix error flake-output-missing at `outputs`: The machine `b` is made of the module output `dev`, which this flake does not have. It has no module outputs. The machine cannot be rebuilt until there is one of that name, or it is created anew of another.
        "#]],
        );
    }

    #[test]
    fn an_output_that_was_renamed_can_get_its_name_back() {
        let machine = Machine {
            name: "m".into(),
            state: MachineState::Stopped,
            modules: vec![MachineModule { path: "/project".into(), output: Some("backend".into()) }],
            secrets: [].into(),
            generation: 1,
            drift: Vec::new(),
        };
        let text = "//- /project/flake.nix\n{ out$0puts = _: { nixosModules = { backends = ./m.nix; default = ./m.nix; }; }; }\n//- /project/m.nix\n{ }";
        let world = World { machines: vec![machine], ..World::default() };
        expect![[r#"
            * Rename the output `backends` to `backend`
            { outputs = _: { nixosModules = { backend = ./m.nix; default = ./m.nix; }; }; }

              Allow `flake-output-missing` on this line
            # codchi: allow flake-output-missing
            { outputs = _: { nixosModules = { backends = ./m.nix; default = ./m.nix; }; }; }

        "#]]
        .assert_eq(&Fixture::new(text).with(world).actions());
    }

    #[test]
    fn outputs_that_are_there_or_may_be_are_not_reported() {
        check(
            "{ outputs = _: { nixosModules.default = ./m.nix; codchiModules.dev = ./m.nix; }; }",
            expect![""],
        );
        check("{ outputs = { utils, ... }: utils.lib.mkFlake { }; }", expect![""]);
        check("{ outputs = _: { nixosModules = import ./all.nix; }; }", expect![""]);
        check("{ outputs = _: { nixosModules.${x} = ./m.nix; }; }", expect![""]);
    }
}
