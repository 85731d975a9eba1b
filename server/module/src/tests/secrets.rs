//! Declared secrets.

use super::{check, secrets};
use expect_test::{Expect, expect};

fn check_secrets(text: &str, expected: Expect) {
    check(secrets, text, expected);
}

#[test]
fn there_are_three_spellings() {
    let text = r#"
{
  codchi.secrets.A.description = "plain";
  codchi.secrets.env.B.description = "env";
  codchi.secrets.file.C = { description = "file"; mode = "0440"; };
  codchi.secrets = {
    D = { };
    env = { E.description = ""; };
    file.F = { required = false; };
  };
}
"#;
    check_secrets(
        text,
        expect![[r#"
            Plain A Some("plain") required=true complete at `A` in `codchi.secrets.A.description = "plain";`
            Env B Some("env") required=true complete at `B` in `codchi.secrets.env.B.description = "env";`
            File C Some("file") required=true complete at `C` in `codchi.secrets.file.C = { description = "file"; mode = "0440"; };`
            Plain D None required=true complete at `D` in `D = { };`
            Env E Some("") required=true complete at `E` in `E.description = "";`
            File F None required=false complete at `F` in `file.F = { required = false; };`
        "#]],
    );
}

#[test]
fn several_definitions_are_one_declaration() {
    let text = r#"
{ lib, ... }: {
  codchi.secrets.A.description = "first";
  codchi.secrets.A.required = false;
  codchi.secrets.B = lib.mkMerge [ { description = "b"; } { required = true; } ];
  codchi.secrets.env.A.description = "another of that name";
}
"#;
    check_secrets(
        text,
        expect![[r#"
            Plain A Some("first") required=false complete at `A` in `codchi.secrets.A.description = "first";`
            Plain B Some("b") required=true complete at `B` in `codchi.secrets.B = lib.mkMerge [ { description = "b"; } { required = true; } ];`
            Env A Some("another of that name") required=true complete at `A` in `codchi.secrets.env.A.description = "another of that name";`
        "#]],
    );
}

#[test]
fn a_declaration_is_incomplete_where_something_unseen_may_add_to_it() {
    let text = r#"
{ lib, x, ... }: {
  codchi.secrets.A = { required = true; } // x;
  codchi.secrets.B = lib.mkMerge [ { required = false; } x ];
  codchi.secrets.C = x;
  codchi.secrets.D = { inherit (x) description; };
  codchi.secrets.E = { ${x} = "text"; };
  codchi.secrets.F.description = x;
  codchi.secrets.G.description = "with ${x}";
  codchi.secrets.H = { description = "h"; };
  codchi.secrets.I.required = x;
  codchi.secrets.J = { ... }: { a = 1; };
  codchi.secrets.K = "text";
  codchi.secrets.env = { L = { }; } // x;
  codchi.secrets.file = { inherit (x) M; };
}
"#;
    check_secrets(
        text,
        expect![[r#"
            Plain A None required=true incomplete at `A` in `codchi.secrets.A = { required = true; } // x;`
            Plain B None required=false incomplete at `B` in `codchi.secrets.B = lib.mkMerge [ { required = false; } x ];`
            Plain C None required=unknown incomplete at `C` in `codchi.secrets.C = x;`
            Plain D None required=true incomplete at `D` in `codchi.secrets.D = { inherit (x) description; };`
            Plain E None required=unknown incomplete at `E` in `codchi.secrets.E = { ${x} = "text"; };`
            Plain F None required=true incomplete at `F` in `codchi.secrets.F.description = x;`
            Plain G None required=true incomplete at `G` in `codchi.secrets.G.description = "with ${x}";`
            Plain H Some("h") required=true complete at `H` in `codchi.secrets.H = { description = "h"; };`
            Plain I None required=unknown complete at `I` in `codchi.secrets.I.required = x;`
            Plain J None required=unknown incomplete at `J` in `codchi.secrets.J = { ... }: { a = 1; };`
            Plain K None required=unknown incomplete at `K` in `codchi.secrets.K = "text";`
            Env? L None required=unknown incomplete at `L` in `L = { };`
            File M None required=unknown incomplete at `M` in `M`
        "#]],
    );
}

#[test]
fn what_is_unseen_further_out_counts_too() {
    check_secrets(
        "{ x, ... }: { codchi.secrets = { A = { }; } // x; }",
        expect![[r#"
            Plain? A None required=unknown incomplete at `A` in `A = { };`
        "#]],
    );
    check_secrets(
        "{ x, ... }: { codchi.secrets = { A = { }; ${x} = { }; }; }",
        expect![[r#"
            Plain A None required=unknown incomplete at `A` in `A = { };`
        "#]],
    );
    check_secrets(
        "{ x, ... }: { codchi.secrets.A = { }; } // x",
        expect![[r#"
            Plain? A None required=unknown incomplete at `A` in `codchi.secrets.A = { };`
        "#]],
    );
    check_secrets(
        "{ lib, x, ... }: { config = lib.mkMerge [ { codchi.secrets.A = { }; } (f x) ]; }",
        expect![[r#"
            Plain A None required=unknown incomplete at `A` in `codchi.secrets.A = { };`
        "#]],
    );
    check_secrets(
        "{ x, ... }: { codchi.secrets.A = { }; inherit (x) codchi; }",
        expect![[r#"
            Plain A None required=unknown incomplete at `A` in `codchi.secrets.A = { };`
        "#]],
    );
    check_secrets(
        "{ lib, ... }: { codchi.secrets = lib.genAttrs [ \"A\" ] (name: { }); codchi.secrets.B = { }; }",
        expect![[r#"
            Plain B None required=unknown incomplete at `B` in `codchi.secrets.B = { };`
        "#]],
    );
    check_secrets(
        "{ x, ... }: { codchi.secrets.A = { }; services = x; inherit (x) boot; }",
        expect![[r#"
            Plain A None required=true complete at `A` in `codchi.secrets.A = { };`
        "#]],
    );
    check_secrets(
        "{ x, ... }: { imports = [ x ]; codchi.secrets.A = { }; }",
        expect![[r#"
            Plain A None required=true complete at `A` in `codchi.secrets.A = { };`
        "#]],
    );
}

#[test]
fn conditions_make_declarations_conditional() {
    let text = r#"
{ lib, config, ... }: {
  codchi.secrets.A = lib.mkIf config.x { description = "a"; };
  codchi.secrets.B.required = lib.mkIf config.x false;
  codchi.secrets.C.required = lib.mkIf config.x true;
  codchi.secrets.D = { required = lib.mkDefault false; };
  codchi.secrets.E = if config.x then { required = true; } else { required = false; };
  codchi.secrets.F = lib.mkIf config.x { };
  codchi.secrets.F.description = "always";
}
"#;
    check_secrets(
        text,
        expect![[r#"
            Plain? A Some("a") required=true complete at `A` in `codchi.secrets.A = lib.mkIf config.x { description = "a"; };`
            Plain B None required=unknown complete at `B` in `codchi.secrets.B.required = lib.mkIf config.x false;`
            Plain C None required=true complete at `C` in `codchi.secrets.C.required = lib.mkIf config.x true;`
            Plain D None required=unknown complete at `D` in `codchi.secrets.D = { required = lib.mkDefault false; };`
            Plain? E None required=unknown complete at `E` in `codchi.secrets.E = if config.x then { required = true; } else { required = false; };`
            Plain F Some("always") required=true complete at `F` in `codchi.secrets.F = lib.mkIf config.x { };`
        "#]],
    );
}
