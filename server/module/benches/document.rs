//! What one keystroke in a large module costs: `cargo bench -p codchi-module`.

use codchi_module::Document;
use std::fmt::Write as _;

fn main() {
    divan::main();
}

/// A module of some 2,000 lines: secrets in all spellings, and what such files consist of otherwise.
fn large_module() -> String {
    let mut text = String::from("{ config, lib, pkgs, ... }:\nlet\n");
    for i in 0..100 {
        let _ = writeln!(text, "  port{i} = {};", 3000 + i);
        let _ = writeln!(text, "  name{i} = \"service-${{toString port{i}}}\";");
    }
    text.push_str("in\n{\n  imports = [ ./base.nix ../shared ];\n");
    text.push_str("  codchi.requiredCapabilities = [ \"gpu\" ] ++ lib.optional config.services.x11.enable \"display\";\n");
    for i in 0..100 {
        let _ = write!(
            text,
            r#"
  # The service number {i}, and what it needs.
  codchi.secrets.TOKEN_{i} = {{
    description = "A token for the service number {i}";
    required = {required};
    pattern = "[0-9a-f]{{32}}";
  }};
  codchi.secrets.env.OLD_{i}.description = "As an older module says it";
  systemd.services.service-{i} = lib.mkIf config.services.service-{i}.enable {{
    wantedBy = [ "multi-user.target" ];
    serviceConfig.ExecStart = "${{pkgs.hello}}/bin/hello --port ${{toString port{i}}}";
    script = ''
      echo "starting ${{name{i}}}"
      exec ${{lib.getExe pkgs.hello}}
    '';
  }};
"#,
            required = i % 2 == 0
        );
    }
    text.push_str("}\n");
    text
}

#[divan::bench]
fn parse(bencher: divan::Bencher<'_, '_>) {
    let text = large_module();
    bencher.counter(divan::counter::BytesCount::of_str(&text)).bench(|| Document::new(text.as_str()));
}

#[divan::bench]
fn facts(bencher: divan::Bencher<'_, '_>) {
    let text = large_module();
    bencher
        .with_inputs(|| Document::new(text.as_str()))
        .bench_refs(|document| document.facts().options.len());
}

#[divan::bench]
fn parse_and_facts(bencher: divan::Bencher<'_, '_>) {
    let text = large_module();
    bencher.bench(|| Document::new(text.as_str()).facts().options.len());
}

#[divan::bench]
fn syntax_errors_of_a_broken_module(bencher: divan::Bencher<'_, '_>) {
    let text = large_module().replace("number 50\";", "number 50\"");
    bencher.with_inputs(|| Document::new(text.as_str())).bench_refs(|document| document.syntax_errors());
}

#[divan::bench]
fn tokens(bencher: divan::Bencher<'_, '_>) {
    let text = large_module();
    bencher.bench(|| rnix::tokenize(&text).count());
}
