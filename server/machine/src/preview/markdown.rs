//! A preview as a document to read: Markdown, which is text on a terminal too.

use super::{Difference, PackageChange, Preview, UnitChanges};
use crate::gc::bytes;
use std::fmt::Write as _;
use std::path::Path;

/// How many entries a list shows; the rest is counted.
const SHOWN: usize = 200;

impl Preview {
    /// The preview as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!("# What a rebuild of {} would change\n\n", self.name);
        let _ = writeln!(text, "Compared with generation {}.\n", self.generation);
        if self.same && self.capabilities.is_empty() && self.secrets.is_empty() {
            text.push_str("Nothing: the system is the one that it has.\n");
            return text;
        }
        for reason in &self.restart {
            let _ = writeln!(text, "**Restart the machine afterwards**: {reason}.\n");
        }
        let inputs = self.inputs.iter().map(|change| format!("{}: {}", code(&change.name), change.how()));
        list(&mut text, "Modules and nixpkgs", inputs);
        difference(&mut text, "Secrets", &self.secrets);
        difference(&mut text, "Capabilities", &self.capabilities);
        if let Some(changes) = &self.packages {
            if let Some(size) = changes.size {
                let _ = writeln!(text, "The system becomes {}.\n", relative(size));
            }
            list(&mut text, "Packages added", changes.added.iter().map(package));
            list(&mut text, "Packages upgraded", changes.upgraded.iter().map(package));
            list(&mut text, "Packages removed", changes.removed.iter().map(package));
        }
        if let Some(changes) = &self.units {
            units(&mut text, changes);
        }
        list(&mut text, "To be built", self.builds.iter().map(|path| code(&name(path))));
        let heading = match &self.fetch_size {
            Some(size) => format!("To be fetched ({size})"),
            None => "To be fetched".into(),
        };
        list(&mut text, &heading, self.fetches.iter().map(|path| code(&name(path))));
        if self.packages.is_none() {
            let _ = writeln!(
                text,
                "Packages and units can be compared once the new system is built: `codchi rebuild {} --dry-run --build` \
                 builds it and does not switch to it.",
                self.name
            );
        }
        text
    }
}

fn units(text: &mut String, changes: &UnitChanges) {
    let UnitChanges { stop, start, restart, reload, keep, said_by_machine } = changes;
    let kinds = [
        ("Units that stop", stop),
        ("Units that start", start),
        ("Units that restart", restart),
        ("Units that reload", reload),
        ("Units that change with the machine's next start", keep),
    ];
    for (heading, names) in kinds {
        list(text, heading, names.iter().map(|name| code(name)));
    }
    if !said_by_machine && kinds.iter().any(|(_, names)| !names.is_empty()) {
        text.push_str("What happens to units is what their files say; the machine itself was not asked.\n\n");
    }
}

fn difference(text: &mut String, heading: &str, names: &Difference) {
    let added = names.added.iter().map(|name| format!("{} appears", code(name)));
    let removed = names.removed.iter().map(|name| format!("{} vanishes", code(name)));
    list(text, heading, added.chain(removed));
}

fn list(text: &mut String, heading: &str, entries: impl Iterator<Item = String>) {
    let mut count = 0;
    for entry in entries {
        if count == 0 {
            let _ = writeln!(text, "## {heading}\n");
        }
        if count < SHOWN {
            let _ = writeln!(text, "- {entry}");
        }
        count += 1;
    }
    if count > SHOWN {
        let _ = writeln!(text, "- … and {} more", count - SHOWN);
    }
    if count > 0 {
        text.push('\n');
    }
}

fn package(change: &PackageChange) -> String {
    let versions = match (change.before.join(", "), change.after.join(", ")) {
        (before, after) if before.is_empty() => after,
        (before, after) if after.is_empty() => before,
        (before, after) => format!("{before} → {after}"),
    };
    let size = change.size.filter(|size| *size != 0).map(|size| format!(" ({})", signed(size)));
    format!("{} {versions}{}", code(&change.name), size.unwrap_or_default())
}

