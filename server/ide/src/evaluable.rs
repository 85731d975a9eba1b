//! Which modules are worth an evaluation by Nix.

use crate::modules::{Modules, Source};
use crate::{FileSet, Files, ModuleKey, World};
use std::path::{Path, PathBuf};

/// A module that Nix can evaluate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluable {
    /// Which one.
    pub key: ModuleKey,
    /// The file that it begins with: the folder's `flake.nix`, `codchi.nix` or `default.nix`, or the file itself.
    pub root: PathBuf,
    /// Its files, as far as they can be told.
    pub files: FileSet,
}

/// The modules that the file is a part of, where they are ours to speak about: they use codchi's options, or a machine is
/// made of them.
pub(crate) fn evaluables(files: &dyn Files, world: &World, path: &Path) -> Vec<Evaluable> {
    let modules = Modules::new(files);
    if !path.is_absolute() || !modules.is_codchi(path) {
        return Vec::new();
    }
    let evaluable = |source: Source| {
        let of = modules.files_of(&source.path, source.output.as_deref());
        let is_ours = of.iter().any(|file| {
            file.file_name().is_some_and(|name| name == "codchi.nix")
                || modules.facts(file).is_some_and(|facts| !facts.options.is_empty())
        });
        if !is_ours && modules.machines_of(world, &source).is_empty() {
            return None;
        }
        let root = if files.is_folder(&source.path) {
            modules.root_file(&source.path)?
        } else {
            source.path.clone()
        };
        Some(Evaluable { key: (source.path, source.output), root, files: of })
    };
    modules.sources(path).into_iter().filter_map(evaluable).collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};
    use std::fmt::Write as _;
    use std::path::Path;

    fn check(fixture: &str, path: &str, expected: &Expect) {
        let fixture = Fixture::new(fixture);
        let mut text = String::new();
        for found in fixture.analysis().evaluables(Path::new(path)) {
            let (path, output) = &found.key;
            let files: Vec<_> = found.files.iter().map(|file| file.display().to_string()).collect();
            let root = found.root.display();
            let _ = writeln!(text, "{} {output:?} begins with {root}: {}", path.display(), files.join(" "));
        }
        expected.assert_eq(&text);
    }

    #[test]
    fn a_file_is_evaluated_as_a_part_of_each_module_that_it_is_in() {
        let fixture = "\
//- /p/flake.nix
{ outputs = _: { nixosModules.default = ./a.nix; nixosModules.b = ./b.nix; nixosModules.c = ./c.nix; }; }
//- /p/a.nix
{ imports = [ ./shared.nix ]; }
//- /p/b.nix
{ imports = [ ./shared.nix ]; }
//- /p/c.nix
{ services.x.enable = true; }
//- /p/shared.nix
{ codchi.gpu.enable = true; }
";
        check(
            fixture,
            "/p/shared.nix",
            &expect![[r#"
                /p Some("b") begins with /p/flake.nix: /p/b.nix /p/flake.nix /p/shared.nix
                /p None begins with /p/flake.nix: /p/a.nix /p/flake.nix /p/shared.nix
            "#]],
        );
        check(fixture, "/p/c.nix", &expect![""]);
    }

    #[test]
    fn a_plain_module_is_its_folder_or_its_file() {
        let fixture = "\
//- /p/codchi.nix
{ imports = [ ./sub ]; }
//- /p/sub/default.nix
{ }
//- /q/other.nix
{ codchi.gpu.enable = true; }
//- /q/package.nix
{ stdenv }: stdenv
";
        check(
            fixture,
            "/p/sub/default.nix",
            &expect![[r#"
                /p None begins with /p/codchi.nix: /p/codchi.nix /p/sub/default.nix
            "#]],
        );
        check(
            fixture,
            "/q/other.nix",
            &expect![[r#"
                /q/other.nix None begins with /q/other.nix: /q/other.nix
            "#]],
        );
        check(fixture, "/q/package.nix", &expect![""]);
    }
}
