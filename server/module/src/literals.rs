//! String literals and files that are read, for questions about what would be in the Nix store.

use crate::TextRange;
use crate::scope::{attr_name, ident_text};
use crate::strings::path_text;
use rnix::SyntaxKind::{self, TOKEN_STRING_CONTENT};
use rnix::SyntaxNode;
use rnix::ast::{self, Expr};
use rowan::NodeOrToken;
use rowan::ast::AstNode as _;

/// A string as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextLiteral {
    /// The range, with its quotes.
    pub range: TextRange,
    /// The ranges of its parts between interpolations, without quotes, as they are written.
    pub parts: Vec<TextRange>,
    /// The last name of the binding, or of the argument, that it is the value of or in the value of.
    pub name: Option<String>,
}

/// A file whose content is read into the evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFile {
    /// The path as written.
    pub path: String,
    /// The range of the whole call.
    pub range: TextRange,
}

/// What a text holds literally.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Literals {
    /// Strings, in order of the text; those that are names of attributes are not among them.
    pub strings: Vec<TextLiteral>,
    /// `builtins.readFile PATH` and the like, in order of the text.
    pub reads: Vec<ReadFile>,
}

/// All of them below `root`.
pub(crate) fn literals(root: &SyntaxNode) -> Literals {
    let mut found = Literals::default();
    for node in root.descendants() {
        match node.kind() {
            SyntaxKind::NODE_STRING if !is_name(&node) => found.strings.push(string(&node)),
            SyntaxKind::NODE_APPLY => found.reads.extend(read(&node)),
            _ => {}
        }
    }
    found
}

fn is_name(node: &SyntaxNode) -> bool {
    node.parent().is_some_and(|parent| parent.kind() == SyntaxKind::NODE_ATTRPATH)
}

fn string(node: &SyntaxNode) -> TextLiteral {
    let tokens = node.children_with_tokens().filter_map(NodeOrToken::into_token);
    let parts = tokens.filter(|token| token.kind() == TOKEN_STRING_CONTENT).map(|token| token.text_range());
    let binding = node.ancestors().find_map(ast::AttrpathValue::cast);
    let name =
        binding.and_then(|binding| binding.attrpath()).and_then(|path| attr_name(&path.attrs().last()?));
    TextLiteral { range: node.text_range(), parts: parts.collect(), name }
}

fn read(node: &SyntaxNode) -> Option<ReadFile> {
    let apply = ast::Apply::cast(node.clone())?;
    let function = match apply.lambda()? {
        Expr::Ident(ident) => ident_text(&ident)?,
        Expr::Select(select) => attr_name(&select.attrpath()?.attrs().last()?)?,
        _ => return None,
    };
    if !matches!(function.as_str(), "readFile" | "fileContents" | "importJSON" | "importTOML") {
        return None;
    }
    let argument = apply.argument()?;
    let path = match &argument {
        Expr::PathRel(_) | Expr::PathAbs(_) | Expr::PathHome(_) => path_text(argument.syntax())?,
        Expr::Str(string) => crate::strings::string_value(string)?,
        _ => return None,
    };
    Some(ReadFile { path, range: node.text_range() })
}
