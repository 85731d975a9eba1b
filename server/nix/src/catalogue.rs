//! What a nixpkgs, and the modules of a flake, have to offer: options with their documentation, and names of packages.
//!
//! Nothing is built and nothing is written to the store. The work is done by `nix/catalogue.nix`; what of it ends the
//! process is left out in the next attempt, so that one broken module costs no more than itself.

use crate::evaluate::{Evaluation, Failed, WHAT};
use crate::url::string_literal;
use crate::{CancellationToken, InspectedModule, Limits, Nix, NixError, Position};
use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// What is evaluated. Embedded, so that it fits this program, whatever lies on the disk; where it changes, answers may.
pub const SURVEY_EXPRESSION: &str = include_str!("../../../nix/catalogue.nix");

/// After so many attempts without something that ends the process, more would follow.
const ATTEMPTS: usize = 24;

/// An error that comes so often from one place outside of modules has nothing to do with what is left out: a nixpkgs that
/// this Nix is too old for.
const SAME: usize = 4;

/// What is asked of a nixpkgs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// A folder with nixpkgs, or with nixpkgs.lib only.
    pub nixpkgs: PathBuf,
    /// What is asked.
    pub question: SurveyQuestion,
    /// What it may take, in all attempts together (time) or in each (memory, output).
    pub limits: Limits,
}

/// What is asked of a nixpkgs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SurveyQuestion {
    /// All of its options; the answer is read with [`read_options`].
    Options,
    /// The options that these modules declare, and those that they import; the answer is read with [`read_options`].
    Own(Vec<InspectedModule>),
    /// The names directly below these paths of `pkgs`; the answer is a [`PackageNames`] for each.
    Packages(Vec<Vec<String>>),
}

/// An option as it is declared; what it does not say, or what does not evaluate, is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SurveyedOption {
    /// Its path, free names as `<name>`.
    pub path: Vec<String>,
    /// Its type in words.
    #[serde(rename = "type")]
    pub kind: String,
    /// In Markdown.
    pub description: String,
    /// The default, as Nix text.
    pub default: Option<String>,
    /// An example, as Nix text.
    pub example: Option<String>,
    /// Where it is declared.
    pub declared: Vec<Declared>,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// Where an option is declared: the file; line and column where they are known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Declared {
    /// A place.
    At(PathBuf, u32, u32),
    /// Somewhere in a file.
    In((PathBuf,)),
}

/// The names directly below a path of `pkgs`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PackageNames {
    /// The path.
    pub path: Vec<String>,
    /// The names, sorted; `None` where there is no such set.
    pub names: Option<Vec<String>>,
}

