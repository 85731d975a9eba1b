//! Document links: paths of files that are there, and the pages of flake inputs.

use crate::modules::{Modules, Resolved};
use crate::{Files, Link, LinkTarget, TextRange};
use rnix::SyntaxKind;
use std::path::Path;

/// The links of a file, in order of the text.
pub(crate) fn links(files: &dyn Files, path: &Path) -> Vec<Link> {
    let (Some(document), Some(facts)) = (files.document(path), files.facts(path)) else { return Vec::new() };
    let modules = Modules::new(files);
    let root = document.root();
    let nodes = rowan::ast::AstNode::syntax(&root).descendants();
    let paths =
        nodes.filter(|node| matches!(node.kind(), SyntaxKind::NODE_PATH_REL | SyntaxKind::NODE_PATH_ABS));
    let mut links: Vec<Link> = paths
        .filter_map(|node| {
            let Resolved::File(target) = modules.resolve(path, &node.text().to_string()) else { return None };
            Some(Link { range: node.text_range(), target: LinkTarget::File(target) })
        })
        .collect();
    links.extend(facts.flake_inputs.iter().filter_map(|input| {
        let (url, range) = input.url.as_ref()?;
        let inner = TextRange::new(
            range.start() + rnix::TextSize::of('"'),
            range.end().checked_sub(rnix::TextSize::of('"'))?,
        );
        Some(Link { range: inner, target: LinkTarget::Page(page(url)?) })
    }));
    links.sort_by_key(|link| link.range.start());
    links
}

/// The page of a flake reference, where its kind has one: `github:OWNER/REPO/REF`, `gitlab:…`, `sourcehut:…`.
fn page(url: &str) -> Option<String> {
    let (kind, rest) = url.split_once(':')?;
    let rest = rest.split(['?', '#']).next()?;
    let parts: Vec<&str> = rest.split('/').collect();
    let (owner, repo, reference) = match parts.as_slice() {
        [owner, repo] => (owner, repo, None),
        [owner, repo, reference @ ..] => (owner, repo, Some(reference.join("/"))),
        _ => return None,
    };
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~%/".contains(c))
    };
    if !plain(owner) || !plain(repo) || !reference.iter().all(|reference| plain(reference)) {
        return None;
    }
    let (host, tree) = match kind {
        "github" => ("https://github.com", "tree"),
        "gitlab" => ("https://gitlab.com", "-/tree"),
        "sourcehut" => ("https://git.sr.ht", "tree"),
        _ => return None,
    };
    Some(match reference {
        Some(reference) => format!("{host}/{owner}/{repo}/{tree}/{reference}"),
        None => format!("{host}/{owner}/{repo}"),
    })
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::expect;

    #[test]
    fn paths_that_exist_and_inputs_are_links() {
        let text = "//- /project/flake.nix\n{ inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-unstable\"; inputs.b.url = \"path:./b\"; \
                    inputs.c.url = \"github:a/b?dir=x\"; outputs = _: { nixosModules.default = import ./m.nix; a = ./missing.nix; b = ./sub; }; }\n\
                    //- /project/m.nix\n{ }\n//- /project/sub/default.nix\n{ }";
        let fixture = Fixture::new(text);
        let links = fixture.analysis().links(&fixture.path);
        let text = fixture.text(&fixture.path);
        let shown: String =
            links.iter().map(|link| format!("{} -> {:?}\n", &text[link.range], link.target)).collect();
        expect![[r#"
            github:NixOS/nixpkgs/nixos-unstable -> Page("https://github.com/NixOS/nixpkgs/tree/nixos-unstable")
            github:a/b?dir=x -> Page("https://github.com/a/b")
            ./m.nix -> File("/project/m.nix")
            ./sub -> File("/project/sub/default.nix")
        "#]].assert_eq(&shown);
    }
}
