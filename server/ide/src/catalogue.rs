//! Which catalogue of options and packages a file's names are looked up in.

use crate::kind::Kind;
use crate::module_path::{NameAt, name_at};
use crate::modules::Modules;
use crate::{Catalogue, CatalogueOption, Document, Files, TextSize, World};
use std::path::Path;

/// The catalogue of the first module that the file is a part of and that has one; where none has one, the only one that
/// there is.
pub(crate) fn catalogue<'w>(files: &dyn Files, world: &'w World, path: &Path) -> Option<&'w dyn Catalogue> {
    let mut all = world.catalogues.values();
    let first = all.next()?;
    if all.all(|other| other == first) {
        // Whosever it is: cheaper than to find the file's modules.
        return Some(&**first);
    }
    let modules = Modules::new(files);
    let sources = modules.sources(path).into_iter().map(|source| (source.path, source.output));
    let machines = modules.machines(world, path);
    let of_machines = machines.iter().flat_map(|machine| &machine.modules);
    let of_machines = of_machines
        .filter(|module| modules.files_of(&module.path, module.output.as_deref()).contains(path))
        .map(|module| (module.path.clone(), module.output.clone().filter(|output| output != "default")));
    let own = sources.chain(of_machines).find_map(|key| world.catalogues.get(&key));
    own.map(|catalogue| &**catalogue)
}

/// The option whose name is at `offset`, or in whose value it names something.
pub(crate) fn option_at(
    files: &dyn Files,
    world: &World,
    path: &Path,
    document: &Document,
    offset: TextSize,
) -> Option<(NameAt, CatalogueOption)> {
    let catalogue = catalogue(files, world, path)?;
    let name = name_at(document, path, offset)?;
    if let Some(option) = catalogue.option(&name.path) {
        let option = CatalogueOption { path: name.path.clone(), ..option };
        return Some((name, option));
    }
    if !catalogue.children(&name.path).is_empty() {
        return None;
    }
    let enclosing = (1..name.path.len()).rev().find_map(|len| catalogue.option(name.path.get(..len)?))?;
    Kind::of(&enclosing.kind).is_free().then_some((name, enclosing))
}

#[cfg(test)]
mod tests {
    use crate::World;
    use crate::fixture::{Fixture, Table};
    use std::sync::Arc;

    const FILES: &str = "//- /a/flake.nix\n{ outputs = _: { nixosModules = { x = ./x.nix; y = ./y.nix; }; }; }\n\
                         //- /a/x.nix\n{ imports = [ ./both.nix ]; }\n\
                         //- /a/y.nix\n{ imports = [ ./both.nix ]; }\n\
                         //- /a/both.nix\n{ }\n\
                         //- /b/codchi.nix\n{ }\n";

    /// The revision of the catalogue of a file, where these modules have one.
    fn revision(path: &str, modules: &[(&str, Option<&str>, &str)]) -> Option<String> {
        let entry = |(path, output, revision): &(&str, Option<&str>, &str)| {
            let table = Table::new(&format!("a = string\n# revision {revision}"));
            (((*path).into(), output.map(str::to_owned)), Arc::new(table) as _)
        };
        let world = World { catalogues: modules.iter().map(entry).collect(), ..World::default() };
        let fixture = Fixture::new(FILES).with(world);
        fixture.catalogue(path.as_ref()).map(|catalogue| catalogue.revision().to_owned())
    }

    #[test]
    fn a_file_has_the_catalogue_of_its_module() {
        let modules = [("/a", Some("x"), "of x"), ("/a", Some("y"), "of y"), ("/b", None, "of b")];
        assert_eq!(revision("/a/x.nix", &modules).as_deref(), Some("of x"));
        assert_eq!(revision("/a/y.nix", &modules).as_deref(), Some("of y"));
        assert_eq!(revision("/b/codchi.nix", &modules).as_deref(), Some("of b"));
    }

    #[test]
    fn a_file_of_several_modules_has_the_first_catalogue_that_is_there() {
        assert_eq!(
            revision("/a/both.nix", &[("/a", Some("y"), "of y"), ("/b", None, "of b")]).as_deref(),
            Some("of y")
        );
    }

    #[test]
    fn a_file_without_one_has_that_of_the_others_only_if_they_are_the_same() {
        assert_eq!(revision("/c/other.nix", &[("/b", None, "one")]).as_deref(), Some("one"));
        assert_eq!(
            revision("/c/other.nix", &[("/a", Some("x"), "one"), ("/b", None, "one")]).as_deref(),
            Some("one")
        );
        assert_eq!(revision("/c/other.nix", &[("/a", Some("x"), "one"), ("/b", None, "two")]), None);
        assert_eq!(revision("/c/other.nix", &[]), None);
    }
}
