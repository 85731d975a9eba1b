//! What Nix found, as the analysis sees it: about the real files, and without the module's values.

use super::job::Place;
use codchi_ide::{Evaluated, EvaluatedManifest, EvaluatedSecret, EvaluationError, Place as Position};
use codchi_module::Document;
use codchi_nix::{InspectError, Inspection};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// So many files that only the evaluation has found are read.
const MOST_FILES: usize = 1_000;

/// The part of a manifest that the analysis looks at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    secrets: BTreeMap<String, Secret>,
    required_capabilities: BTreeSet<String>,
    optional_capabilities: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Secret {
    description: String,
    required: bool,
}

/// What Nix found in a place; what is in `foreign` folders is not the person's. Blocking.
pub(super) fn evaluated(inspection: Inspection, place: &Place, foreign: &[PathBuf]) -> Evaluated {
    let Inspection { manifest, complete, errors, files, .. } = inspection;
    let mut texts = place.texts().clone();
    let named =
        errors.iter().flat_map(|error| error.places.iter().map(|place| &place.file).chain(&error.files));
    let found: BTreeSet<PathBuf> = files
        .iter()
        .chain(named)
        .map(|file| place.real(file.clone()))
        .filter(|file| is_users(file, foreign))
        .collect();
    for file in found.into_iter().take(MOST_FILES) {
        if !texts.contains_key(&file)
            && let Some(text) = place.read(&file)
        {
            texts.insert(file, text);
        }
    }
    Evaluated {
        texts,
        // One that lacks something would say of it that it is not asked for.
        manifest: manifest.filter(|_| complete).and_then(self::manifest),
        errors: errors.into_iter().map(|error| self::error(error, place)).collect(),
    }
}

/// Whether a file that only the evaluation has found, so that nobody has looked at it before, asks which options there are;
/// a lenient evaluation answers with those that it knows. Blocking.
pub(super) fn others_ask_for_options(inspection: &Inspection, place: &Place, foreign: &[PathBuf]) -> bool {
    let files = inspection.files.iter().map(|file| place.real(file.clone()));
    files
        .filter(|file| is_users(file, foreign) && !place.texts().contains_key(file))
        .take(MOST_FILES)
        .filter_map(|file| place.read(&file))
        .any(|text| Document::new(text).facts().reads_options)
}

fn is_users(file: &Path, foreign: &[PathBuf]) -> bool {
    let is_foreign = file.starts_with("/nix/store") || foreign.iter().any(|folder| file.starts_with(folder));
    file.is_absolute() && !is_foreign && file.extension().is_some_and(|e| e == "nix")
}

fn manifest(json: serde_json::Value) -> Option<EvaluatedManifest> {
    let Manifest { secrets, required_capabilities, optional_capabilities } = serde_json::from_value(json)
        .inspect_err(|error| tracing::warn!("a manifest is not as expected: {error}"))
        .ok()?;
    let secret = |Secret { description, required }: Secret| EvaluatedSecret { description, required };
    Some(EvaluatedManifest {
        secrets: secrets.into_iter().map(|(name, it)| (name, secret(it))).collect(),
        required_capabilities,
        optional_capabilities,
    })
}

fn error(error: InspectError, place: &Place) -> EvaluationError {
    let InspectError { message, option, places, files, trace } = error;
    let position =
        |at: codchi_nix::Position| Position { path: place.real(at.file), line: at.line, column: at.column };
    EvaluationError {
        message: place.real_text(&message).into_owned(),
        option,
        places: places.into_iter().map(position).collect(),
        files: files.into_iter().map(|file| place.real(file)).collect(),
        trace: trace.iter().map(|line| place.real_text(line).into_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Job;
    use super::*;
    use serde_json::json;

    #[test]
    fn only_a_whole_manifest_says_what_is_asked_for() {
        let json = json!({
            "secrets": { "TOKEN": { "description": "d", "required": true, "env": true } },
            "requiredCapabilities": ["gpu"],
            "optionalCapabilities": [],
            "initScript": "",
        });
        let secret = EvaluatedSecret { description: "d".into(), required: true };
        let expected = EvaluatedManifest {
            secrets: [("TOKEN".to_owned(), secret)].into(),
            required_capabilities: ["gpu".to_owned()].into(),
            optional_capabilities: [].into(),
        };
        assert_eq!(manifest(json), Some(expected));
        assert_eq!(manifest(json!({ "secrets": {} })), None);
        assert_eq!(manifest(json!("garbage")), None);
    }

    #[test]
    fn a_file_that_nobody_knew_of_may_ask_which_options_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
            folder.path().join(name)
        };
        let asks = "{ options, ... }: { a = options ? b; }";
        let [known, asking, other] =
            [("a.nix", asks), ("b.nix", asks), ("c.nix", "{ }")].map(|(n, t)| at(n, t));
        let place = Job::of_text(&known, asks).place();
        let ask = |files: &[&PathBuf], foreign: &[PathBuf]| {
            let files = files.iter().map(|file| file.to_path_buf()).collect();
            others_ask_for_options(&Inspection { files, ..Inspection::default() }, &place, foreign)
        };
        assert!(ask(&[&known, &asking, &other], &[]));
        assert!(!ask(&[&known, &other], &[]), "of the module's own files that is known");
        assert!(!ask(&[&asking], &[folder.path().to_owned()]));
    }

    #[test]
    fn files_of_the_store_are_not_the_persons() {
        let is_users = |path: &str| is_users(Path::new(path), &["/home/a/nixpkgs".into()]);
        assert!(is_users("/home/a/b.nix"));
        assert!(!is_users("/nix/store/x/b.nix") && !is_users("/home/a/nixpkgs/lib/modules.nix"));
        assert!(!is_users("b.nix") && !is_users("/home/a/secret.json"), "data is not shown");
    }
}
