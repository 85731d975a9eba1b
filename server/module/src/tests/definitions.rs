use super::{check, options, others, secrets};
use expect_test::expect;

#[test]
fn sets_may_be_nested_or_dotted_in_any_mixture() {
    let text = r#"
{ pkgs, lib, ... }: {
  imports = [ ./a.nix ../b ] ++ lib.optional true ./c.nix;
  codchi.secrets.TOKEN.description = "A token";
  codchi = {
    gpu.enable = true;
    "secrets".env = { OLD = { description = "old"; required = false; }; };
    requiredCapabilities = [ "gpu" ] ++ lib.optionals x [ "cuda" ];
  };
  codchi.secrets = { file."KEY".mode = "0440"; };
  services.nginx.enable = true;
}
"#;
    check(
        options,
        text,
        expect![[r#"
        codchi.secrets.TOKEN.description [codchi secrets TOKEN description] = String("A token")
        codchi [codchi] = Set
        codchi.gpu.enable [gpu enable] = Bool(true)
        codchi.secrets.env ["secrets" env] = Set
        codchi.secrets.env.OLD [OLD] = Set
        codchi.secrets.env.OLD.description [description] = String("old")
        codchi.secrets.env.OLD.required [required] = Bool(false)
        codchi.requiredCapabilities [requiredCapabilities] = Unknown
        codchi.secrets [codchi secrets] = Set
        codchi.secrets.file.KEY.mode [file "KEY" mode] = String("0440")
    "#]],
    );
    check(
        secrets,
        text,
        expect![[r#"
        Plain TOKEN Some("A token") required=true complete at `TOKEN` in `codchi.secrets.TOKEN.description = "A token";`
        Env OLD Some("old") required=false complete at `OLD` in `OLD = { description = "old"; required = false; };`
        File KEY None required=true complete at `"KEY"` in `file."KEY".mode = "0440";`
    "#]],
    );
    check(
        others,
        text,
        expect![[r#"
        import ./a.nix at `./a.nix`
        import ../b at `../b`
        import? ./c.nix at `./c.nix`
        requires gpu at `"gpu"`
        requires? cuda at `"cuda"`
    "#]],
    );
}
