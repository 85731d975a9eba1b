//! The facts of one file.

mod allows;
mod declared;
mod duplicates;
mod flake;
mod imports;
mod inputs;
mod kind;
mod lists;
pub(crate) mod outline;
mod pieces;
mod ranges;
mod secrets;
mod uses;
mod walk;

use crate::scope::Scope;
use crate::{OptionPath, TextRange};
use pieces::Keeper;
use rowan::ast::AstNode as _;
use walk::Walk;

/// What one file says. Ranges are those of the text it was worked out from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// Definitions below `codchi.` whose path is known, in order of the text; without those of options that the file
    /// declares itself.
    pub options: Vec<OptionUse>,
    /// Options below `codchi.` that the file declares, in order of the walk; a set that codchi does not have stands for
    /// all that is in it.
    pub declared: Vec<OptionPath>,
    /// Whether it may declare options that are not in `declared`: it imports what only evaluation finds (a flake input's
    /// module, what a function gives), or a part of it that may declare some is not visible.
    pub may_declare_more: bool,
    /// Declared user secrets.
    pub secrets: Vec<SecretDeclaration>,
    /// Whether there may be declarations of secrets that are not in `secrets`: a set that they are in is not visible.
    pub secrets_unseen: bool,
    /// Capabilities named in `codchi.requiredCapabilities` and `optionalCapabilities`.
    pub capabilities: Vec<Capability>,
    /// Paths in `imports` lists.
    pub imports: Vec<Import>,
    /// Paths in `disabledModules`, as written: what they lead to is imported in vain.
    pub disabled: Vec<String>,
    /// Module outputs, where the file is a flake.
    pub flake_modules: Vec<FlakeModule>,
    /// Whether it may have module outputs that are not in `flake_modules`, where the file is a flake.
    pub flake_modules_unseen: bool,
    /// Inputs, where the file is a flake.
    pub flake_inputs: Vec<FlakeInput>,
    /// Definitions of all other options whose path is known, as far as the module is visible, in order of the text;
    /// without those of options that the file declares itself.
    pub settings: Vec<OptionUse>,
    /// Uses of user secrets, in order of the text.
    pub secret_uses: Vec<SecretUse>,
    /// Whether all user secrets are read at once (`config.codchi.secrets`), or something is that they are in.
    pub reads_all_secrets: bool,
    /// Packages that are named (`pkgs.a.b`, `with pkgs; [ a ]`), in order of the text.
    pub packages: Vec<PackageUse>,
    /// What is read of `config` beside `config.codchi`, as paths up to the first name that is computed; sorted, each once.
    pub config_reads: Vec<Vec<String>>,
    /// What is read of a flake's inputs, the input's name first: below the argument `inputs`, and in a flake below what its
    /// outputs are made of; sorted, each once.
    pub input_reads: Vec<Vec<String>>,
    /// Whether it may ask which options there are: something of the argument `options` is used.
    pub reads_options: bool,
    /// Names that one set, `let` or function binds twice, which Nix refuses; in order of the text.
    pub duplicates: Vec<Duplicate>,
    /// Comments that say which diagnostics are not wanted, in order of the text.
    pub allows: Vec<Allow>,
    /// Whether the file's value may be a NixOS module (a function or a set) rather than a package, a flake or a value.
    pub may_be_module: bool,
    /// Whether the text is not wholly Nix: what is half-typed may hide something.
    pub has_syntax_errors: bool,
}

/// Whether a definition takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// In every evaluation of the module.
    Always,
    /// Only under a condition (`mkIf`, `if`, `optionalAttrs`, …), or overridable (`//`, `mkDefault`).
    Conditional,
}

/// A definition of an option below `codchi.`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionUse {
    /// The whole path, without `config.`: `codchi`, `secrets`, `TOKEN`, `description`.
    pub path: OptionPath,
    /// The range of each of the path's segments; shorter than the path where outer segments are in an outer set.
    pub segments: Vec<TextRange>,
    /// The value's range.
    pub value_range: TextRange,
    /// The value, as far as it is literal.
    pub value: Literal,
    /// Whether it takes effect.
    pub certainty: Certainty,
}

/// A value as far as it can be known without evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// A string without interpolation, unescaped.
    String(String),
    /// A string with interpolation.
    Interpolated,
    /// An integer.
    Int(i64),
    /// A float.
    Float,
    /// `true` or `false` that is not shadowed.
    Bool(bool),
    /// `null` that is not shadowed.
    Null,
    /// A path.
    Path(String),
    /// A list, element by element.
    List(Vec<(Literal, TextRange)>),
    /// An attribute set; its parts are option uses of their own.
    Set,
    /// A function.
    Function,
    /// Anything that only evaluation knows.
    Unknown,
}

/// A declared user secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretDeclaration {
    /// Its name.
    pub name: String,
    /// The name's range.
    pub name_range: TextRange,
    /// The whole definition's range.
    pub range: TextRange,
    /// Which spelling.
    pub spelling: SecretSpelling,
    /// Its description and where it is; `None` where there is none or the set is not wholly literal.
    pub description: Option<(String, TextRange)>,
    /// Whether it is required; `None` where that is not known. `true` where nothing is said.
    pub required: Option<bool>,
    /// Whether everything it sets is visible here: only then is something missing really missing.
    pub complete: bool,
    /// Whether it takes effect.
    pub certainty: Certainty,
}

