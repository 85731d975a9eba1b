//! This process's standard streams, on Windows.

use filedescriptor::{FileDescriptor, StdioDescriptor};

/// Lets no program have them that is started from now on, other than as its own: what goes on in the background would else keep the pipe open
/// from which somebody reads what this process prints, until its end.
///
/// Windows gives a program all handles that are marked so, and the standard library starts programs in this way
/// (<https://github.com/rust-lang/rust/issues/54760>). Copies are not marked.
pub(crate) fn keep() {
    // The first ones are closed together: two streams may be one handle.
    let _first = (
        FileDescriptor::redirect_stdio(&std::io::stdin(), StdioDescriptor::Stdin),
        FileDescriptor::redirect_stdio(&std::io::stdout(), StdioDescriptor::Stdout),
        FileDescriptor::redirect_stdio(&std::io::stderr(), StdioDescriptor::Stderr),
    );
}
