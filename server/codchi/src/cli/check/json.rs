//! For programs: a list of findings.

use super::output;
use super::report::{Lines, Report};
use codchi_module::WideEncoding;
use serde_json::json;

pub(super) fn print(report: &Report) -> anyhow::Result<()> {
    let all: Vec<_> = report
        .findings()
        .map(|(file, finding)| {
            let related = finding.related.iter().map(|place| {
                json!({ "path": place.path, "message": place.message, "range": range(place.places[0]) })
            });
            json!({
                "path": file.path,
                "code": finding.code,
                "severity": finding.severity,
                "message": finding.message,
                "range": range(file.lines(finding, WideEncoding::Utf32)),
                "related": related.collect::<Vec<_>>(),
            })
        })
        .collect();
    output::json(&all)
}

fn range(lines: Lines) -> serde_json::Value {
    let place = |(line, column): (u32, u32)| json!({ "line": line, "column": column });
    json!({ "start": place(lines.start), "end": place(lines.end) })
}
