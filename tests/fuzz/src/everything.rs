//! Everything that can be asked about any text.

use crate::completion::complete;
use crate::text::Text;
use codchi_ide::{Command, Edit, Symbol, TextRange, TextSize};

/// A name that no text has.
const NEW: &str = "RENAMED_1";

/// All features, at some places of the text, which is a module and a flake.
pub fn analysis(data: &[u8]) {
    let string = Text::of(data);
    for name in ["codchi.nix", "flake.nix"] {
        let text = Text::new(name, &string);
        of_text(&text);
        for offset in text.offsets(3) {
            at_place(&text, offset);
        }
    }
}

fn of_text(text: &Text) {
    let path = &text.path;
    let all = TextRange::up_to(TextSize::of(text.document.text()));
    text.ask(|analysis| {
        for diagnostic in analysis.diagnostics(path) {
            text.assert_inside(diagnostic.range);
            assert!(!diagnostic.message.is_empty());
            diagnostic
                .related
                .iter()
                .filter(|it| it.path == *path)
                .for_each(|it| text.assert_inside(it.range));
        }
        for action in analysis.actions(path, all) {
            let after = text.edited(&action.edits);
            // What is half-typed may be anything; what is Nix stays Nix.
            let is_nix = |text: &str| !codchi_ide::Document::new(text).has_syntax_errors();
            let broken = text.document.text();
            assert!(!is_nix(broken) || is_nix(&after), "{}: {broken:?} => {after:?}", action.title);
            assert!(
                !action.edits.is_empty() || !action.elsewhere.is_empty() || action.command != Command::None,
                "{} does nothing",
                action.title
            );
        }
        analysis.lenses(path).iter().for_each(|lens| text.assert_inside(lens.range));
        analysis.folds(path).iter().for_each(|fold| text.assert_inside(fold.range));
        analysis.links(path).iter().for_each(|link| text.assert_inside(link.range));
        analysis.workspace_symbols("").iter().for_each(|symbol| text.assert_inside(symbol.range));
        for hint in analysis.inlay_hints(path, all) {
            text.assert_inside(TextRange::empty(hint.offset));
        }
        symbols(text, &analysis.symbols(path), all);
    });
}

/// Each symbol lies in the one around it.
fn symbols(text: &Text, found: &[Symbol], around: TextRange) {
    for symbol in found {
        text.assert_inside(symbol.range);
        text.assert_inside(symbol.name_range);
        assert!(around.contains_range(symbol.range), "{symbol:?}");
        assert!(symbol.range.contains_range(symbol.name_range), "{symbol:?}");
        symbols(text, &symbol.children, symbol.range);
    }
}

fn at_place(text: &Text, offset: TextSize) {
    let path = &text.path;
    complete(text, offset);
    text.ask(|analysis| {
        analysis.hover(path, offset).iter().for_each(|hover| text.assert_inside(hover.range));
        for target in analysis.definition(path, offset) {
            text.assert_inside(target.origin);
            if target.path == *path {
                text.assert_inside(target.range);
            }
        }
        let references = analysis.references(path, offset);
        references.iter().for_each(|reference| text.assert_inside(reference.range));
        let selection = analysis.selection(path, offset);
        selection.iter().for_each(|range| text.assert_inside(*range));
        assert!(selection.windows(2).all(|pair| pair[1].contains_range(pair[0])), "{selection:?}");
        let Ok((range, _)) = analysis.prepare_rename(path, offset) else { return };
        text.assert_inside(range);
    });
    rename(text, offset);
}

/// What is renamed has as many places as before; a way back there is, too.
fn rename(text: &Text, offset: TextSize) {
    let string = text.document.text();
    if string.contains(NEW) {
        return;
    }
    let Ok((_, old)) = text.ask(|analysis| analysis.prepare_rename(&text.path, offset)) else { return };
    let Ok(edits) = text.ask(|analysis| analysis.rename(&text.path, offset, NEW)) else { return };
    let Some(edits) = edits.get(&text.path) else { return };
    // An `inherit` that had to be spelled out stays so.
    let is_plain = |edits: &[Edit], name: &str| edits.iter().all(|edit| edit.new_text == name);
    let way_back = is_plain(edits, NEW);
    let there = text.edited(edits);
    let renamed = Text::new(text.path.file_name().and_then(|name| name.to_str()).unwrap_or_default(), &there);
    let Some(at) = there.find(NEW).and_then(|at| TextSize::try_from(at).ok()) else { return };
    let places = |text: &Text, offset| text.ask(|analysis| analysis.references(&text.path, offset)).len();
    assert_eq!(places(&renamed, at), places(text, offset), "{string:?} => {there:?}");
    let Ok(edits) = renamed.ask(|analysis| analysis.rename(&renamed.path, at, &old)) else { return };
    let Some(edits) = edits.get(&renamed.path) else { return };
    let back = renamed.edited(edits);
    if way_back && is_plain(edits, &old) {
        assert_eq!(back, string, "by way of {there:?}");
    }
}
