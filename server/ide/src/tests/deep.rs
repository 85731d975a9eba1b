//! The deepest texts that are read: nothing that walks them takes more of the stack than there is, or seconds.

use crate::fixture::Fixture;
use crate::{Document, TextRange, TextSize};
use codchi_tests::nasty;
use rowan::ast::AstNode as _;
use std::time::Duration;

/// A quarter of what the program gives its threads, and builds for tests take several times what released ones do.
const STACK: usize = 16 << 20;

/// Everything, at some places from the outermost to the innermost.
fn ask_everything(text: &str) {
    let fixture = Fixture::of_text(text);
    let (analysis, path) = (fixture.analysis(), &fixture.path);
    let all = TextRange::up_to(TextSize::of(text));
    let _ = analysis.diagnostics(path);
    let _ = analysis.actions(path, all);
    let _ = analysis.lenses(path);
    let _ = analysis.symbols(path);
    let _ = analysis.folds(path);
    let _ = analysis.links(path);
    let _ = analysis.inlay_hints(path, all);
    let _ = analysis.workspace_symbols("a");
    for part in 0..=4 {
        let offset = TextSize::try_from(text.floor_char_boundary(text.len() * part / 4)).expect("small");
        let _ = analysis.completions(path, offset);
        let _ = analysis.hover(path, offset);
        let _ = analysis.definition(path, offset);
        let _ = analysis.references(path, offset);
        let _ = analysis.selection(path, offset);
        let _ = analysis.prepare_rename(path, offset);
        let _ = analysis.rename(path, offset, "renamed");
    }
}

fn on_a_small_stack(name: &str, text: String) {
    let work = move || {
        ask_everything(&text);
        processor_time()
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work).expect("a thread");
    let took = thread.join().expect("no panic");
    // What is not linear takes minutes. The processor's time, as others may be busy with the computer.
    assert!(took < Duration::from_secs(20), "{name}: {took:?}");
    println!("{name}: {took:?}");
}

/// What this thread has taken.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("a time since the thread began")
}

#[test]
fn the_deepest_text_that_is_read_fits_the_stack() {
    let is_read = |text: &str| Document::new(text).root().syntax().text_range().len() == TextSize::of(text);
    for kind in 0..nasty::nested(1).len() {
        let text = |levels| nasty::nested(levels).swap_remove(kind).1;
        // The most levels that are still let through.
        let (mut fits, mut too_many) = (1_usize, 4096);
        while fits + 1 < too_many {
            let middle = fits.midpoint(too_many);
            if is_read(&text(middle)) { fits = middle } else { too_many = middle }
        }
        let name = nasty::nested(1).swap_remove(kind).0;
        on_a_small_stack(&format!("{fits} {name}"), text(fits));
        on_a_small_stack(&format!("{too_many} {name}"), text(too_many));
    }
}

#[test]
fn texts_that_are_nested_without_end_are_cut_off() {
    for (name, text) in nasty::nested(20_000) {
        assert!(Document::new(text.as_str()).syntax_errors().len() <= 1, "{name}");
        on_a_small_stack(name, text);
    }
}

#[test]
fn what_a_large_text_costs_grows_with_its_length_and_no_faster() {
    for (name, text) in nasty::large(128 << 10) {
        on_a_small_stack(name, text);
    }
}
