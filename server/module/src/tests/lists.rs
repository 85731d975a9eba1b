//! Capabilities and imports.

use super::{check, others};
use expect_test::{Expect, expect};

fn check_others(text: &str, expected: Expect) {
    check(others, text, expected);
}

#[test]
fn capabilities_are_found_in_all_parts_of_a_list_that_are_visible() {
    let text = r#"
{ lib, config, more, ... }:
let gpu = "gpu"; rest = [ "tun" ]; in
{
  codchi.requiredCapabilities = [ gpu "kvm" more "a${more}" ] ++ rest ++ more;
  codchi.optionalCapabilities =
    lib.optional config.x "audio"
    ++ lib.optionals config.x [ "display" "usb" ]
    ++ (if config.y then [ "fuse" ] else [ ])
    ++ map (name: name) [ "hidden" ];
}
"#;
    check_others(
        text,
        expect![[r#"
            requires tun at `"tun"`
            requires gpu at `gpu`
            requires kvm at `"kvm"`
            uses? audio at `"audio"`
            uses? display at `"display"`
            uses? usb at `"usb"`
            uses? fuse at `"fuse"`
        "#]],
    );
    check_others(
        "{ lib, ... }: { codchi.requiredCapabilities = lib.mkIf true (lib.mkForce [ \"gpu\" ]); }",
        expect![[r#"
            requires? gpu at `"gpu"`
        "#]],
    );
}

#[test]
fn imports_are_paths() {
    let text = r#"
{ lib, inputs, modulesPath, ... }:
let local = ./local.nix; inline = { codchi.requiredCapabilities = [ "gpu" ]; }; in
{
  imports = [
    ./a.nix
    ../b
    ./.
    /etc/c.nix
    (import ./d.nix { inherit inputs; })
    (./e + "/f.nix")
    local
    inline
    { codchi.requiredCapabilities = [ "kvm" ]; }
    ({ pkgs, ... }: { imports = [ ./g.nix ]; })
    inputs.self.nixosModules.default
    "${modulesPath}/h.nix"
    ./${lib.version}.nix
    <nixpkgs/i.nix>
    ~/j.nix
  ] ++ lib.optional (inputs ? x) ./k.nix
    ++ lib.optionals true [ ./l.nix ]
    ++ map (name: ./m + name) [ "n" ];
}
"#;
    check_others(
        text,
        expect![[r#"
            import ./a.nix at `./a.nix`
            import ../b at `../b`
            import ./. at `./.`
            import /etc/c.nix at `/etc/c.nix`
            import ./d.nix at `./d.nix`
            import ./e/f.nix at `./e + "/f.nix"`
            import ./local.nix at `local`
            import ./g.nix at `./g.nix`
            import? ./k.nix at `./k.nix`
            import? ./l.nix at `./l.nix`
            requires gpu at `"gpu"`
            requires kvm at `"kvm"`
        "#]],
    );
    check_others("{ config.imports = [ ./a ]; codchi.imports = [ ./b ]; }", expect![[r#""#]]);
    check_others(
        "{ imports = with x; [ ./a ]; config = { }; }",
        expect![[r#"
            import ./a at `./a`
        "#]],
    );
}
