//! Snippets: a few beginnings, each a valid module when it is filled in.

use super::probe::Probe;
use crate::{Completion, CompletionKind, Edit, TextRange, TextSize};

/// A snippet; what is between `‹` and `›` is to be filled in.
struct Snippet {
    label: &'static str,
    detail: &'static str,
    text: &'static str,
}

const SECRET: Snippet = Snippet {
    label: "secret",
    detail: "a secret that each user is asked for",
    text: r#"codchi.secrets.‹NAME› = {
  description = "‹What it is for, and where to get one›";
};"#,
};

const CAPABILITIES: Snippet = Snippet {
    label: "capabilities",
    detail: "what the computer must offer",
    text: r#"codchi.requiredCapabilities = [ "‹gpu›" ];"#,
};

const SERVICE: Snippet = Snippet {
    label: "service with a secret",
    detail: "a service that starts when its secret is there",
    text: r#"codchi.secrets.‹TOKEN› = {
  description = "‹What it is for, and where to get one›";
  units = [ "‹app›" ];
};
systemd.services.‹app› = {
  wantedBy = [ "multi-user.target" ];
  script = ''
    # The secret is in the environment, as $CODCHI_‹TOKEN›.
    exec ‹program›
  '';
};"#,
};

const MODULE: Snippet = Snippet {
    label: "codchi module",
    detail: "what a code machine is made of",
    text: r#"{ pkgs, ... }:
{
  environment.systemPackages = [ pkgs.‹hello› ];

  # You are asked for it when the machine is created.
  codchi.secrets.‹NAME› = {
    description = "‹What it is for, and where to get one›";
  };
}"#,
};

const FLAKE: Snippet = Snippet {
    label: "flake with a codchi module",
    detail: "a module that is found by its repository's URL",
    text: r#"{
  description = "‹A code machine›";

  # codchi finds the module by this output. It needs no inputs: nixpkgs is chosen by each machine.
  outputs = _: {
    nixosModules.default =
      { pkgs, ... }:
      {
        environment.systemPackages = [ pkgs.‹hello› ];
      };
  };
}"#,
};

/// Those for the set of a module.
pub(super) fn in_module(probe: &Probe<'_>) -> Vec<Completion> {
    if probe.next().starts_with(['=', '.', ';']) || probe.in_string() {
        return Vec::new();
    }
    [SECRET, CAPABILITIES, SERVICE].iter().map(|snippet| snippet.completion(probe)).collect()
}

/// Those for a file that has nothing in it.
pub(super) fn in_file(probe: &Probe<'_>, is_flake: bool) -> Vec<Completion> {
    vec![if is_flake { FLAKE } else { MODULE }.completion(probe)]
}

impl Snippet {
    fn completion(&self, probe: &Probe<'_>) -> Completion {
        let (new_text, stops) = self.filled(probe.indentation);
        Completion {
            label: self.label.to_owned(),
            kind: CompletionKind::Snippet,
            detail: self.detail.to_owned(),
            documentation: format!("```nix\n{}\n```", self.text.replace(['‹', '›'], "")),
            edit: Edit { range: probe.word, new_text },
            stops,
            deprecated: false,
        }
    }

    /// The text below a line with this indentation, and what is to be filled in.
    fn filled(&self, indentation: &str) -> (String, Vec<TextRange>) {
        let mut text = String::new();
        let mut stops = Vec::new();
        let mut start = TextSize::default();
        for c in self.text.chars() {
            match c {
                '‹' => start = TextSize::of(&text),
                '›' => stops.push(TextRange::new(start, TextSize::of(&text))),
                '\n' => {
                    text.push('\n');
                    text.push_str(indentation);
                }
                c => text.push(c),
            }
        }
        (text.replace(&format!("\n{indentation}\n"), "\n\n"), stops)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::World;
    use crate::fixture::Fixture;

    /// The labels of the snippets at the cursor; each is taken, and what comes of it is a module without a fault.
    fn check(text: &str, expected: &[&str]) {
        let fixture = Fixture::new(text);
        let items = fixture.analysis().completions(&fixture.path, fixture.offset).items;
        let snippets: Vec<_> = items.iter().filter(|item| item.kind == CompletionKind::Snippet).collect();
        assert_eq!(snippets.iter().map(|item| item.label.as_str()).collect::<Vec<_>>(), expected, "{text}");
        for item in snippets {
            let mut filled = fixture.text(&fixture.path).to_owned();
            filled.replace_range(std::ops::Range::<usize>::from(item.edit.range), &item.edit.new_text);
            let filled = format!("//- {}\n{filled}", fixture.path.display());
            let world = World { secrets: Some(["NAME".into(), "TOKEN".into()].into()), ..World::default() };
            let fixture = Fixture::new(&filled).with(world);
            assert_eq!(fixture.diagnostics(), "", "{filled}");
            let facts = fixture.analysis().symbols(&fixture.path);
            assert!(!facts.is_empty(), "{filled}");
            assert!(item.stops.iter().all(|stop| !stop.is_empty()));
        }
    }

    #[test]
    fn an_empty_file_can_become_a_module_or_a_flake() {
        check("$0", &["codchi module"]);
        check("# A module.\n  m$0\n", &["codchi module"]);
        check("//- /project/flake.nix\n$0", &["flake with a codchi module"]);
        check("{ pkgs }: p$0", &[]);
    }

    #[test]
    fn a_module_can_be_given_secrets_capabilities_and_services() {
        let all = ["secret", "capabilities", "service with a secret"];
        check("{ pkgs, ... }:\n{\n  $0\n}\n", &all);
        check("{ pkgs, ... }:\n{\n  s$0\n  a.b = 1;\n}\n", &all);
        check("{ config = {\n    $0\n  }; }", &all);
        check(
            "//- /project/flake.nix\n{\n  outputs = _: {\n    nixosModules.default = {\n      $0\n    };\n  };\n}",
            &all,
        );
        check("{ $0 = 1; }", &[]);
        check("{ services = { $0 }; }", &[]);
        check("{ pkgs }: pkgs.mkShell { $0 }", &[]);
        check("let a = { $0 }; in { }", &[]);
    }
}
