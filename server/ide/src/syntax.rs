//! Reading option paths off a syntax tree, for what is asked about one place.
//!
//! Facts answer what a whole file says; these functions answer what stands at an offset, also where the file does not
//! parse. Invariant: no node outlives the call that made it.

use codchi_module::{FREE_NAME, OptionPath};
use rnix::ast::{
    Apply, Attr, AttrSet, Attrpath, AttrpathValue, Expr, HasEntry as _, InterpolPart, Select, Str,
};
use rnix::{SyntaxKind, SyntaxNode, SyntaxToken, TextRange, TextSize, TokenAtOffset};
use rowan::ast::AstNode;

/// An option's name in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OptionAt {
    /// The path up to and including the name, from `codchi` on.
    pub(crate) path: OptionPath,
    /// The name's range.
    pub(crate) range: TextRange,
    /// Whether it is read (`config.codchi.…`) rather than defined.
    pub(crate) read: bool,
}

/// Where a set stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Site {
    /// The names that the set's names continue, from the outermost set or the local name it belongs to.
    pub(crate) names: Vec<String>,
    /// Whether the path begins at the file's own value, or at a module that is written in place.
    pub(crate) from_top: bool,
}

/// The option whose name is at `offset`, defined or read.
pub(crate) fn option_at(root: &SyntaxNode, offset: TextSize) -> Option<OptionAt> {
    tokens_at(root, offset).find_map(|token| option_of(&token))
}

/// The token at `offset`, or the two it is between. None where the tree ends before it, as that of a text does that is
/// too much for the parser.
pub(crate) fn tokens_at(root: &SyntaxNode, offset: TextSize) -> TokenAtOffset<SyntaxToken> {
    if root.text_range().contains_inclusive(offset) {
        root.token_at_offset(offset)
    } else {
        TokenAtOffset::None
    }
}

fn option_of(token: &SyntaxToken) -> Option<OptionAt> {
    let attr = token.parent_ancestors().find_map(Attr::cast)?;
    let attrpath = Attrpath::cast(attr.syntax().parent()?)?;
    let range = attr.syntax().text_range();
    let (mut path, read) = path_before(&attrpath)?;
    let names = attrpath.attrs().take_while(|a| a.syntax().text_range().start() <= range.start());
    path.extend(names.map(|a| attr_name(&a)));
    let path = below_module(path);
    (path.first()? == "codchi").then_some(OptionAt { path: OptionPath::from(path), range, read })
}

/// What an attribute path continues (before [`below_module`]), and whether it is read. `None` for local names, and
/// for what is read from anything but `config`.
pub(crate) fn path_before(attrpath: &Attrpath) -> Option<(Vec<String>, bool)> {
    let parent = attrpath.syntax().parent()?;
    if let Some(binding) = AttrpathValue::cast(parent.clone()) {
        return (!is_local(&binding)).then(|| (site(binding.syntax()).names, false));
    }
    match Select::cast(parent)?.expr()? {
        Expr::Ident(ident) if ident.syntax().text() == "config" => Some((Vec::new(), true)),
        _ => None,
    }
}

/// Where the names in the set around `node` stand.
pub(crate) fn site(node: &SyntaxNode) -> Site {
    let mut site = Site { names: Vec::new(), from_top: true };
    let mut in_list = false;
    for ancestor in node.ancestors().skip(1) {
        match ancestor.kind() {
            SyntaxKind::NODE_LIST => in_list = true,
            SyntaxKind::NODE_INTERPOL | SyntaxKind::NODE_DYNAMIC | SyntaxKind::NODE_PAT_ENTRY => {
                site.from_top = false;
                break;
            }
            SyntaxKind::NODE_ATTRPATH_VALUE => {
                let Some(binding) = AttrpathValue::cast(ancestor) else { continue };
                if is_local(&binding) {
                    // What a local name stands for is not known here; most often it is merged into the module.
                    site.from_top = false;
                    break;
                }
                let names = names(&binding);
                if in_list && names.last().is_some_and(|name| name == "imports" || name == "modules") {
                    // A module written in place.
                    break;
                }
                in_list = false;
                site.names.splice(0..0, names);
            }
            _ => {}
        }
    }
    site
}

/// The binding's names, without those around it.
pub(crate) fn names(binding: &AttrpathValue) -> Vec<String> {
    binding.attrpath().into_iter().flat_map(|path| path.attrs()).map(|attr| attr_name(&attr)).collect()
}

/// The name; `<name>` where only evaluation knows it.
pub(crate) fn attr_name(attr: &Attr) -> String {
    match attr {
        Attr::Ident(ident) => ident.syntax().text().to_string(),
        Attr::Str(text) => string(text).unwrap_or_else(|| FREE_NAME.to_owned()),
        Attr::Dynamic(_) => FREE_NAME.to_owned(),
    }
}

