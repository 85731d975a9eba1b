//! `wrong-type`: a literal of the wrong shape for the option. NixOS refuses the whole module for it.
//!
//! Only literals are judged; what a function, a variable or an interpolation gives, only evaluation knows.

use super::capability_unknown::is_capability_list;
use super::secret_name_invalid::is_reserved_set;
use super::{Context, Finding, nearest};
use crate::{DiagnosticCode, Edit, Severity, TextRange};
use codchi_module::{Literal, OptionPath, OptionType, Options};

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let options = Options::builtin();
    for used in &cx.facts.options {
        // A submodule's own name is reported by `unknown-option`, a misused `secrets.env` by `secret-name-invalid`.
        let Some(kind) = options.kind(&used.path) else { continue };
        if is_reserved_set(used) {
            continue;
        }
        let check = Check { path: &used.path, kind };
        check.value(kind, &used.value, used.value_range, findings);
    }
}

struct Check<'a> {
    path: &'a OptionPath,
    kind: &'a OptionType,
}

impl Check<'_> {
    fn value(&self, kind: &OptionType, value: &Literal, range: TextRange, findings: &mut Vec<Finding>) {
        match (kind, value) {
            (OptionType::ListOf { of }, Literal::List(elements)) => {
                for (element, range) in elements {
                    self.value(of, element, *range, findings);
                }
            }
            (OptionType::NullOr { .. }, Literal::Null) => {}
            (OptionType::NullOr { of }, _) => self.value(of, value, range, findings),
            (OptionType::Enum { .. }, Literal::String(_)) if is_capability_list(self.path) => {}
            _ if !fits(kind, value) => findings.push(self.finding(kind, value, range)),
            _ => {}
        }
    }

    fn finding(&self, kind: &OptionType, value: &Literal, range: TextRange) -> Finding {
        let path = self.path;
        let is = describe(value);
        let message = if kind == self.kind {
            format!("`{path}` wants {}, but this is {is}.", want(kind))
        } else if matches!(self.kind, OptionType::ListOf { .. }) {
            format!("The elements of `{path}` are each {}, but this is {is}.", want(kind))
        } else {
            format!("`{path}` wants {}, but this is {is}.", want(self.kind))
        };
        let nearest = match (kind, value) {
            (OptionType::Enum { values }, Literal::String(text)) => {
                nearest(text, values.iter().map(String::as_str))
            }
            _ => None,
        };
        let message = match nearest {
            Some(name) => format!("{message} Did you mean `\"{name}\"`?"),
            None => message,
        };
        let finding = Finding::new(DiagnosticCode::WrongType, Severity::Error, range, message);
        let replace = |title: String, new_text: String| (title, vec![Edit { range, new_text }]);
        let fix = match (kind, value) {
            (OptionType::Enum { .. }, _) => {
                nearest.map(|name| replace(format!("Did you mean `\"{name}\"`?"), format!("\"{name}\"")))
            }
            (OptionType::Bool, Literal::String(text)) if matches!(text.as_str(), "true" | "false") => {
                Some(replace(format!("Write `{text}` without quotes"), text.clone()))
            }
            (OptionType::ListOf { of }, _) if fits(of, value) => Some((
                "Make it a list".to_owned(),
                vec![
                    Edit { range: TextRange::empty(range.start()), new_text: "[ ".to_owned() },
                    Edit { range: TextRange::empty(range.end()), new_text: " ]".to_owned() },
                ],
            )),
            _ => None,
        };
        match fix {
            Some((title, edits)) => finding.edit(title, edits),
            None => finding,
        }
    }
}

/// Whether the literal can be a value of the type, as far as it can be seen.
fn fits(kind: &OptionType, value: &Literal) -> bool {
    match (kind, value) {
        (OptionType::Anything, _) | (_, Literal::Unknown) => true,
        (OptionType::NullOr { of }, _) => matches!(value, Literal::Null) || fits(of, value),
        (OptionType::Bool, _) => matches!(value, Literal::Bool(_)),
        (OptionType::Int, _) => matches!(value, Literal::Int(_)),
        (OptionType::Str | OptionType::Lines, _) => {
            matches!(value, Literal::String(_) | Literal::Interpolated)
        }
        (OptionType::Enum { values }, Literal::String(text)) => values.contains(text),
        (OptionType::Enum { .. }, _) => matches!(value, Literal::Interpolated),
        // A set may stand for a path, by its `outPath`.
        (OptionType::Path, Literal::String(text)) => text.starts_with('/'),
        (OptionType::Path, _) => matches!(value, Literal::Interpolated | Literal::Path(_) | Literal::Set),
        (OptionType::Package, Literal::String(text)) => text.starts_with('/'),
        (OptionType::Package, _) => matches!(value, Literal::Interpolated | Literal::Path(_) | Literal::Set),
        (OptionType::ListOf { of }, Literal::List(elements)) => elements.iter().all(|(e, _)| fits(of, e)),
        (OptionType::ListOf { .. }, _) => false,
        (OptionType::AttrsOf { .. }, _) => matches!(value, Literal::Set),
        // A function and a path to a file are modules too.
        (OptionType::Submodule, _) => matches!(value, Literal::Set | Literal::Function | Literal::Path(_)),
    }
}

