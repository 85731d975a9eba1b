//! What `nix/inspect.nix` is asked, as the text of an expression.
//!
//! Everything that a person chose goes through JSON in one string literal, so that no path can be read as Nix.

use super::{Depth, Inspect, InspectedModule, Reads};
use crate::NixError;
use crate::evaluate::WHAT;
use crate::url::string_literal;
use std::io;
use std::path::Path;

/// What a lenient evaluation takes from what it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// What the module itself sets.
    Values,
    /// Nothing, so that an error cannot come from it; but modules of inputs, which were named.
    Nothing,
    /// Not even these, nor which options NixOS has.
    NoModules,
}

#[derive(serde::Serialize)]
struct Request<'a> {
    nixpkgs: &'a str,
    module: Module<'a>,
    depth: &'a str,
    reads: Paths<'a>,
    known: &'a str,
    skip: &'a [Vec<String>],
    only: Option<&'a [String]>,
}

#[derive(serde::Serialize)]
#[serde(untagged)]
enum Module<'a> {
    File { file: &'a str },
    Output { folder: &'a str, output: &'a str },
}

#[derive(serde::Serialize)]
struct Paths<'a> {
    packages: Vec<&'a [String]>,
    config: Vec<&'a [String]>,
    inputs: Vec<&'a [String]>,
}

/// The expression; `skip` are paths that are not touched, `only` is the one whose error is wanted.
pub(super) fn expression(
    inspect: &Inspect,
    known: Known,
    skip: &[Vec<String>],
    only: Option<&[String]>,
) -> Result<Vec<u8>, NixError> {
    let request = Request {
        nixpkgs: text(&inspect.nixpkgs)?,
        module: match &inspect.module {
            InspectedModule::File(file) => Module::File { file: text(file)? },
            InspectedModule::Output { folder, output } => {
                Module::Output { folder: text(folder)?, output: output.as_deref().unwrap_or("default") }
            }
        },
        depth: match inspect.depth {
            Depth::Lenient => "lenient",
            Depth::Full => "full",
        },
        reads: paths(&inspect.reads),
        known: match known {
            Known::Values => "values",
            Known::Nothing => "nothing",
            Known::NoModules => "no-modules",
        },
        skip,
        only,
    };
    let json = serde_json::to_string(&request).map_err(|error| invalid(error.to_string()))?;
    let harness = string_literal(text(&inspect.codchi.join("inspect.nix"))?);
    Ok(format!("import (/. + {harness}) (builtins.fromJSON {})\n", string_literal(&json)).into_bytes())
}

fn paths(reads: &Reads) -> Paths<'_> {
    let Reads { packages, config, inputs, .. } = reads;
    let [packages, config, inputs] =
        [packages, config, inputs].map(|paths| paths.iter().map(Vec::as_slice).collect());
    Paths { packages, config, inputs }
}

fn text(path: &Path) -> Result<&str, NixError> {
    if !path.is_absolute() {
        return Err(invalid(format!("{} is not an absolute path", path.display())));
    }
    path.to_str().ok_or_else(|| invalid(format!("the name of {} is not Unicode", path.display())))
}

fn invalid(message: String) -> NixError {
    NixError::Process { command: WHAT.into(), source: io::Error::new(io::ErrorKind::InvalidInput, message) }
}