/// A string's content; `None` where it has interpolations.
pub(crate) fn string(text: &Str) -> Option<String> {
    // Half a string has error nodes inside, which `normalized_parts` does not expect.
    if text.syntax().children().next().is_some() {
        return None;
    }
    let mut content = String::new();
    for part in text.normalized_parts() {
        match part {
            InterpolPart::Literal(literal) => content.push_str(&literal),
            InterpolPart::Interpolation(_) => return None,
        }
    }
    Some(content)
}

/// The set in which a module's definitions are, where they are all at its top: the module's own, or that of its `config`.
pub(crate) fn module_set(expr: Expr) -> Option<AttrSet> {
    match expr {
        Expr::AttrSet(set) => {
            let named = |wanted: &str| {
                set.attrpath_values()
                    .find(|binding| names(binding) == [wanted])
                    .map(|binding| binding.value())
            };
            if named("outputs").is_some() {
                return None;
            }
            match named("config") {
                Some(config) => module_set(config?),
                None => Some(set),
            }
        }
        Expr::Lambda(lambda) => module_set(lambda.body()?),
        Expr::Paren(paren) => module_set(paren.expr()?),
        Expr::LetIn(let_in) => module_set(let_in.body()?),
        Expr::With(with) => module_set(with.body()?),
        _ => None,
    }
}

/// Where a binding can be added at the beginning of a set, and what comes before it there: a line's end and its indentation,
/// or a space.
pub(crate) fn first_place(set: &AttrSet, text: &str) -> Option<(TextSize, String)> {
    let open = set.l_curly_token()?.text_range().end();
    let first = match set.syntax().children().next() {
        Some(first) => first.text_range().start(),
        None => return Some((open, " ".to_owned())),
    };
    let between = text.get(usize::from(open)..usize::from(first))?;
    // A comment above the first binding belongs to it.
    let lines = between.split_inclusive('\n').skip(1);
    let indentation = between.contains('\n').then(|| {
        let line = lines.last().unwrap_or_default();
        line.chars().take_while(|c| c.is_whitespace() && *c != '\n').collect::<String>()
    });
    Some((open, indentation.map_or_else(|| " ".to_owned(), |indentation| format!("\n{indentation}"))))
}

/// The name of the function, where it is `mkIf … x`, `mkMerge x` or the like, whose argument is a part of the module.
pub(crate) fn passed_on(apply: &Apply) -> Option<String> {
    const NAMES: [&str; 12] = [
        "mkIf",
        "mkMerge",
        "mkDefault",
        "mkOptionDefault",
        "mkForce",
        "mkOverride",
        "mkBefore",
        "mkAfter",
        "mkOrder",
        "optional",
        "optionals",
        "optionalAttrs",
    ];
    function_name(&Expr::Apply(apply.clone())).filter(|name| NAMES.contains(&name.as_str()))
}

/// The name of the function that is applied, without what it is selected from: `mkIf` of `lib.mkIf a b`.
fn function_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Apply(apply) => function_name(&apply.lambda()?),
        Expr::Paren(paren) => function_name(&paren.expr()?),
        Expr::Ident(ident) => Some(ident.syntax().text().to_string()),
        Expr::Select(select) => Some(select.attrpath()?.attrs().last()?.syntax().text().to_string()),
        _ => None,
    }
}

/// Whether a binding gives a local name (`let … in`).
pub(crate) fn is_local(binding: &AttrpathValue) -> bool {
    binding
        .syntax()
        .parent()
        .is_some_and(|parent| matches!(parent.kind(), SyntaxKind::NODE_LET_IN | SyntaxKind::NODE_LEGACY_LET))
}

/// A path without what leads to the module: `config`, or a flake's module output.
pub(crate) fn below_module(mut path: Vec<String>) -> Vec<String> {
    let is = |path: &[String], i: usize, name: &str| path.get(i).is_some_and(|n| n == name);
    let outputs = usize::from(is(&path, 0, "outputs"));
    if is(&path, outputs, "nixosModules") || is(&path, outputs, "codchiModules") {
        path.drain(..(outputs + 2).min(path.len()));
    } else if is(&path, outputs, "nixosModule") {
        path.drain(..=outputs);
    }
    if is(&path, 0, "config") {
        path.remove(0);
    }
    path
}

/// The innermost binding around a place.
pub(crate) fn binding_at(root: &SyntaxNode, offset: TextSize) -> Option<AttrpathValue> {
    tokens_at(root, offset).right_biased()?.parent_ancestors().find_map(AttrpathValue::cast)
}

/// What to remove of a text: a range, with its lines where nothing else is on them, else with the blanks before it.
pub(crate) fn with_line(text: &str, range: TextRange) -> TextRange {
    let (start, end) = (usize::from(range.start()), usize::from(range.end()));
    let before = text[..start].trim_end_matches([' ', '\t']).len();
    let begins = before == 0 || text[..before].ends_with('\n');
    let rest = &text[end..];
    let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
    let (from, to) = match rest[blank..].starts_with('\n') && begins {
        true => (before, end + blank + 1),
        false => (before, end),
    };
    let size = |at| TextSize::try_from(at).unwrap_or_default();
    TextRange::new(size(from), size(to))
}
