//! Hover: an option's documentation; of a secret also whether it is set and how it reaches the machine; of a
//! capability what the host says. Options of NixOS are next door.

use crate::asked::Asked;
use crate::catalogue_hover::catalogue_hover;
use crate::diagnostics::sentence;
use crate::markdown::{capability_markdown, option_markdown};
use crate::modules::Modules;
use crate::syntax::option_at;
use crate::{Document, Files, Hover, TextSize, World};
use codchi_module::{Facts, Literal, OptionPath, SecretDeclaration, SecretSpelling};
use rowan::ast::AstNode;
use std::path::Path;

pub(crate) fn hover(files: &dyn Files, world: &World, path: &Path, offset: TextSize) -> Option<Hover> {
    let document = files.document(path)?;
    let facts = document.facts();
    if let Some(secret) = facts.secrets.iter().find(|s| s.name_range.contains_inclusive(offset)) {
        let markdown = secret_markdown(files, world, path, &document, secret);
        return Some(Hover { markdown, range: secret.name_range });
    }
    if let Some(used) = facts.capabilities.iter().find(|used| used.range.contains_inclusive(offset)) {
        let markdown = host_markdown(world, &used.name)?;
        return Some(Hover { markdown, range: used.range });
    }
    option_hover(&document, offset).or_else(|| catalogue_hover(files, world, path, &document, offset))
}

fn option_hover(document: &Document, offset: TextSize) -> Option<Hover> {
    let root = document.root();
    let at = option_at(root.syntax(), offset)?;
    Some(Hover { markdown: option_markdown(&at.path)?, range: at.range })
}