/// As text that Markdown leaves alone.
fn code(text: &str) -> String {
    format!("`{}`", text.replace('`', "'"))
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.split_once('-').map_or(&*name, |(_, name)| name);
    name.strip_suffix(".drv").unwrap_or(name).into()
}

fn relative(size: i64) -> String {
    match size {
        0 => "neither larger nor smaller".into(),
        1.. => format!("{} larger", bytes(size.unsigned_abs())),
        _ => format!("{} smaller", bytes(size.unsigned_abs())),
    }
}

fn signed(size: i64) -> String {
    format!("{}{}", if size < 0 { '−' } else { '+' }, bytes(size.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::super::PackageChanges;
    use super::*;
    use crate::InputChange;
    use codchi_nix::Revision;
    use expect_test::expect;

    fn nothing() -> Preview {
        Preview {
            name: "a".parse().unwrap(),
            generation: 3,
            toplevel: "/nix/store/x-system".into(),
            same: false,
            builds: Vec::new(),
            fetches: Vec::new(),
            fetch_size: None,
            inputs: Vec::new(),
            packages: None,
            units: None,
            secrets: Difference::default(),
            capabilities: Difference::default(),
            restart: Vec::new(),
        }
    }

    #[test]
    fn a_preview_reads_as_a_document() {
        let upgraded = PackageChange {
            name: "git".into(),
            before: vec!["2.1".into()],
            after: vec!["2.2".into()],
            size: Some(3 << 20),
        };
        let revision = |commit: &str| {
            Some(Revision { commit: Some(commit.into()), hash: None, date: Some(1_762_128_000) })
        };
        let preview = Preview {
            inputs: vec![InputChange {
                name: "nixpkgs".into(),
                from: revision("0123456789"),
                to: revision("abcdefghij"),
            }],
            packages: Some(PackageChanges {
                upgraded: vec![upgraded],
                size: Some(-1500),
                ..Default::default()
            }),
            units: Some(UnitChanges { restart: vec!["web.service".into()], ..Default::default() }),
            secrets: Difference { added: vec!["TOKEN".into()], removed: Vec::new() },
            restart: vec!["because".into()],
            ..nothing()
        };
        expect![[r#"
            # What a rebuild of a would change

            Compared with generation 3.

            **Restart the machine afterwards**: because.

            ## Modules and nixpkgs

            - `nixpkgs`: 2025-11-03 0123456 → 2025-11-03 abcdefg

            ## Secrets

            - `TOKEN` appears

            The system becomes 1.4 KiB smaller.

            ## Packages upgraded

            - `git` 2.1 → 2.2 (+3.0 MiB)

            ## Units that restart

            - `web.service`

            What happens to units is what their files say; the machine itself was not asked.

        "#]]
        .assert_eq(&preview.markdown());
    }

    #[test]
    fn what_is_not_built_is_listed_and_what_is_not_known_is_said() {
        let preview = Preview {
            builds: vec!["/nix/store/h-unit-web.service.drv".into()],
            fetches: vec!["/nix/store/h-git-2.2".into()],
            fetch_size: Some("1 MiB download".into()),
            ..nothing()
        };
        expect![[r#"
            # What a rebuild of a would change

            Compared with generation 3.

            ## To be built

            - `unit-web.service`

            ## To be fetched (1 MiB download)

            - `git-2.2`

            Packages and units can be compared once the new system is built: `codchi rebuild a --dry-run --build` builds it and does not switch to it.
        "#]]
        .assert_eq(&preview.markdown());
        assert!(Preview { same: true, ..nothing() }.markdown().contains("Nothing"));
    }

    #[test]
    fn a_long_list_is_bounded() {
        let preview = Preview { builds: vec!["/nix/store/h-x.drv".into(); 500], ..nothing() };
        let text = preview.markdown();
        assert!(text.contains("- … and 300 more") && text.lines().count() < 220);
    }
}
