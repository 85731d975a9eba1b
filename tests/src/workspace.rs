//! A workspace as large ones are: a flake, groups of modules that import each other, and one very long module.

use std::path::Path;

/// How many files are in a folder of modules.
const GROUP: usize = 25;

/// What each block of a module begins with.
const BLOCK: &str = "  # The backend number ";

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
{BLOCK}{n}: it needs a token and a key.
  codchi.secrets.TOKEN_{n} = {{
    description = "The token of backend {n}, from https://example.org/{n}";
    required = {required};
    pattern = "tok-[0-9a-f]{{32}}";
  }};
  codchi.secrets.file.KEY_{n} = {{
    description = "The key of backend {n}";
    required = false;
  }};
  users.users."backend-{n}".packages = with pkgs; [
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
        required = n.is_multiple_of(30),
        port = 8000 + n,
    )
}

/// What a person types into a [module]: new definitions in places all over it, letter by letter, each with its line and the
/// character there. As in most editors, what closes a brace or a quote comes with it. What stands there between two letters
/// is mostly no Nix.
pub fn typing(mut module: String) -> impl Iterator<Item = Typed> {
    const DEFINITIONS: [&str; 3] = [
        "  codchi.docker.enable = true;\n",
        "  services.postgresql.package = pkgs.postgresql_17;\n",
        "  codchi.secrets.NEW = { description = \"Asked for by nobody\"; };\n",
    ];
    let blocks = module.matches(BLOCK).count().max(1);
    (0..).flat_map(move |n: usize| {
        let at = module.match_indices(BLOCK).nth((n * 37) % blocks).map_or(0, |(at, _)| at);
        let line = module[..at].matches('\n').count();
        let definition = DEFINITIONS[n % DEFINITIONS.len()];
        module.insert_str(at, definition);
        let mut is_quoted = false;
        definition.chars().enumerate().filter_map(move |(character, letter)| {
            is_quoted ^= letter == '"';
            let text = match letter {
                '"' if is_quoted => "\"\"".to_owned(),
                '{' => "{}".to_owned(),
                // Typed over.
                '"' | '}' => return None,
                _ => letter.to_string(),
            };
            Some(Typed { line, character, text })
        })
    })
}

/// Text that is typed.
pub struct Typed {
    /// The line that it is typed into, from 0.
    pub line: usize,
    /// The character that it is typed before, from 0.
    pub character: usize,
    /// What is typed.
    pub text: String,
}

impl Typed {
    /// The text with it.
    #[must_use]
    pub fn typed_into(&self, text: &str) -> String {
        let line: usize = text.split_inclusive('\n').take(self.line).map(str::len).sum();
        let mut text = text.to_owned();
        text.insert_str(line + self.character, &self.text);
        text
    }
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