fn want(kind: &OptionType) -> String {
    match kind {
        OptionType::Bool => "`true` or `false`".to_owned(),
        OptionType::Int | OptionType::Submodule | OptionType::AttrsOf { .. } => format!("an {kind}"),
        OptionType::Lines | OptionType::NullOr { .. } | OptionType::Enum { .. } | OptionType::Anything => {
            kind.to_string()
        }
        OptionType::Str | OptionType::Path | OptionType::Package | OptionType::ListOf { .. } => {
            format!("a {kind}")
        }
    }
}

fn describe(value: &Literal) -> String {
    match value {
        Literal::String(text) if text.len() <= 40 && !text.contains('\n') => format!("the string \"{text}\""),
        Literal::String(_) | Literal::Interpolated => "a string".to_owned(),
        Literal::Int(number) => format!("the integer {number}"),
        Literal::Float => "a floating-point number".to_owned(),
        Literal::Bool(value) => format!("the boolean `{value}`"),
        Literal::Null => "`null`".to_owned(),
        Literal::Path(_) => "a path".to_owned(),
        Literal::List(_) => "a list".to_owned(),
        Literal::Set => "an attribute set".to_owned(),
        Literal::Function => "a function".to_owned(),
        Literal::Unknown => "something else".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    #[test]
    fn literals_of_the_wrong_shape_are_reported() {
        check(
            r#"{ codchi.gpu.enable = "true"; }"#,
            expect![[r#"
            error wrong-type at `"true"`: `codchi.gpu.enable` wants `true` or `false`, but this is the string "true".
        "#]],
        );
        check(
            r"{ codchi.gpu.enable = 1; }",
            expect![[r#"
            error wrong-type at `1`: `codchi.gpu.enable` wants `true` or `false`, but this is the integer 1.
        "#]],
        );
        check(
            r#"{ codchi.initScript = [ "a" ]; }"#,
            expect![[r#"
            error wrong-type at `[ "a" ]`: `codchi.initScript` wants lines of text, but this is a list.
        "#]],
        );
        check(
            r#"{ codchi.secrets.A = { description = ./a; required = null; units = "web"; }; }"#,
            expect![[r#"
                error wrong-type at `./a`: `codchi.secrets.A.description` wants a string, but this is a path.
                error wrong-type at `null`: `codchi.secrets.A.required` wants `true` or `false`, but this is `null`.
                error wrong-type at `"web"`: `codchi.secrets.A.units` wants a list of string, but this is the string "web".
            "#]],
        );
    }

    #[test]
    fn a_set_of_options_wants_a_set() {
        check(
            r"{ codchi.gpu = true; }",
            expect![[r#"
            error wrong-type at `true`: `codchi.gpu` wants an attribute set, but this is the boolean `true`.
        "#]],
        );
        check(
            r#"{ codchi.secrets.TOKEN = "value"; }"#,
            expect![[r#"
            error wrong-type at `"value"`: `codchi.secrets.TOKEN` wants an attribute set, but this is the string "value".
        "#]],
        );
    }

    #[test]
    fn elements_of_lists_are_checked_one_by_one() {
        check(
            r#"{ codchi.secrets.A = { description = "a"; deliver = [ "env" "fille" 3 ]; }; }"#,
            expect![[r#"
                error wrong-type at `"fille"`: The elements of `codchi.secrets.A.deliver` are each one of "env", "file", but this is the string "fille". Did you mean `"file"`?
                error wrong-type at `3`: The elements of `codchi.secrets.A.deliver` are each one of "env", "file", but this is the integer 3.
            "#]],
        );
        check(
            r"{ codchi.requiredCapabilities = [ gpu 1 ]; }",
            expect![[r#"
            error wrong-type at `1`: The elements of `codchi.requiredCapabilities` are each one of "gpu", "cuda", "audio", "display", "usb", "ssh-agent", "kvm", "nesting", "fuse", "tun", but this is the integer 1.
        "#]],
        );
        check(
            r#"{ codchi.requiredCapabilities = "gpu"; }"#,
            expect![[r#"
            error wrong-type at `"gpu"`: `codchi.requiredCapabilities` wants a list of (one of "gpu", "cuda", "audio", "display", "usb", "ssh-agent", "kvm", "nesting", "fuse", "tun"), but this is the string "gpu".
        "#]],
        );
    }

    #[test]
    fn conditional_values_are_checked_too() {
        check(
            r#"{ lib, ... }: { codchi.gpu.enable = lib.mkIf true (lib.mkForce "yes"); }"#,
            expect![[r#"
                error wrong-type at `"yes"`: `codchi.gpu.enable` wants `true` or `false`, but this is the string "yes".
            "#]],
        );
    }

    #[test]
    fn what_only_evaluation_knows_is_not_checked() {
        check(
            r#"{ pkgs, lib, config, ... }: { codchi.gpu.enable = config.x; codchi.initScript = "a ${pkgs.b}"; codchi.requiredCapabilities = lib.optional true config.x ++ map f [ 1 ]; codchi.docker = import ./docker.nix; }"#,
            expect![[r#""#]],
        );
    }

    #[test]
    fn null_is_right_where_the_option_takes_it() {
        check(r#"{ codchi.secrets.A = { description = "a"; pattern = null; }; }"#, expect![[r#""#]]);
    }
}
