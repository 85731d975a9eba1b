//! Lenses: the machines that are made of a module, with their state and what can be done with them; where there is
//! none, one to make it.
//!
//! In a flake they stand on each module output, in a module on its first use of codchi's options or its first line. Only
//! modules have them that a machine would be made of, not the parts and libraries that such a module imports.

use crate::modules::{Modules, Source};
use crate::{Command, Drift, Facts, Files, Lens, Machine, MachineState, TextRange, TextSize, World};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) fn lenses(files: &dyn Files, world: &World, path: &Path) -> Vec<Lens> {
    // No machine can be made of a text that lies nowhere.
    let Some(document) = files.document(path).filter(|_| path.is_absolute()) else { return Vec::new() };
    let facts = document.facts();
    let modules = Modules::new(files);
    if !facts.flake_modules.is_empty() {
        let ranges = output_ranges(facts);
        let outputs = modules.outputs(path).into_iter();
        let places = outputs.filter_map(|source| {
            let name = source.output.clone().unwrap_or_else(|| "default".to_owned());
            Some((source, *ranges.get(&name)?))
        });
        return places.flat_map(|(source, range)| of_source(modules, world, &source, range, false)).collect();
    }
    if !is_whole(modules, facts, path) {
        return Vec::new();
    }
    let first = facts.options.iter().filter_map(|used| used.segments.first().copied());
    let range = first.min_by_key(|range| range.start()).unwrap_or_else(|| first_line(document.text()));
    let sources = modules.sources(path);
    let several = sources.len() > 1;
    sources.iter().flat_map(|source| of_source(modules, world, source, range, several)).collect()
}

/// Whether a machine would be made of the module as it is.
fn is_whole(modules: Modules<'_>, facts: &Facts, path: &Path) -> bool {
    if !facts.may_be_module {
        return false;
    }
    let is_named_so = path.file_name().is_some_and(|name| name == "codchi.nix");
    if facts.options.is_empty() {
        // One that has options of its own to offer, but sets none, is a library.
        return is_named_so && facts.declared.is_empty();
    }
    is_named_so || !modules.is_imported(path)
}

fn first_line(text: &str) -> TextRange {
    TextRange::up_to(TextSize::of(text.lines().next().unwrap_or_default()))
}

/// The range of each output's name. `codchiModules` comes before `nixosModules`, as it does for a machine.
fn output_ranges(facts: &Facts) -> BTreeMap<String, TextRange> {
    let mut ranges = BTreeMap::new();
    for module in &facts.flake_modules {
        if module.kind == "codchiModules" || !ranges.contains_key(&module.name) {
            ranges.insert(module.name.clone(), module.range);
        }
    }
    ranges
}

fn of_source(
    modules: Modules<'_>,
    world: &World,
    source: &Source,
    range: TextRange,
    name_source: bool,
) -> Vec<Lens> {
    let machines = modules.machines_of(world, source);
    if machines.is_empty() {
        let title = match source.output.as_ref().filter(|_| name_source) {
            Some(output) => format!("Open {output} in Code Machine"),
            None => "Open in Code Machine".to_owned(),
        };
        let command = Command::Create { module: source.path.clone(), output: source.output.clone() };
        return vec![Lens { range, title, command }];
    }
    machines.iter().flat_map(|machine| of_machine(machine, range)).collect()
}

fn of_machine(machine: &Machine, range: TextRange) -> Vec<Lens> {
    let name = || machine.name.clone();
    let lens = |title: &str, command: Command| Lens { range, title: title.to_owned(), command };
    let mut lenses = vec![lens(&state_title(machine), Command::None)];
    let open = || lens("Open", Command::Open { machine: name() });
    let rebuild = || lens("Rebuild", Command::Rebuild { machine: name() });
    match machine.state {
        MachineState::Running => {
            lenses.extend([open(), rebuild()]);
            // A start delivers to a machine that runs already.
            if machine.drift.contains(&Drift::SecretsChanged) {
                lenses.push(lens("Deliver Secrets", Command::Start { machine: name() }));
            }
            lenses.push(lens("Stop", Command::Stop { machine: name() }));
        }
        MachineState::Stopped => {
            lenses.extend([open(), rebuild(), lens("Start", Command::Start { machine: name() })]);
        }
        MachineState::Broken => lenses.push(rebuild()),
        // What is under way must end first; where the driver does not answer, nothing would work.
        MachineState::Busy | MachineState::Unknown => {}
    }
    lenses
}