fn secret_markdown(
    files: &dyn Files,
    world: &World,
    path: &Path,
    document: &Document,
    secret: &SecretDeclaration,
) -> String {
    let name = &secret.name;
    let asked = Asked::new(Modules::new(files), world, path, document).secrets();
    let asked = asked.iter().find(|asked| asked.range == secret.name_range);
    let required = asked.map_or(secret.required, |asked| asked.required);
    let optional = if required == Some(false) { "optional user secret" } else { "user secret" };
    let mut parts = vec![format!("`{name}`: {optional}")];
    parts.extend(asked.and_then(|asked| asked.description.as_ref()).map(|text| text.trim().to_owned()));
    parts.extend(delivery(document.facts(), secret));
    if asked.is_some_and(|asked| asked.in_force == Some(false)) {
        parts.push("Nobody is asked for it: the module does not declare it as it is.".to_owned());
    } else {
        parts.extend(value_state(files, world, path, name));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// How it reaches the machine; `None` where that is only known after evaluation.
fn delivery(facts: &Facts, secret: &SecretDeclaration) -> Option<String> {
    let (as_env, as_file) = match secret.spelling {
        SecretSpelling::Env => (true, false),
        SecretSpelling::File => (false, true),
        SecretSpelling::Plain => {
            let path = OptionPath::new(["codchi", "secrets", secret.name.as_str(), "deliver"]);
            match facts.options.iter().find(|used| used.path == path).map(|used| &used.value) {
                None => (true, true),
                Some(Literal::List(elements)) => {
                    let names = |name: &str| {
                        elements.iter().any(|(element, _)| matches!(element, Literal::String(s) if s == name))
                    };
                    (names("env"), names("file"))
                }
                Some(_) => return None,
            }
        }
    };
    let name = &secret.name;
    let ways: Vec<String> = [
        as_env.then(|| format!("the environment variable `$CODCHI_{name}`")),
        as_file.then(|| format!("the file `/run/codchi/secrets/{name}`")),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!ways.is_empty()).then(|| format!("In the machine: {}.", ways.join(" and ")))
}

/// Whether it has a value; `None` where the vault was not read.
fn value_state(files: &dyn Files, world: &World, path: &Path, name: &str) -> Option<String> {
    let for_all = world.secrets.as_ref()?;
    if for_all.contains(name) {
        return Some("It has a value for all machines.".to_owned());
    }
    let machines = Modules::new(files).machines(world, path);
    let with = machines.iter().filter(|machine| machine.secrets.contains(name));
    let with: Vec<String> = with.map(|machine| format!("`{}`", machine.name)).collect();
    Some(match with.as_slice() {
        [] if world.secrets_elsewhere => return None,
        [] => "It has no value yet.".to_owned(),
        [machine] => format!("It has a value for the machine {machine}."),
        several => format!("It has a value for the machines {}.", several.join(", ")),
    })
}

fn host_markdown(world: &World, name: &str) -> Option<String> {
    let path = OptionPath::new(["codchi", "requiredCapabilities"]);
    let mut parts = vec![capability_markdown(&path, name)?];
    if let Some(answer) = world.capabilities.as_ref().and_then(|host| host.get(name)) {
        let offers =
            if answer.available { "This computer offers it." } else { "This computer does not offer it." };
        parts.push(format!("{offers} {}", sentence(&answer.probed)).trim_end().to_owned());
        if let Some(remedy) = answer.remedy.as_ref().filter(|_| !answer.available) {
            parts.push(sentence(remedy));
        }
    }
    Some(parts.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use crate::{Capability, Machine, MachineModule, MachineState, World};
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let kvm = Capability { available: true, probed: "/dev/kvm can be opened".into(), remedy: None };
        let gpu = Capability {
            available: false,
            probed: "There is no render node in /dev/dri".into(),
            remedy: Some("Load the driver of the graphics card".into()),
        };
        let machine = Machine {
            name: "hello".into(),
            state: MachineState::Running,
            modules: vec![MachineModule { path: "/project".into(), output: None }],
            secrets: ["OWN".to_owned()].into(),
            generation: 1,
            drift: Vec::new(),
        };
        let world = World {
            capabilities: Some([("gpu".to_owned(), gpu), ("kvm".to_owned(), kvm)].into()),
            secrets: Some(["SET".to_owned()].into()),
            machines: vec![machine],
            ..World::default()
        };
        expected.assert_eq(&Fixture::new(text).with(world).hover());
    }

    #[test]
    fn an_option_shows_its_documentation() {
        check(
            "{ codchi.gpu.ena$0ble = true; }",
            expect![[r#"
            over enable

            `codchi.gpu.enable`: boolean

            Makes the host's graphics card usable in the machine: the device nodes, and the drivers in the machine's system.

            The machine is also created where the host has none; to refuse that, name `gpu` in `codchi.requiredCapabilities`.

            Default: `false`

            Example: `true`
        "#]],
        );
        check(
            "{ codchi.secrets.A.deli$0ver = [ ]; }",
            expect![[r#"
            over deliver

            `codchi.secrets.A.deliver`: list of (one of "env", "file")

            How the secret reaches the machine: `env` as the environment variable `$CODCHI_NAME`, `file` as a file on a tmpfs (never on a disk).

            Default: `[ "env" "file" ]`

            Example: `[ "file" ]`
        "#]],
        );
        check(
            "{ config, ... }: { a = config.codchi.init$0Script; }",
            expect![[r#"
                over initScript

                `codchi.initScript`: lines of text

                A shell script that runs once, as the machine's user in the home folder, after the machine was created and before it is opened. Secrets are in its environment.

                Use it to clone repositories or to fill a database; what should be the same after each rebuild belongs into the module instead.

                Default: `""`

                Example:

                ```nix
                ''
                  git clone https://example.org/project.git
                ''
                ```
            "#]],
        );
    }

    #[test]
    fn a_set_of_options_lists_them() {
        check(
            "{ codchi.dock$0er.enable = true; }",
            expect![[r#"
            over docker

            `codchi.docker`: options

            - `enable`: Runs a Docker daemon in the machine, and lets the machine's user use it without `sudo`.
            - `enableNvidia`: Hands the host's NVIDIA graphics card on to Docker containers (`docker run --device nvidia.com/gpu=all …`).
        "#]],
        );
    }

    #[test]
    fn a_secret_shows_how_it_reaches_the_machine_and_whether_it_is_set() {
        check(
            "{ codchi.secrets.A$0 = { description = \"The key.\"; required = false; }; }",
            expect![[r#"
                over A

                `A`: optional user secret

                The key.

                In the machine: the environment variable `$CODCHI_A` and the file `/run/codchi/secrets/A`.

                It has no value yet.
            "#]],
        );
        check(
            "{ codchi.secrets.env.S$0ET.description = \"The key.\"; }",
            expect![[r#"
            over SET

            `SET`: user secret

            The key.

            In the machine: the environment variable `$CODCHI_SET`.

            It has a value for all machines.
        "#]],
        );
        check(
            "{ codchi.secrets.file.O$0WN.description = \"The key.\"; }",
            expect![[r#"
            over OWN

            `OWN`: user secret

            The key.

            In the machine: the file `/run/codchi/secrets/OWN`.

            It has a value for the machine `hello`.
        "#]],
        );
        check(
            "{ codchi.secrets.A$0 = { description = \"The key.\"; deliver = [ \"file\" ]; }; }",
            expect![[r#"
                over A

                `A`: user secret

                The key.

                In the machine: the file `/run/codchi/secrets/A`.

                It has no value yet.
            "#]],
        );
    }

    #[test]
    fn a_capability_shows_what_the_host_says() {
        check(
            "{ codchi.requiredCapabilities = [ \"kv$0m\" ]; }",
            expect![[r#"
            over "kvm"

            `kvm`: hardware virtualisation

            This computer offers it. /dev/kvm can be opened.
        "#]],
        );
        check(
            "{ codchi.optionalCapabilities = [ \"gp$0u\" ]; }",
            expect![[r#"
            over "gpu"

            `gpu`: a graphics card with a render node

            This computer does not offer it. There is no render node in /dev/dri.

            Load the driver of the graphics card.
        "#]],
        );
        check(
            "{ codchi.optionalCapabilities = [ \"u$0sb\" ]; }",
            expect![[r#"
            over "usb"

            `usb`: USB devices
        "#]],
        );
    }

    #[test]
    fn other_things_show_nothing() {
        check("{ services.ng$0inx.enable = true; }", expect![[r#""#]]);
        check("{ a = \"codchi.gp$0u\"; }", expect![[r#""#]]);
    }
}
