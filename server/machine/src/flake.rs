//! The flake that Nix builds a machine from: generated text, pure but for looking at the module folders.

use crate::state::{Definition, NixpkgsFrom, snapshot_root};
use crate::{MachineError, MachineName, ModuleSource, SourceKind, StoreKind};
use codchi_driver::DriverKind;
use codchi_nix::path_url;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The user of a machine: owner of the project folder, as seen in the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    /// User id.
    pub(crate) uid: u32,
    /// Group id.
    pub(crate) gid: u32,
}

/// A folder of the host that is copied before a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    /// On the host.
    pub(crate) root: PathBuf,
    /// Where its copy is.
    pub(crate) copy: PathBuf,
}

/// A module as an input of the flake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    /// Its name, e.g. `module-0`; modules of one source share it.
    pub(crate) name: String,
    /// The module as a person writes it.
    source: String,
    /// Where it comes from.
    url: String,
    /// Whether it is read as a flake.
    is_flake: bool,
    /// What of it is taken.
    part: Part,
    /// Whether it is a copy of a local folder, which is read anew at each build.
    pub(crate) local: bool,
}

/// What of an input is the module.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// A module output of a flake.
    Output(String),
    /// A file of a source tree.
    File(String),
    /// `codchi.nix` or else `default.nix` in a folder of a source tree (empty for its root), whichever is there.
    Folder(String),
}

/// What a machine is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flake {
    /// Folders to copy.
    pub(crate) copies: Vec<Copied>,
    /// Modules, in order.
    pub(crate) inputs: Vec<Input>,
    nixpkgs: NixpkgsFrom,
    driver: DriverKind,
    store: StoreKind,
    pin: PathBuf,
}

/// The name of the input that holds the nixpkgs that machines share.
pub(crate) const PIN: &str = "pin";

/// The name of the input that is the machine's nixpkgs.
pub(crate) const NIXPKGS: &str = "nixpkgs";

impl Flake {
    /// Looks at the modules of `definition`. `plain` says of the input of a git module without an output whether it has no
    /// `flake.nix`; copies go below `folder`; `pin` is the flake of the nixpkgs that machines share.
    ///
    /// # Errors
    /// [`MachineError::User`] where a local module is gone or has nothing to take.
    pub(crate) fn new(
        definition: &Definition,
        home: &Path,
        folder: &Path,
        pin: &Path,
        plain: &dyn Fn(&str) -> bool,
    ) -> Result<Self, MachineError> {
        let mut copies: Vec<Copied> = Vec::new();
        let mut inputs = Vec::new();
        for module in &definition.modules {
            let (name, source) = (module.input.clone(), &module.source);
            let Some(root) = snapshot_root(source, home) else {
                let plain = plain(&name);
                inputs.push(git_input(name, source, plain));
                continue;
            };
            let copy = match copies.iter().find(|c| c.root == root) {
                Some(known) => known.copy.clone(),
                None => {
                    let copy = folder.join(&name);
                    copies.push(Copied { root: root.clone(), copy: copy.clone() });
                    copy
                }
            };
            inputs.push(local_input(name, source, &root, &copy)?);
        }
        Ok(Self {
            copies,
            inputs,
            nixpkgs: definition.nixpkgs.clone(),
            driver: definition.driver,
            store: definition.store,
            pin: pin.to_owned(),
        })
    }

    /// The names of the inputs that are read anew at each build.
    pub(crate) fn local_inputs(&self) -> Vec<&str> {
        self.distinct().filter(|i| i.local).map(|i| i.name.as_str()).collect()
    }

    /// Each input once.
    fn distinct(&self) -> impl Iterator<Item = &Input> {
        let is_first = |index: usize, input: &Input| {
            !self.inputs.iter().take(index).any(|earlier| earlier.name == input.name)
        };
        self.inputs.iter().enumerate().filter(move |(index, input)| is_first(*index, input)).map(|(_, i)| i)
    }