fn state_title(machine: &Machine) -> String {
    let state = match machine.state {
        MachineState::Running => "running",
        MachineState::Stopped => "stopped",
        MachineState::Busy => "busy",
        MachineState::Broken => "broken",
        MachineState::Unknown => "state unknown",
    };
    if machine.generation == 0 {
        return format!("{} · {state}", machine.name);
    }
    let told = |drift, text| if machine.drift.contains(&drift) { text } else { "" };
    format!(
        "{} · {state} · {}generation {}{}{}",
        machine.name,
        told(Drift::ModuleChanged, "module changed since "),
        machine.generation,
        told(Drift::SecretsChanged, " · secrets changed"),
        told(Drift::InstanceChanged, " · instance changed"),
    )
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use crate::{Drift, Machine, MachineModule, MachineState, World};
    use expect_test::{Expect, expect};
    use std::collections::BTreeSet;
    use std::path::Path;

    fn check(machines: &[(&str, MachineState, &str)], text: &str, expected: Expect) {
        check_where(&[], machines, text, expected);
    }

    /// Of machines that have drifted so.
    fn check_where(drift: &[Drift], machines: &[(&str, MachineState, &str)], text: &str, expected: Expect) {
        let machine = |&(name, state, module): &(&str, MachineState, &str)| {
            let (path, output) =
                module.split_once('#').map_or((module, None), |(path, output)| (path, Some(output)));
            Machine {
                name: name.into(),
                state,
                modules: vec![MachineModule { path: path.into(), output: output.map(str::to_owned) }],
                secrets: BTreeSet::new(),
                generation: 3,
                drift: drift.to_vec(),
            }
        };
        let world = World { machines: machines.iter().map(machine).collect(), ..World::default() };
        expected.assert_eq(&Fixture::new(text).with(world).lenses());
    }

    const FLAKE: &str = "//- /a/flake.nix\n{ outputs = _: { nixosModules = { default = ./codchi.nix; rust = ./rust.nix; }; }; }\n//- /a/codchi.nix\n{ codchi.gpu.enable = true; }\n//- /a/rust.nix\n{ imports = [ ./codchi.nix ]; codchi.docker.enable = true; }";

    #[test]
    fn a_module_without_a_machine_offers_to_make_one() {
        check(
            &[],
            "{ codchi.gpu.enable = true; }",
            expect![[r#"
            /project/codchi.nix codchi: Open in Code Machine = Create { module: "/project", output: None }
        "#]],
        );
        check(
            &[],
            "//- /a/other.nix\n{ codchi.gpu.enable = true; }",
            expect![[r#"
            /a/other.nix codchi: Open in Code Machine = Create { module: "/a/other.nix", output: None }
        "#]],
        );
    }

    #[test]
    fn a_machine_shows_its_state_and_what_can_be_done() {
        let text = "{ services.x = 1; codchi.gpu.enable = true; }";
        check(
            &[("hello", MachineState::Running, "/project")],
            text,
            expect![[r#"
            /project/codchi.nix codchi: hello · running · generation 3 = None
            /project/codchi.nix codchi: Open = Open { machine: "hello" }
            /project/codchi.nix codchi: Rebuild = Rebuild { machine: "hello" }
            /project/codchi.nix codchi: Stop = Stop { machine: "hello" }
        "#]],
        );
        check(
            &[("hello", MachineState::Stopped, "/project/codchi.nix")],
            text,
            expect![[r#"
            /project/codchi.nix codchi: hello · stopped · generation 3 = None
            /project/codchi.nix codchi: Open = Open { machine: "hello" }
            /project/codchi.nix codchi: Rebuild = Rebuild { machine: "hello" }
            /project/codchi.nix codchi: Start = Start { machine: "hello" }
        "#]],
        );
        check(
            &[("hello", MachineState::Busy, "/project")],
            text,
            expect![[r#"
            /project/codchi.nix codchi: hello · busy · generation 3 = None
        "#]],
        );
        check(
            &[("hello", MachineState::Broken, "/project")],
            text,
            expect![[r#"
            /project/codchi.nix codchi: hello · broken · generation 3 = None
            /project/codchi.nix codchi: Rebuild = Rebuild { machine: "hello" }
        "#]],
        );
        check(
            &[("other", MachineState::Running, "/elsewhere")],
            text,
            expect![[r#"
            /project/codchi.nix codchi: Open in Code Machine = Create { module: "/project", output: None }
        "#]],
        );
    }

    #[test]
    fn a_machine_says_that_its_module_has_changed() {
        check_where(
            &[Drift::ModuleChanged],
            &[("hello", MachineState::Running, "/project")],
            "{ codchi.gpu.enable = true; }",
            expect![[r#"
                /project/codchi.nix codchi: hello · running · module changed since generation 3 = None
                /project/codchi.nix codchi: Open = Open { machine: "hello" }
                /project/codchi.nix codchi: Rebuild = Rebuild { machine: "hello" }
                /project/codchi.nix codchi: Stop = Stop { machine: "hello" }
            "#]],
        );
    }

    #[test]
    fn a_machine_says_what_else_has_drifted_and_offers_what_mends_it() {
        let text = "{ codchi.gpu.enable = true; }";
        check_where(
            &[Drift::SecretsChanged],
            &[("hello", MachineState::Running, "/project")],
            text,
            expect![[r#"
                /project/codchi.nix codchi: hello · running · generation 3 · secrets changed = None
                /project/codchi.nix codchi: Open = Open { machine: "hello" }
                /project/codchi.nix codchi: Rebuild = Rebuild { machine: "hello" }
                /project/codchi.nix codchi: Deliver Secrets = Start { machine: "hello" }
                /project/codchi.nix codchi: Stop = Stop { machine: "hello" }
            "#]],
        );
        check_where(
            &[Drift::InstanceChanged, Drift::ModuleChanged],
            &[("hello", MachineState::Stopped, "/project")],
            text,
            expect![[r#"
                /project/codchi.nix codchi: hello · stopped · module changed since generation 3 · instance changed = None
                /project/codchi.nix codchi: Open = Open { machine: "hello" }
                /project/codchi.nix codchi: Rebuild = Rebuild { machine: "hello" }
                /project/codchi.nix codchi: Start = Start { machine: "hello" }
            "#]],
        );
    }

    #[test]
    fn a_flake_has_lenses_on_its_outputs_and_so_has_codchi_nix() {
        check(
            &[],
            FLAKE,
            expect![[r#"
                /a/codchi.nix codchi: Open in Code Machine = Create { module: "/a", output: None }
                /a/codchi.nix codchi: Open rust in Code Machine = Create { module: "/a", output: Some("rust") }
                /a/flake.nix default: Open in Code Machine = Create { module: "/a", output: None }
                /a/flake.nix rust: Open in Code Machine = Create { module: "/a", output: Some("rust") }
            "#]],
        );
        check(
            &[("work", MachineState::Running, "/a#rust")],
            FLAKE,
            expect![[r#"
                /a/codchi.nix codchi: Open in Code Machine = Create { module: "/a", output: None }
                /a/codchi.nix codchi: work · running · generation 3 = None
                /a/codchi.nix codchi: Open = Open { machine: "work" }
                /a/codchi.nix codchi: Rebuild = Rebuild { machine: "work" }
                /a/codchi.nix codchi: Stop = Stop { machine: "work" }
                /a/flake.nix default: Open in Code Machine = Create { module: "/a", output: None }
                /a/flake.nix rust: work · running · generation 3 = None
                /a/flake.nix rust: Open = Open { machine: "work" }
                /a/flake.nix rust: Rebuild = Rebuild { machine: "work" }
                /a/flake.nix rust: Stop = Stop { machine: "work" }
            "#]],
        );
    }

    #[test]
    fn a_module_that_another_one_imports_has_none() {
        check(
            &[("hello", MachineState::Running, "/a")],
            "//- /a/codchi.nix\n{ imports = [ ./b.nix ]; codchi.gpu.enable = true; }\n//- /a/b.nix\n{ imports = [ ./c.nix ]; codchi.docker.enable = true; }\n//- /a/c.nix\n{ codchi.docker.enable = true; }",
            expect![[r#"
                /a/codchi.nix codchi: hello · running · generation 3 = None
                /a/codchi.nix codchi: Open = Open { machine: "hello" }
                /a/codchi.nix codchi: Rebuild = Rebuild { machine: "hello" }
                /a/codchi.nix codchi: Stop = Stop { machine: "hello" }
            "#]],
        );
    }

    #[test]
    fn a_module_that_sets_none_of_our_options_has_them_on_its_first_line() {
        check(
            &[],
            "{ pkgs, ... }:\n{ environment.systemPackages = [ pkgs.hello ]; }",
            expect![[r#"
            /project/codchi.nix { pkgs, ... }:: Open in Code Machine = Create { module: "/project", output: None }
        "#]],
        );
        check(
            &[],
            "//- /a/flake.nix\n{ outputs = _: { nixosModules.web = import ./web.nix; }; }\n//- /a/web.nix\n{ pkgs, ... }:\n{ }",
            expect![[r#"
                /a/flake.nix web: Open in Code Machine = Create { module: "/a", output: Some("web") }
            "#]],
        );
    }

    #[test]
    fn a_module_that_only_declares_options_has_none() {
        check(
            &[],
            "{ lib, config, ... }: { options.codchi.own.enable = lib.mkOption { }; config = lib.mkIf config.codchi.own.enable { services.x = 1; }; }",
            expect![[r#""#]],
        );
        check(
            &[],
            "{ lib, ... }: { options.codchi.own.enable = lib.mkOption { }; config.codchi.gpu.enable = true; }",
            expect![[r#"
                /project/codchi.nix codchi: Open in Code Machine = Create { module: "/project", output: None }
            "#]],
        );
    }

    /// The modules that codchi itself has are a library; its examples are not.
    #[test]
    fn of_codchis_own_modules_only_the_examples_have_some() {
        fn collect(folder: &Path, text: &mut String) {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    collect(&path, text);
                } else if path.extension().is_some_and(|extension| extension == "nix") {
                    let module = std::fs::read_to_string(&path).expect("a file");
                    text.push_str(&format!("//- {}\n{module}\n", path.display()));
                }
            }
        }
        let nix = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nix");
        let nix = nix.canonicalize().expect("the folder of the modules");
        let mut text = String::new();
        collect(&nix, &mut text);
        let lenses = Fixture::new(&text).lenses();
        let prefix = nix.join("examples").display().to_string();
        assert!(!lenses.is_empty() && lenses.lines().all(|lens| lens.starts_with(&prefix)), "{lenses}");
    }

    #[test]
    fn a_file_that_is_no_codchi_module_has_none() {
        check(&[], "//- /a/other.nix\n{ services.x = 1; }", expect![[r#""#]]);
        check(&[], "//- /a/flake.nix\n{ outputs = _: { packages = { }; }; }", expect![[r#""#]]);
    }
}
