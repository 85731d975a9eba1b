//! `evaluation`: what Nix says when it evaluates the module.
//!
//! It is of the texts that were evaluated. Where they have been edited since, an error is shown only as long as the
//! definition that it is about stands as it did; and what another diagnostic says of the same definition is not said twice.

mod definitions;
mod message;
mod place;
#[cfg(test)]
mod tests;

use super::{Context, Finding};
use crate::evaluated::definition;
use crate::{DiagnosticCode, Severity};
use place::Places;

/// Diagnostics that say of a definition what Nix refuses it for.
const SAME: [DiagnosticCode; 7] = [
    DiagnosticCode::UnknownOption,
    DiagnosticCode::WrongType,
    DiagnosticCode::DuplicateDefinition,
    DiagnosticCode::SecretNameInvalid,
    DiagnosticCode::SecretUndeclared,
    DiagnosticCode::CapabilityUnknown,
    DiagnosticCode::ImportNotFound,
];

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let root = cx.asked.evaluations().root();
    let mut said: Vec<Finding> = Vec::new();
    for evaluation in &cx.asked.evaluations().all {
        for error in &evaluation.evaluated.errors {
            // The parser says so itself, and where.
            if cx.facts.has_syntax_errors && error.message.trim_start().starts_with("syntax error") {
                continue;
            }
            let Some(place) = Places::new(cx, evaluation).of(error) else { continue };
            let around = definition(root, place.range);
            let is_said =
                findings.iter().filter(|finding| SAME.contains(&finding.diagnostic.code)).any(|it| {
                    let range = it.diagnostic.range;
                    range.intersect(place.range).is_some()
                        || (around.is_some() && definition(root, range) == around)
                });
            if is_said {
                continue;
            }
            let message = message::of(&error.message);
            let basis = around.map_or(place.range, |around| around.text_range());
            let mut finding = Finding::new(DiagnosticCode::Evaluation, Severity::Error, place.range, message)
                .based_on(basis);
            finding.diagnostic.related = place.related;
            // Several modules may hold the file, and fail for the same reason.
            let again = |other: &Finding| {
                (other.diagnostic.range, &other.diagnostic.message)
                    == (place.range, &finding.diagnostic.message)
            };
            if !said.iter().any(again) {
                said.push(finding);
            }
        }
    }
    findings.append(&mut said);
}