/// How a secret is declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretSpelling {
    /// `codchi.secrets.NAME`.
    Plain,
    /// `codchi.secrets.env.NAME`.
    Env,
    /// `codchi.secrets.file.NAME`.
    File,
}

/// A capability's name in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capability {
    /// The name.
    pub name: String,
    /// Its range, with the quotes.
    pub range: TextRange,
    /// Whether the list is `requiredCapabilities`.
    pub required: bool,
    /// Whether it takes effect.
    pub certainty: Certainty,
}

/// A path in an `imports` list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// As written: `./x.nix`, `../y`.
    pub path: String,
    /// Its range.
    pub range: TextRange,
    /// Whether it takes effect.
    pub certainty: Certainty,
}

/// A module output of a flake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlakeModule {
    /// `nixosModules` or `codchiModules`.
    pub kind: String,
    /// `default` or another.
    pub name: String,
    /// The name's range.
    pub range: TextRange,
    /// The file it comes from, as written; `None` for one that is written in place.
    pub file: Option<String>,
}

/// An input of a flake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlakeInput {
    /// Its name.
    pub name: String,
    /// The name's range.
    pub range: TextRange,
    /// Its URL and where that is written; `None` where there is none or it is not literal.
    pub url: Option<(String, TextRange)>,
    /// The input that it follows (`inputs.a.follows = "b"`).
    pub follows: Option<String>,
}

/// A use of a user secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretUse {
    /// The secret's name.
    pub name: String,
    /// The name's range: without `$CODCHI_`, braces or quotes.
    pub range: TextRange,
    /// How it is used.
    pub kind: SecretUseKind,
    /// Whether it is said what happens without it: `${CODCHI_NAME:-…}`, `config.codchi.secrets.NAME or …`, `? NAME`.
    pub guarded: bool,
}

/// How a secret is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretUseKind {
    /// `$CODCHI_NAME` or `${CODCHI_NAME}` in a string, and in a comment of a script in one.
    Variable,
    /// `config.codchi.secrets.NAME…` in an expression, in this spelling.
    Config(SecretSpelling),
}

/// A package that is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageUse {
    /// Its attribute path below `pkgs`: `cudaPackages`, `cudatoolkit`.
    pub path: Vec<String>,
    /// The path's range, without `pkgs.`.
    pub range: TextRange,
}

/// A name that is bound twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The attribute path from the set in which both are, or the name of a `let` or a parameter.
    pub path: Vec<String>,
    /// The first binding's attribute path or name.
    pub first: TextRange,
    /// The second one's.
    pub second: TextRange,
    /// The second binding as a whole, with its `;`.
    pub binding: TextRange,
}

/// A comment `# codchi: allow CODE, CODE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    /// The codes as written, and where each is.
    pub codes: Vec<(String, TextRange)>,
    /// The line for which it is said: its own, or the next one with code where it stands alone.
    pub lines: TextRange,
}

/// An entry of the outline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Its attribute path as written.
    pub name: String,
    /// The path's range.
    pub name_range: TextRange,
    /// The whole binding's range.
    pub range: TextRange,
    /// What is inside.
    pub children: Vec<Binding>,
}

/// What the definitions of a text say, kept for the text after it.
#[derive(Default)]
pub(crate) struct Pieces {
    definitions: walk::Pieces,
    uses: uses::Pieces,
}

impl Facts {
    /// Works the facts out, given the text, its tree and the pieces of the text before; linear in the size of the text.
    pub(crate) fn of(text: &str, root: &rnix::Root, before: &Pieces) -> (Self, Pieces) {
        let scope = Scope::new(usize::from(root.syntax().text_range().len()));
        let found =
            Self::found(text, root, &scope, Keeper::new(&before.definitions), Keeper::new(&before.uses));
        if !scope.is_short() {
            return found;
        }
        // What was not followed for lack of fuel depends on what else is in the text.
        let scope = Scope::new(usize::from(root.syntax().text_range().len()));
        Self::found(text, root, &scope, Keeper::none(&before.definitions), Keeper::none(&before.uses))
    }

    fn found(
        text: &str,
        root: &rnix::Root,
        scope: &Scope,
        definitions: walk::DefinitionKeeper<'_>,
        uses: uses::UsesKeeper<'_>,
    ) -> (Self, Pieces) {
        let Some(expr) = root.expr() else { return Default::default() };
        let mut walk = Walk::new(scope, definitions);
        let may_be_module = match flake::outputs(scope, &expr) {
            Some(outputs) => {
                walk.flake_outputs(&outputs);
                false
            }
            None if kind::may_be_module(scope, &expr) => {
                walk.module(&expr, Certainty::Always, 0);
                true
            }
            None => {
                walk.unseen_module();
                false
            }
        };
        let flake_inputs = inputs::inputs(scope, &expr);
        let input_names = inputs::names(scope, &expr, &flake_inputs);
        let (uses, kept_uses) = uses::uses(scope, root.syntax(), &input_names, uses);
        let (walked, definitions) = walk.finish();
        let facts = Self {
            may_be_module,
            allows: allows::allows(text, root.syntax()),
            flake_inputs,
            secret_uses: uses.secrets,
            reads_all_secrets: uses.all_secrets,
            packages: uses.packages,
            config_reads: uses.config.into_iter().collect(),
            input_reads: uses.inputs.into_iter().collect(),
            reads_options: uses.options,
            duplicates: uses.duplicates,
            ..walked
        };
        (facts, Pieces { definitions, uses: kept_uses })
    }
}
