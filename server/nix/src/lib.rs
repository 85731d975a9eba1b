//! Runs `nix`: evaluation, builds, locks; turns its internal-json log into progress and errors with positions.
//!
//! Knows nothing about machines. Every call takes a [`CancellationToken`]; cancelling, or dropping the future, kills
//! the process. Works with Nix 2.8 (no flags that only newer versions have) and with current ones. Experimental
//! features that are needed are passed on the command line; the user's `nix.conf` is left as it is.

mod ansi;
mod catalogue;
mod elsewhere;
mod error;
mod evaluate;
mod failure;
mod find;
mod garbage;
mod group;
mod inspect;
mod lock;
mod log;
mod position;
mod process;
mod revision;
mod run;
#[cfg(test)]
mod script;
mod store;
mod tree;
mod url;

pub use catalogue::{
    Declared, PackageNames, SURVEY_EXPRESSION, Survey, SurveyQuestion, SurveyedOption, read_options,
};
pub use elsewhere::inside;
pub use error::{FailedBuild, NixError, Position};
pub use garbage::Root;
pub use group::without_window;
pub use inspect::{Depth, Inspect, InspectError, InspectedModule, Inspection, Limits, Reads};
pub use lock::Lock;
pub use log::{Activity, Progress};
pub use revision::Revision;
pub use run::{Built, Nix, Version};
pub use store::{Closure, Planned};
pub use tree::Tree;
pub use url::path_url;

use url::store_name;

pub use tokio_util::sync::CancellationToken;