    /// The text of `flake.nix`.
    pub(crate) fn render(&self, name: &MachineName, user: User) -> String {
        let mut text = String::from("# Written by codchi at each build; changes are lost.\n{\n");
        let _ = match &self.nixpkgs {
            NixpkgsFrom::Url(url) => writeln!(text, "  inputs.{NIXPKGS}.url = {};", quote(url)),
            NixpkgsFrom::Follow(input) => {
                writeln!(text, "  inputs.{NIXPKGS}.follows = {};", quote(&format!("{input}/nixpkgs")))
            }
            NixpkgsFrom::Pin => {
                let _ = writeln!(text, "  inputs.{PIN}.url = {};", quote(&path_url(&self.pin)));
                writeln!(text, "  inputs.{NIXPKGS}.follows = {};", quote(&format!("{PIN}/nixpkgs")))
            }
        };
        for input in self.distinct() {
            let _ = writeln!(text, "  inputs.{}.url = {};", input.name, quote(&input.url));
            if !input.is_flake {
                let _ = writeln!(text, "  inputs.{}.flake = false;", input.name);
            }
        }
        text.push_str("  outputs = inputs: (import ./codchi/lib.nix).codeMachine {\n");
        text.push_str("    nixpkgs = inputs.nixpkgs;\n");
        let _ = writeln!(text, "    system = {};", quote(&format!("{}-linux", std::env::consts::ARCH)));
        let _ = writeln!(text, "    name = {};", quote(name.as_str()));
        // The two engines are one for what runs in them.
        let driver = if self.driver == DriverKind::Wsl { "wsl" } else { "lxd" };
        let _ = writeln!(text, "    driver = {};", quote(driver));
        if !self.store.is_host() {
            let _ = writeln!(text, "    store = {};", quote(self.store.as_str()));
        }
        let _ = writeln!(text, "    user = {{ uid = {}; gid = {}; }};", user.uid, user.gid);
        text.push_str("    modules = [\n");
        for input in &self.inputs {
            let part = match &input.part {
                Part::Output(output) => format!("output = {}", quote(output)),
                Part::File(file) => format!("file = {}", quote(file)),
                Part::Folder(folder) => {
                    let (first, other) = (below(folder, "codchi.nix"), below(folder, "default.nix"));
                    format!(
                        "file = if builtins.pathExists (inputs.{} + {}) then {} else {}",
                        input.name,
                        quote(&format!("/{first}")),
                        quote(&first),
                        quote(&other)
                    )
                }
            };
            let source = quote(&input.source);
            let _ = writeln!(text, "      {{ input = inputs.{}; {part}; source = {source}; }}", input.name);
        }
        text.push_str("    ];\n  };\n}\n");
        text
    }
}

fn git_input(name: String, source: &ModuleSource, plain: bool) -> Input {
    let url = source_url(source);
    let part = match &source.output {
        Some(output) => Part::Output(output.clone()),
        None if plain => Part::Folder(query_value(&url, "dir").unwrap_or_default()),
        None => Part::Output("default".into()),
    };
    let is_flake = !plain || source.output.is_some();
    Input { name, source: source.to_string(), url, is_flake, part, local: false }
}

fn source_url(source: &ModuleSource) -> String {
    match &source.kind {
        SourceKind::Git(url) => url.clone(),
        SourceKind::Folder(path) | SourceKind::File(path) => path.display().to_string(),
    }
}

/// The value of `key` in the query of a URL.
fn query_value(url: &str, key: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    url.query_pairs().find(|(k, _)| k == key).map(|(_, value)| value.into_owned())
}