/// What is left out of an attempt, because it ended an earlier one.
#[derive(Debug, Default, Serialize)]
struct Without {
    /// Files of modules.
    modules: Vec<PathBuf>,
    /// Paths that are not looked at.
    nodes: Vec<Vec<String>>,
    /// Options that are not gone into.
    trees: Vec<Vec<String>>,
    /// Options that are not told of.
    options: Vec<Vec<String>>,
    /// Options whose default and example are not told.
    values: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct Request<'a> {
    nixpkgs: &'a Path,
    system: String,
    what: &'a str,
    modules: Vec<Module<'a>>,
    paths: &'a [Vec<String>],
    without: &'a Without,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Module<'a> {
    File { file: &'a Path },
    Output { folder: &'a Path, output: &'a str },
}

impl Nix {
    /// Asks a nixpkgs; the answer, as JSON, goes into `answer`, an empty file. Gives what had
    /// to be left out, as sentences.
    ///
    /// # Errors
    /// [`NixError::Failed`] where it does not evaluate, whatever is left out, and the others.
    pub async fn survey(
        &self,
        survey: &Survey,
        answer: &File,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, NixError> {
        let end = Instant::now() + survey.limits.time;
        let failed = |source| NixError::Process { command: WHAT.to_owned(), source };
        let mut without = Without::default();
        let mut left_out = Vec::new();
        let (mut last, mut same) = (None, 0);
        loop {
            let evaluation = Evaluation {
                input: expression(survey, &without).map_err(failed)?,
                nixpkgs: &survey.nixpkgs,
                limits: survey.limits,
                end,
                has_trace: true,
                is_small: false,
                background: true,
            };
            let why = match self.evaluate(evaluation, &mut |_| {}, cancel).await?.result {
                Ok(json) => {
                    let mut output = answer;
                    output.write_all(&json).map_err(failed)?;
                    return Ok(left_out);
                }
                Err(why) => why,
            };
            let Failed { message, position, trace } = &why;
            let this = Some((message.clone(), position.clone()));
            same = if this == last { same + 1 } else { 1 };
            last = this;
            let is_in_module = position.as_ref().is_some_and(|place| is_module(survey, &place.file));
            if left_out.len() + 1 >= ATTEMPTS || (same >= SAME && !is_in_module) {
                return Err(why.into());
            }
            match without.leave_out(survey, position.as_ref(), trace) {
                Some(what) => left_out.push(format!("{what}: {message}")),
                None => return Err(why.into()),
            }
        }
    }
}

/// The expression.
fn expression(survey: &Survey, without: &Without) -> std::io::Result<Vec<u8>> {
    let none: &[Vec<String>] = &[];
    let (what, modules, paths) = match &survey.question {
        SurveyQuestion::Options => ("options", &[][..], none),
        SurveyQuestion::Own(modules) => ("own", modules.as_slice(), none),
        SurveyQuestion::Packages(paths) => ("packages", &[][..], paths.as_slice()),
    };
    let modules = modules.iter().map(|module| match module {
        InspectedModule::File(file) => Module::File { file },
        InspectedModule::Output { folder, output } => {
            Module::Output { folder, output: output.as_deref().unwrap_or("default") }
        }
    });
    let request = Request {
        nixpkgs: &survey.nixpkgs,
        system: format!("{}-linux", std::env::consts::ARCH),
        what,
        modules: modules.collect(),
        paths,
        without,
    };
    let request = string_literal(&serde_json::to_string(&request)?);
    Ok(format!("({SURVEY_EXPRESSION}) {request}").into_bytes())
}

impl Without {
    /// Leaves out what an error is about; says what that is. `None` where that is not known, or did not help before.
    fn leave_out(
        &mut self,
        survey: &Survey,
        position: Option<&Position>,
        trace: &[(String, Option<Position>)],
    ) -> Option<String> {
        let mark = trace.iter().find_map(|(text, _)| Mark::read(text));
        let places = position.into_iter().chain(trace.iter().filter_map(|(_, place)| place.as_ref()));
        let mut files = places.map(|place| place.file.as_path()).filter(|file| is_module(survey, file));
        let (kind, path) = match mark {
            Some(Mark { kind, path }) if !(kind == "node" && path.len() == 1) => (kind, path),
            // Before there are options, or in what many modules have: one module is less than all of these.
            mark => {
                if let Some(file) = files.find(|file| !self.modules.iter().any(|known| known == file)) {
                    self.modules.push(file.to_owned());
                    return Some(format!("the module {}", file.display()));
                }
                let Mark { kind, path } = mark?;
                (kind, path)
            }
        };
        let name = path.join(".");
        let (list, what) = match kind.as_str() {
            "option" if !self.values.contains(&path) => {
                (&mut self.values, format!("default and example of {name}"))
            }
            "option" => (&mut self.options, format!("the option {name}")),
            "tree" => (&mut self.trees, format!("what is below the option {name}")),
            "node" => (&mut self.nodes, format!("all of {name}")),
            _ => return None,
        };
        if list.contains(&path) {
            return None;
        }
        list.push(path);
        Some(what)
    }
}

/// What catalogue.nix was at.
struct Mark {
    kind: String,
    path: Vec<String>,
}

impl Mark {
    fn read(text: &str) -> Option<Self> {
        let (kind, path) = text.split_once("codchi: ")?.1.split_once(' ')?;
        let mut path = serde_json::Deserializer::from_str(path).into_iter();
        Some(Self { kind: kind.to_owned(), path: path.next()?.ok()? })
    }
}

/// Whether a file can be left out as a module.
fn is_module(survey: &Survey, file: &Path) -> bool {
    let is_nix = file.extension() == Some(OsStr::new("nix"));
    match survey.question {
        SurveyQuestion::Options => is_nix && file.starts_with(survey.nixpkgs.join("nixos/modules")),
        SurveyQuestion::Own(_) => is_nix && !file.starts_with(&survey.nixpkgs),
        SurveyQuestion::Packages(_) => false,
    }
}

/// Reads the options of an answer one by one.
///
/// # Errors
/// Where it is no such answer, or `each` fails.
pub fn read_options(
    answer: impl Read,
    each: &mut dyn FnMut(SurveyedOption) -> std::io::Result<()>,
) -> std::io::Result<()> {
    struct Each<'a>(&'a mut dyn FnMut(SurveyedOption) -> std::io::Result<()>);
    impl<'de> Visitor<'de> for Each<'_> {
        type Value = ();
        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a list of options")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut options: A) -> Result<(), A::Error> {
            while let Some(option) = options.next_element()? {
                (self.0)(option).map_err(serde::de::Error::custom)?;
            }
            Ok(())
        }
    }
    impl<'de> DeserializeSeed<'de> for Each<'_> {
        type Value = ();
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_seq(self)
        }
    }
    let mut json = serde_json::Deserializer::from_reader(std::io::BufReader::new(answer));
    Each(each).deserialize(&mut json)?;
    Ok(json.end()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(question: SurveyQuestion) -> Survey {
        let limits = Limits { time: std::time::Duration::from_secs(1), memory: 1 << 30, output: 1 << 20 };
        Survey { nixpkgs: "/nix/store/x-source".into(), question, limits }
    }

    fn at(file: &str) -> Option<Position> {
        Some(Position { file: file.into(), line: 1, column: 1 })
    }

    #[test]
    fn what_ends_an_option_costs_its_values_first_and_then_the_option() {
        let survey = survey(SurveyQuestion::Options);
        let mut without = Without::default();
        let trace = [
            ("while calling 'abort'".into(), at("/nix/store/x-source/nixos/modules/a.nix")),
            (r#"codchi: option ["a","<name>","b c"]"#.into(), None),
            (r#"codchi: node ["a"]"#.into(), None),
        ];
        let mut attempt = || without.leave_out(&survey, None, &trace);
        assert_eq!(attempt().as_deref(), Some("default and example of a.<name>.b c"));
        assert_eq!(attempt().as_deref(), Some("the option a.<name>.b c"));
        assert_eq!(attempt(), None, "it did not help");
    }

    #[test]
    fn what_ends_the_whole_costs_a_module_where_one_is_named() {
        let survey = survey(SurveyQuestion::Options);
        let mut without = Without::default();
        let position = at("/nix/store/x-source/lib/modules.nix");
        let trace = [
            ("from call site".into(), at("/nix/store/x-source/nixos/modules/services/bad.nix")),
            (r#"codchi: node ["services"]"#.into(), None),
        ];
        let mut attempt = || without.leave_out(&survey, position.as_ref(), &trace);
        let module = "the module /nix/store/x-source/nixos/modules/services/bad.nix";
        assert_eq!(attempt().as_deref(), Some(module));
        assert_eq!(attempt().as_deref(), Some("all of services"));
        assert_eq!(attempt(), None);
    }

    #[test]
    fn of_ones_own_modules_no_file_of_nixpkgs_is_left_out() {
        let survey = survey(SurveyQuestion::Own(Vec::new()));
        let mut without = Without::default();
        let trace = [("from call site".into(), at("/nix/store/x-source/lib/types.nix"))];
        assert_eq!(without.leave_out(&survey, None, &trace), None);
        assert!(without.leave_out(&survey, at("/w/a.nix").as_ref(), &trace).is_some());
    }

    #[test]
    fn options_are_read_one_by_one_and_half_an_answer_is_an_error() {
        let json = r#"[{"path":["a"],"type":"boolean","declared":[["/a.nix",2,3],["/b.nix"]],"readOnly":true},{"path":["b"]}]"#;
        let read = |json: &str| {
            let mut found = Vec::new();
            let end = read_options(json.as_bytes(), &mut |option| {
                found.push(option);
                Ok(())
            });
            (found, end.is_ok())
        };
        let (found, is_whole) = read(json);
        assert!(is_whole && found.len() == 2);
        assert_eq!(
            found[0].declared,
            [Declared::At("/a.nix".into(), 2, 3), Declared::In(("/b.nix".into(),))]
        );
        assert!(found[0].read_only && found[1].default.is_none());
        assert!(!read(&json[..json.len() - 1]).1 && !read("{}").1 && !read("").1);
    }
}
