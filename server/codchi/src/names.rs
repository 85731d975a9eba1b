//! Names for new machines.

use codchi_machine::{MachineName, ModuleSource, SourceKind};

/// What [`MachineName`] takes, as a regular expression for those who check while a person types.
pub(crate) const PATTERN: &str = "[a-z][a-z0-9]*(-[a-z0-9]+)*";

/// The same in words, for who breaks it.
pub(crate) const RULE: &str =
    "Use lowercase letters, digits and single hyphens, starting with a letter, at most 40.";

/// A name for a machine of `module` that is not taken: that of its folder or repository.
pub(crate) fn suggest(module: &ModuleSource, taken: &[MachineName]) -> MachineName {
    let url;
    let text = match &module.kind {
        SourceKind::Folder(folder) => folder.file_name(),
        SourceKind::File(file) => file.parent().and_then(std::path::Path::file_name),
        SourceKind::Git(address) => {
            url = address.split(['?', '#']).next().unwrap_or_default();
            std::path::Path::new(url).file_stem()
        }
    };
    let first = MachineName::suggest(&text.unwrap_or_default().to_string_lossy());
    let mut name = first.clone();
    let mut number = 2;
    while taken.contains(&name) {
        // Room for the number, however long the folder's name is.
        let base: String = first.as_str().chars().take(MachineName::MAX_LENGTH - 5).collect();
        name = MachineName::suggest(&format!("{base}-{number}"));
        number += 1;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suggested(kind: SourceKind, taken: &[&str]) -> String {
        let taken: Vec<_> = taken.iter().map(|name| name.parse().unwrap()).collect();
        suggest(&ModuleSource { kind, output: None }, &taken).to_string()
    }

    #[test]
    fn a_machine_is_named_after_its_module() {
        assert_eq!(suggested(SourceKind::Folder("/w/My App".into()), &[]), "my-app");
        assert_eq!(suggested(SourceKind::File("/w/app/codchi.nix".into()), &[]), "app");
        let url = "git+https://example.org/team/app.git?ref=main";
        assert_eq!(suggested(SourceKind::Git(url.into()), &[]), "app");
        assert_eq!(suggested(SourceKind::Folder("/".into()), &[]), "machine");
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        assert_eq!(suggested(SourceKind::Folder("/w/app".into()), &["app", "app-2"]), "app-3");
        let long = "a".repeat(40);
        let name = suggested(SourceKind::Folder(format!("/w/{long}").into()), &[&long]);
        assert!(name.ends_with("-2") && name.len() <= 40, "{name}");
    }
}