fn local_input(name: String, source: &ModuleSource, root: &Path, copy: &Path) -> Result<Input, MachineError> {
    let url = path_url(copy);
    let relative = |path: &Path| -> String {
        path.strip_prefix(root).map(|p| p.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let user = |message: String, hint: &str| MachineError::User { message, hint: Some(hint.into()) };
    match &source.kind {
        SourceKind::File(file) if file.is_file() => {
            let part = Part::File(relative(file));
            Ok(Input { name, source: source.to_string(), url, is_flake: false, part, local: true })
        }
        SourceKind::Folder(folder) if folder.join("flake.nix").is_file() => {
            let dir = relative(folder);
            let url = if dir.is_empty() {
                url
            } else {
                format!("{url}?dir={}", path_url(Path::new(&dir)).trim_start_matches("path:"))
            };
            let part = Part::Output(source.output.clone().unwrap_or_else(|| "default".into()));
            Ok(Input { name, source: source.to_string(), url, is_flake: true, part, local: true })
        }
        SourceKind::Folder(folder) if folder.is_dir() => {
            if let Some(output) = &source.output {
                return Err(user(
                    format!("There is no output `{output}` in {}: it has no flake.nix", folder.display()),
                    "Leave out the `#…`, or add a flake.nix with that output.",
                ));
            }
            let file = ["codchi.nix", "default.nix"].into_iter().find(|f| folder.join(f).is_file());
            let Some(file) = file else {
                return Err(user(
                    format!(
                        "There is no module in {}: it has no flake.nix, codchi.nix or default.nix",
                        folder.display()
                    ),
                    "Name the folder or file that holds the module.",
                ));
            };
            let part = Part::File(relative(&folder.join(file)));
            Ok(Input { name, source: source.to_string(), url, is_flake: false, part, local: true })
        }
        _ => Err(user(
            format!("The module {source} is gone"),
            "Put it back where it was, or delete the machine and create it from where the module is now.",
        )),
    }
}

fn below(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.into() } else { format!("{}/{file}", folder.trim_matches('/')) }
}

/// A Nix string literal.
pub(crate) fn quote(text: &str) -> String {
    let mut literal = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' | '$' => {
                literal.push('\\');
                literal.push(c);
            }
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            c => literal.push(c),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn definition(modules: Vec<ModuleSource>) -> Definition {
        let mut definition = Definition {
            nixpkgs: NixpkgsFrom::Url("path:/with \"quotes\" and ${x}".into()),
            ..Definition::new("1".into(), DriverKind::Lxd)
        };
        for source in modules {
            definition.add(source, false);
        }
        definition
    }

    #[test]
    fn only_the_store_of_a_store_instance_is_said() {
        let text = |store| {
            let definition = Definition { store, ..definition(Vec::new()) };
            let (home, folder, pin) = (Path::new("/h"), Path::new("/m"), Path::new("/p"));
            let flake = Flake::new(&definition, home, folder, pin, &|_| false).unwrap();
            flake.render(&"hello".parse().unwrap(), User { uid: 1, gid: 1 })
        };
        assert!(text(StoreKind::Instance).contains("    store = \"instance\";\n"));
        assert!(!text(StoreKind::Host).contains("store"));
    }

    #[test]
    fn nixpkgs_is_the_shared_one_or_that_of_a_module() {
        let mut definition = definition(vec![source(SourceKind::Git("git+https://host/a".into()), None)]);
        let name: MachineName = "hello".parse().unwrap();
        let mut lines = |choice: &str| {
            definition.choose_nixpkgs(&name, &choice.parse().unwrap()).unwrap();
            let (home, folder, pin) = (Path::new("/h"), Path::new("/m"), Path::new("/data/nixpkgs"));
            let flake = Flake::new(&definition, home, folder, pin, &|_| false).unwrap();
            let text = flake.render(&name, User { uid: 1, gid: 1 });
            let about = |line: &&str| line.contains("inputs.nixpkgs.") || line.contains("inputs.pin.");
            text.lines().filter(about).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            lines("pin"),
            ["inputs.pin.url = \"path:/data/nixpkgs\";", "inputs.nixpkgs.follows = \"pin/nixpkgs\";"]
        );
        assert_eq!(lines("follow"), ["inputs.nixpkgs.follows = \"module-0/nixpkgs\";"]);
    }

    fn source(kind: SourceKind, output: Option<&str>) -> ModuleSource {
        ModuleSource { kind, output: output.map(Into::into) }
    }

    #[test]
    fn every_kind_of_module_becomes_an_input() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path();
        for (file, text) in [("a/flake.nix", "{}"), ("b/codchi.nix", "{}"), ("c/x y.nix", "{}")] {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::write(root.join(file), text).unwrap();
        }
        // A repository with a flake in a folder of its own.
        std::fs::create_dir_all(root.join("d/.git")).unwrap();
        std::fs::create_dir_all(root.join("d/nix dev")).unwrap();
        std::fs::write(root.join("d/nix dev/flake.nix"), "{}").unwrap();
        let git = |url: &str| SourceKind::Git(url.into());
        let definition = definition(vec![
            source(SourceKind::Folder(root.join("a")), None),
            source(SourceKind::Folder(root.join("a")), Some("dev")),
            source(SourceKind::Folder(root.join("b")), None),
            source(SourceKind::File(root.join("c/x y.nix")), None),
            source(SourceKind::Folder(root.join("d/nix dev")), None),
            source(git("git+https://host/flake"), None),
            source(git("git+https://host/plain?dir=sub"), None),
        ]);
        let flake =
            Flake::new(&definition, root, Path::new("/m"), Path::new("/p"), &|input| input == "module-5")
                .unwrap();
        let roots: Vec<_> = flake.copies.iter().map(|c| c.root.strip_prefix(root).unwrap()).collect();
        assert_eq!(roots, [Path::new("a"), Path::new("b"), Path::new("c"), Path::new("d")]);
        assert_eq!(flake.local_inputs(), ["module-0", "module-1", "module-2", "module-3"]);
        let text = flake.render(&"hello".parse().unwrap(), User { uid: 1000, gid: 100 });
        expect![[r##"
            # Written by codchi at each build; changes are lost.
            {
              inputs.nixpkgs.url = "path:/with \"quotes\" and \${x}";
              inputs.module-0.url = "path:/m/module-0";
              inputs.module-1.url = "path:/m/module-1";
              inputs.module-1.flake = false;
              inputs.module-2.url = "path:/m/module-2";
              inputs.module-2.flake = false;
              inputs.module-3.url = "path:/m/module-3?dir=nix%20dev";
              inputs.module-4.url = "git+https://host/flake";
              inputs.module-5.url = "git+https://host/plain?dir=sub";
              inputs.module-5.flake = false;
              outputs = inputs: (import ./codchi/lib.nix).codeMachine {
                nixpkgs = inputs.nixpkgs;
                system = "x86_64-linux";
                name = "hello";
                driver = "lxd";
                user = { uid = 1000; gid = 100; };
                modules = [
                  { input = inputs.module-0; output = "default"; source = "/home/me/a"; }
                  { input = inputs.module-0; output = "dev"; source = "/home/me/a#dev"; }
                  { input = inputs.module-1; file = "codchi.nix"; source = "/home/me/b"; }
                  { input = inputs.module-2; file = "x y.nix"; source = "/home/me/c/x y.nix"; }
                  { input = inputs.module-3; output = "default"; source = "/home/me/d/nix dev"; }
                  { input = inputs.module-4; output = "default"; source = "git+https://host/flake"; }
                  { input = inputs.module-5; file = if builtins.pathExists (inputs.module-5 + "/sub/codchi.nix") then "sub/codchi.nix" else "sub/default.nix"; source = "git+https://host/plain?dir=sub"; }
                ];
              };
            }
        "##]]
        .assert_eq(
            &text
                .replace(&format!("{}-linux", std::env::consts::ARCH), "x86_64-linux")
                .replace(root.to_str().unwrap(), "/home/me"),
        );
    }

    #[test]
    fn a_folder_without_a_module_or_without_the_output_is_refused_with_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("empty");
        std::fs::create_dir_all(&folder).unwrap();
        for output in [None, Some("dev")] {
            let definition = definition(vec![source(SourceKind::Folder(folder.clone()), output)]);
            let error = Flake::new(&definition, home.path(), Path::new("/m"), Path::new("/p"), &|_| false)
                .unwrap_err();
            assert!(error.to_string().contains("no flake.nix") && error.hint().is_some(), "{error}");
        }
    }
}
