//! A workspace as large ones are: a flake, groups of modules that import each other, and one very long module.

use std::path::Path;

/// How many files are in a folder of modules.
const GROUP: usize = 25;

/// The long module's path.
pub const LONG: &str = "hosts/workstation/codchi.nix";

/// The files of a workspace: `count` of them, and the [long module](LONG) of `lines` lines among them. Paths are relative.
#[must_use]
pub fn files(count: usize, lines: usize) -> Vec<(String, String)> {
    let modules = count.saturating_sub(4);
    let groups = modules.div_ceil(GROUP);
    let imports: String = (0..groups).map(|group| format!("    ../modules/group-{group}\n")).collect();
    let outputs: String =
        (0..groups).map(|group| format!("      group-{group} = import ./modules/group-{group};\n")).collect();
    let mut files = vec![
        (
            "flake.nix".to_owned(),
            format!(
                "{{\n  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-25.11\";\n  outputs = {{ self, nixpkgs }}: {{\n    \
                 nixosModules = {{\n      default = ./{LONG};\n{outputs}    }};\n  }};\n}}\n"
            ),
        ),
        ("lib/common.nix".to_owned(), format!("{{ lib, ... }}:\n{{\n{}}}\n", block(0))),
        ("hosts/all.nix".to_owned(), format!("{{\n  imports = [\n{imports}  ];\n}}\n")),
        (LONG.to_owned(), module(lines)),
    ];
    for n in 0..modules {
        let (group, place) = (n / GROUP, n % GROUP);
        let folder = format!("modules/group-{group}");
        // Each folder's default leads to the others of it.
        if place == 0 {
            let others: String =
                (n + 1..modules.min(n + GROUP)).map(|n| format!(" ./service-{n}.nix")).collect();
            files.push((format!("{folder}/default.nix"), format!("{{\n  imports = [{others} ];\n}}\n")));
        } else {
            files.push((format!("{folder}/service-{n}.nix"), small_module(n)));
        }
    }
    files
}

/// Writes the files below a folder.
///
/// # Panics
/// Where they cannot be written.
pub fn write(folder: &Path, files: &[(String, String)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("it is below the folder")).expect("folders can be made");
        std::fs::write(path, text).expect("it can be written");
    }
}

/// A module as people write them, of this many lines: secrets, capabilities, packages, services, conditions, scripts.
#[must_use]
pub fn module(lines: usize) -> String {
    let mut text = String::from(
        "{ config, lib, pkgs, ... }:\nlet\n  cfg = config.services;\nin\n{\n  imports = [ ../all.nix ../../lib/common.nix ];\n  \
         codchi.gpu.enable = true;\n  codchi.requiredCapabilities = [ \"gpu\" \"kvm\" \"cudda\" ];\n  \
         codchi.optionalCapabilities = [ \"audio\" ];\n",
    );
    let mut count = text.lines().count();
    for n in 0.. {
        let block = block(n);
        count += block.lines().count();
        if count >= lines {
            break;
        }
        text.push_str(&block);
    }
    text.push_str("}\n");
    text
}

fn small_module(n: usize) -> String {
    format!(
        "{{ config, lib, pkgs, ... }}:\nlet\n  cfg = config.services;\nin\n{{\n  imports = [ ../../lib/common.nix ];\n{}{}}}\n",
        block(2 * n + 1),
        block(2 * n + 2),
    )
}

fn block(n: usize) -> String {
    format!(
        r#"
  # The backend number {n}: it needs a token and a key.
  codchi.secrets.TOKEN_{n} = {{
    description = "The token of backend {n}, from https://example.org/{n}";
    required = {required};
    pattern = "tok-[0-9a-f]{{32}}";
  }};
  codchi.secrets.file.KEY_{n}.description = "The key of backend {n}";
  environment.systemPackages = with pkgs; [
    ripgrep
    (python3.withPackages (ps: [ ps.requests ps."package-{n}" ]))
    nodejs_{n}
  ];
  systemd.services."backend-{n}" = lib.mkIf (cfg.postgresql.enable && config.codchi.gpu.enable) {{
    wantedBy = [ "multi-user.target" ];
    after = [ "network.target" "postgresql.service" ];
    serviceConfig = {{
      ExecStart = "${{pkgs.backend}}/bin/backend --port {port} --name ${{toString {n}}}";
      User = "codchi";
      Restart = "on-failure";
    }};
    script = ''
      if [ -z "$CODCHI_TOKEN_{n}" ]; then
        echo "no token for ${{config.networking.hostName}}" >&2
        exit 1
      fi
    '';
  }};
"#,
        required = n.is_multiple_of(3),
        port = 8000 + n,
    )
}

/// The text with a line typed somewhere, which half of the time does not parse.
#[must_use]
pub fn keystroke(module: &str, n: usize) -> String {
    let lines = module.lines().count();
    let at = 10 + (n * 37) % lines.saturating_sub(20).max(1);
    let typed = if n.is_multiple_of(2) { "  # typing" } else { "  codchi.docker.ena" };
    let mut text = String::with_capacity(module.len() + typed.len() + 1);
    for (number, line) in module.split_inclusive('\n').enumerate() {
        text.push_str(line);
        if number == at {
            text.push_str(typed);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_has_as_many_files_and_lines_as_asked_for() {
        let files = files(100, 500);
        assert_eq!(files.len(), 100);
        let (_, long) = files.iter().find(|(path, _)| path == LONG).unwrap();
        assert!((470..=500).contains(&long.lines().count()));
    }
}
