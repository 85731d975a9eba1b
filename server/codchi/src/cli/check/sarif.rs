//! SARIF 2.1.0, which code scanning services read.

use super::output;
use super::report::{Checked, Finding, Lines, Report};
use crate::lsp::documentation;
use codchi_ide::Severity;
use codchi_module::WideEncoding;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::path::Path;
use url::Url;

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The base of relative URIs, by the name that services know.
const ROOT: &str = "%SRCROOT%";

pub(super) fn print(report: &Report) -> anyhow::Result<()> {
    let root = std::env::current_dir().ok().and_then(|folder| Url::from_directory_path(folder).ok());
    output::json(&log(report, root.as_ref()))
}

fn log(report: &Report, root: Option<&Url>) -> Value {
    let rules: Vec<Value> = documentation::codes().map(|(code, short)| rule(code, short)).collect();
    let mut same = HashMap::new();
    let results: Vec<Value> = report
        .findings()
        .map(|(file, finding)| {
            let mut result = result(file, finding, root);
            if let Some(index) = documentation::codes().position(|(code, _)| code == finding.code) {
                result["ruleIndex"] = index.into();
            }
            // Equal ones of a file are told apart by their order.
            let key = (file.shown.clone(), finding.code.clone(), finding.message.clone());
            let print = fingerprint(
                &key.0,
                &key.1,
                &key.2,
                *same.entry(key.clone()).and_modify(|n| *n += 1).or_insert(0),
            );
            result["partialFingerprints"] = json!({ "codchiFinding/v1": print });
            result
        })
        .collect();
    let troubles = report.troubles().map(|trouble| {
        let mut letters = trouble.chars();
        let sentence: String =
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        json!({ "level": "error", "message": { "text": sentence } })
    });
    let troubles: Vec<Value> = troubles.collect();
    let mut run = json!({
        "tool": { "driver": {
            "name": "codchi",
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules,
        } },
        "columnKind": "utf16CodeUnits",
        "invocations": [{
            "executionSuccessful": troubles.is_empty(),
            "toolExecutionNotifications": troubles,
        }],
        "results": results,
    });
    if let Some(root) = root {
        run["originalUriBaseIds"] = json!({ ROOT: { "uri": root.as_str() } });
    }
    json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [run] })
}

fn rule(code: &str, short: &str) -> Value {
    let mut sentence: String = short.to_owned();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    json!({
        "id": code,
        "shortDescription": { "text": format!("{sentence}.") },
        "help": { "text": documentation::section(code), "markdown": documentation::section(code) },
    })
}

fn result(file: &Checked, finding: &Finding, root: Option<&Url>) -> Value {
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Information | Severity::Hint => "note",
    };
    let lines = file.lines(finding, WideEncoding::Utf16);
    let mut result = json!({
        "ruleId": finding.code,
        "level": level,
        "message": { "text": finding.message },
        "locations": [{ "physicalLocation": location(&file.path, lines, root) }],
    });
    if !finding.related.is_empty() {
        let places = finding.related.iter().map(|place| {
            json!({
                "physicalLocation": location(&place.path, place.places[1], root),
                "message": { "text": place.message },
            })
        });
        result["relatedLocations"] = places.collect();
    }
    result
}

fn location(path: &Path, lines: Lines, root: Option<&Url>) -> Value {
    let uri = Url::from_file_path(path).ok();
    let relative = uri.as_ref().zip(root).and_then(|(uri, root)| {
        root.make_relative(uri).filter(|relative| !relative.starts_with("../") && !relative.starts_with('/'))
    });
    let artifact = match (relative, uri) {
        (Some(relative), _) => json!({ "uri": relative, "uriBaseId": ROOT }),
        (None, Some(uri)) => json!({ "uri": uri.as_str() }),
        // Standard input, which lies nowhere.
        (None, None) => json!({ "uri": "stdin" }),
    };
    json!({
        "artifactLocation": artifact,
        "region": {
            "startLine": lines.start.0,
            "startColumn": lines.start.1,
            "endLine": lines.end.0,
            "endColumn": lines.end.1,
        },
    })
}

/// By what a finding is known again, also where lines were added above. Never made of the source, which may hold a
/// credential that could be guessed from it.
fn fingerprint(path: &str, code: &str, message: &str, number: u32) -> String {
    let mut hash = Sha256::new();
    for part in [path, code, message] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(number.to_le_bytes());
    hex::encode(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_relative_to_the_root_where_it_is_below() {
        let root = Url::from_directory_path("/w").unwrap();
        let lines = Lines { start: (1, 1), end: (1, 2) };
        let uri = |path: &str| location(Path::new(path), lines, Some(&root))["artifactLocation"].clone();
        assert_eq!(uri("/w/a b.nix"), json!({ "uri": "a%20b.nix", "uriBaseId": ROOT }));
        assert_eq!(uri("/x/a.nix"), json!({ "uri": "file:///x/a.nix" }));
        assert_eq!(uri("<stdin>"), json!({ "uri": "stdin" }));
    }

    #[test]
    fn every_rule_has_its_documentation() {
        for (code, short) in documentation::codes() {
            let rule = rule(code, short);
            assert!(rule["help"]["text"].as_str().unwrap().contains("**What.**"), "{code}");
        }
    }
}
