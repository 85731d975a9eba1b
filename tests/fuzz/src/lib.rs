//! What must hold for any text and any message: one function per fuzz target, which panics where it does not hold.
//!
//! `cargo xtask fuzz TARGET` looks for inputs; what it finds is kept, as small as it can be made, in `corpus/`, which
//! the ordinary test run replays.

mod completion;
mod edits;
mod everything;
#[cfg(feature = "protocol")]
mod protocol;
mod text;

pub use completion::completion;
pub use edits::edits;
pub use everything::analysis;
#[cfg(feature = "protocol")]
pub use protocol::{messages, protocol};
