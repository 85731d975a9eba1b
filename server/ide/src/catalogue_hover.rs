//! Hover over options of the module's catalogue: all but codchi's own.

use crate::catalogue::{catalogue, option_at};
use crate::module_path::name_at;
use crate::nixos_markdown::{documented, listed};
use crate::{Document, Files, Hover, TextSize, World};
use std::path::Path;

/// Of an option its documentation; of what only leads to options: which those are.
pub(crate) fn catalogue_hover(
    files: &dyn Files,
    world: &World,
    path: &Path,
    document: &Document,
    offset: TextSize,
) -> Option<Hover> {
    if let Some((name, option)) = option_at(files, world, path, document, offset) {
        return Some(Hover { markdown: documented(&option.path, &option), range: name.range });
    }
    let name = name_at(document, path, offset)?;
    let children = catalogue(files, world, path)?.children(&name.path);
    let markdown = listed(&name.path, &children)?;
    Some(Hover { markdown, range: name.range })
}

#[cfg(test)]
mod tests {
    use crate::World;
    use crate::fixture::{Fixture, Table};
    use expect_test::{Expect, expect};
    use std::sync::Arc;

    /// With a catalogue.
    fn check_known(text: &str, expected: Expect) {
        const TABLE: &str = r##"
environment.variables = attribute set of string
  Variables of the *environment*, see [](#opt-environment.profiles).
services.nginx.enable = boolean
  default: false
  example: true
  Whether to enable {command}`nginx`.
services.nginx.package = package
  read-only
  The package <b>in use</b>.
services.nginx.virtualHosts = attribute set of (submodule)
services.nginx.virtualHosts.<name>.root = null or path
  default: null
  The root of a host.
"##;
        let catalogues = [(("/project".into(), None), Arc::new(Table::new(TABLE)) as _)].into();
        expected.assert_eq(&Fixture::new(text).with(World { catalogues, ..World::default() }).hover());
    }

    #[test]
    fn an_option_of_nixos_shows_its_documentation() {
        check_known(
            "{ services.nginx.en$0able = true; }",
            expect![[r#"
            over enable

            `services.nginx.enable`: boolean

            Whether to enable `nginx`.

            Default: `false`

            Example: `true`
        "#]],
        );
        check_known(
            "{ config, ... }: { a = config.services.nginx.pack$0age; }",
            expect![[r#"
            over package

            `services.nginx.package`: package

            It can only be read.

            The package in use.
        "#]],
        );
        check_known(
            "{ config, ... }: let cfg = config.services.nginx; in { a = cfg.ena$0ble; }",
            expect![[r#"
                over enable

                `services.nginx.enable`: boolean

                Whether to enable `nginx`.

                Default: `false`

                Example: `true`
            "#]],
        );
        check_known(
            "{ services.nginx.virtualHosts.\"a.b\" = { ro$0ot = ./.; }; }",
            expect![[r#"
            over root

            `services.nginx.virtualHosts."a.b".root`: null or path

            The root of a host.

            Default: `null`
        "#]],
        );
        check_known(
            "{ services.ngi$0nx = { }; }",
            expect![[r#"
            over nginx

            `services.nginx`: options

            - `enable`: boolean
            - `package`: package
            - `virtualHosts`: attribute set of (submodule)
        "#]],
        );
    }

    #[test]
    fn a_name_in_the_value_of_an_option_shows_that_option() {
        check_known(
            "{ environment.variables.A$0 = \"a\"; }",
            expect![[r#"
            over A

            `environment.variables`: attribute set of string

            Variables of the *environment*, see `environment.profiles`.
        "#]],
        );
    }

    #[test]
    fn what_is_no_option_of_the_module_shows_nothing() {
        for text in [
            "{ services.unheard.en$0able = true; }",
            "{ services.nginx.enable.mo$0re = true; }",
            "{ options.services.nginx.en$0able = 1; }",
            "{ pkgs }: pkgs.mkShell { services.nginx.en$0able = true; }",
            "let services.nginx.ena$0ble = 1; in { }",
            "{ a = other.services.nginx.en$0able; }",
            "{ pkgs, ... }: { a = pkgs.hel$0lo; }",
            "//- /project/flake.nix\n{ services.nginx.en$0able = 1; }",
        ] {
            check_known(text, expect![""]);
        }
    }
}
