//! Hover: an option's documentation; of a secret also whether it is set and how it reaches the machine; of a
//! capability what the host says. Options of NixOS are next door.

use crate::asked::Asked;
use crate::catalogue_hover::catalogue_hover;
use crate::markdown::{capability_markdown, host_markdown, option_markdown};
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
        let path = OptionPath::new(["codchi", "requiredCapabilities"]);
        let markdown = capability_markdown(world, &path, &used.name)?;
        return Some(Hover { markdown, range: used.range });
    }
    option_hover(world, &document, offset).or_else(|| catalogue_hover(files, world, path, &document, offset))
}

fn option_hover(world: &World, document: &Document, offset: TextSize) -> Option<Hover> {
    let root = document.root();
    let at = option_at(root.syntax(), offset)?;
    let parts = std::iter::once(option_markdown(&at.path)?).chain(host_markdown(world, &at.path));
    Some(Hover { markdown: parts.collect::<Vec<_>>().join("\n\n---\n\n"), range: at.range })
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

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use crate::{Availability, Machine, MachineModule, MachineState, World};
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let kvm = Availability {
            available: true,
            probed: "/dev/kvm can be opened".into(),
            evidence: vec!["/dev/kvm (root:kvm, 0660)".into(), "```\n[x](command:y)".into()],
            remedy: Some("Not needed".into()),
        };
        let certificates = Availability {
            available: true,
            probed: "This computer trusts 2 certificate authorities.".into(),
            evidence: (0..12).map(|number| format!("/etc/{number}.pem")).collect(),
            remedy: None,
        };
        let tokens = Availability {
            probed: "Neither gh nor glab is on this computer.".into(),
            remedy: Some("Install one of them".into()),
            ..Availability::default()
        };
        let gpu = Availability {
            available: false,
            probed: "There is no render node in /dev/dri".into(),
            remedy: Some("Load the driver of the graphics card".into()),
            ..Availability::default()
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
            host_secrets: Some(
                [("caCertificates".to_owned(), certificates), ("tokens".to_owned(), tokens)].into(),
            ),
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

            ---

            This computer does not offer `gpu`. There is no render node in /dev/dri.

            Load the driver of the graphics card.
        "#]],
        );
        check(
            "{ codchi.secrets.A.deli$0ver = [ ]; }",
            expect![[r#"
                over deliver

                `codchi.secrets.A.deliver`: list of (one of "env", "file")

                How the secret reaches the machine: `env` as the environment variable `$CODCHI_NAME`, `file` as a file on a tmpfs (never on a disk). A value of 128 KiB or more fits no variable: it is delivered as a file only.

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

            ```text
            /dev/kvm (root:kvm, 0660)
            ''' [x](command:y)
            ```
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
    fn what_is_asked_of_the_host_shows_what_it_says() {
        check(
            "{ codchi.requiredCapab$0ilities = [ ]; }",
            expect![[r#"
            over requiredCapabilities

            `codchi.requiredCapabilities`: list of (one of "gpu", "cuda", "audio", "display", "usb", "ssh-agent", "kvm", "nesting", "fuse", "tun")

            What the host must offer: a machine is not created without it.

            - `gpu`: a graphics card with a render node
            - `cuda`: an NVIDIA card with its driver
            - `audio`: a PipeWire or PulseAudio socket
            - `display`: a Wayland or X11 display
            - `usb`: USB devices
            - `ssh-agent`: a running SSH agent
            - `kvm`: hardware virtualisation
            - `nesting`: containers inside the machine
            - `fuse`: file systems in user space
            - `tun`: virtual network interfaces

            Default: `[ ]`

            Example: `[ "gpu" "kvm" ]`

            ---

            This computer offers: `kvm`. It does not offer: `gpu`.
        "#]],
        );
        check(
            "{ codchi.hostSecrets.caCertif$0icates = true; }",
            expect![[r#"
            over caCertificates

            `codchi.hostSecrets.caCertificates`: boolean

            Makes the machine trust the certificate authorities that the host trusts, e.g. those of a company's proxy.

            Default: `false`

            Example: `true`

            ---

            This computer trusts 2 certificate authorities.

            ```text
            /etc/0.pem
            /etc/1.pem
            /etc/2.pem
            /etc/3.pem
            /etc/4.pem
            /etc/5.pem
            /etc/6.pem
            /etc/7.pem
            /etc/8.pem
            /etc/9.pem
            … and 2 more
            ```
        "#]],
        );
        check(
            "{ codchi.hostSecrets = { tok$0ens = true; }; }",
            expect![[r#"
            over tokens

            `codchi.hostSecrets.tokens`: boolean

            Hands access tokens to tools in the machine, as `$GH_TOKEN`, `$GITHUB_TOKEN`, `$GITLAB_TOKEN`, `$NPM_TOKEN` and `$CARGO_REGISTRY_TOKEN`: those that are set with `codchi secret set`, else those of the host's `gh` and `glab`.

            Default: `false`

            Example: `true`

            ---

            Neither gh nor glab is on this computer.

            Install one of them.
        "#]],
        );
        check(
            "{ codchi.hostSecrets.ssh$0Keys = true; }",
            expect![[r#"
            over sshKeys

            `codchi.hostSecrets.sshKeys`: boolean

            Makes the host user's SSH keys and configuration readable in the machine's `~/.ssh`, as links to files in memory. Prefer `codchi.hostSecrets.sshAgent`, which leaves them where they are.

            Default: `false`

            Example: `true`
        "#]],
        );
    }

    #[test]
    fn other_things_show_nothing() {
        check("{ services.ng$0inx.enable = true; }", expect![[r#""#]]);
        check("{ a = \"codchi.gp$0u\"; }", expect![[r#""#]]);
    }
}
