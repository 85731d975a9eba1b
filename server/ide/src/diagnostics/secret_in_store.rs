//! `secret-in-store`: a credential that is written into a module, or read into it from a file. Whatever an evaluation sees may
//! end up in the Nix store, which everybody on the computer and in the machine can read.
//!
//! Found by the shapes in the table below, and by a name (`password`, `token`, …) that is given a value which looks random.
//! No part of the value is ever in the message.

use super::{Context, Finding};
use crate::syntax::{names, tokens_at};
use crate::{DiagnosticCode, Severity, TextRange, TextSize};
use aho_corasick::{AhoCorasick, MatchKind};
use regex::Regex;
use rnix::ast::{Apply, AttrpathValue};
use rnix::{SyntaxKind, SyntaxNode, SyntaxToken};
use rowan::ast::AstNode as _;
use std::sync::LazyLock;

/// How a credential looks.
struct Shape {
    what: &'static str,
    /// One of these is in each, which is found much faster than the whole.
    marks: &'static [&'static str],
    /// A regular expression for it, within a line.
    pattern: &'static str,
}

/// Prefixes and lengths are those that the issuers document.
const SHAPES: &[Shape] = &[
    Shape {
        what: "a GitHub token",
        marks: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        pattern: r"\bgh[pousr]_[A-Za-z0-9]{36,251}\b",
    },
    Shape {
        what: "a GitHub token",
        marks: &["github_pat_"],
        pattern: r"\bgithub_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}\b",
    },
    Shape {
        what: "a GitLab token",
        marks: &[
            "glpat-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "gloas-",
            "glsoat-",
        ],
        pattern: r"\bgl(?:pat|dt|rt|cbt|ptt|ft|imt|agent|oas|soat)-[A-Za-z0-9_-]{20,}",
    },
    Shape { what: "an AWS access key", marks: &["AKIA", "ASIA"], pattern: r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b" },
    Shape { what: "a Slack token", marks: &["xox"], pattern: r"\bxox[abeprs]-[A-Za-z0-9-]{10,}" },
    Shape {
        what: "a Slack webhook",
        marks: &["hooks.slack.com/services/"],
        pattern: r"hooks\.slack\.com/services/T[A-Za-z0-9]{8,}/B[A-Za-z0-9]{8,}/[A-Za-z0-9]{20,}",
    },
    Shape { what: "an npm token", marks: &["npm_"], pattern: r"\bnpm_[A-Za-z0-9]{36}\b" },
    Shape { what: "a PyPI token", marks: &["pypi-AgE"], pattern: r"\bpypi-AgE[A-Za-z0-9_-]{50,}" },
    Shape { what: "a crates.io token", marks: &["cio"], pattern: r"\bcio[A-Za-z0-9]{32}\b" },
    Shape {
        what: "a Docker Hub token",
        marks: &["dckr_"],
        pattern: r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{27,}",
    },
    Shape { what: "a Google API key", marks: &["AIza"], pattern: r"\bAIza[A-Za-z0-9_-]{35}\b" },
    Shape { what: "a Stripe key", marks: &["k_live_"], pattern: r"\b[sr]k_live_[A-Za-z0-9]{20,}" },
    Shape {
        what: "a SendGrid key",
        marks: &["SG."],
        pattern: r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}\b",
    },
    Shape { what: "a Hugging Face token", marks: &["hf_"], pattern: r"\bhf_[A-Za-z]{34}\b" },
    Shape {
        what: "an Anthropic key",
        marks: &["sk-ant-"],
        pattern: r"\bsk-ant-[a-z0-9]{3,}-[A-Za-z0-9_-]{40,}",
    },
    Shape {
        what: "an OpenAI key",
        marks: &["T3BlbkFJ"],
        pattern: r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,}T3BlbkFJ[A-Za-z0-9_-]{20,}",
    },
    Shape { what: "a DigitalOcean token", marks: &["_v1_"], pattern: r"\bdo[opr]_v1_[a-f0-9]{64}\b" },
    Shape {
        what: "a Vault token",
        marks: &["hvs.", "hvb.", "hvr."],
        pattern: r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}",
    },
    Shape {
        what: "an age secret key",
        marks: &["AGE-SECRET-KEY-1"],
        pattern: r"\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b",
    },
    Shape {
        what: "a private key",
        marks: &["PRIVATE KEY"],
        pattern: r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    },
    Shape {
        what: "a JSON web token",
        marks: &["eyJ"],
        pattern: r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    },
    Shape {
        what: "a password in a URL",
        marks: &["://"],
        pattern: r#"\b[a-z][a-z0-9+.-]*://[^\s:/@"'$<>{}]+:[^\s@"'$<>{}/]{4,}@[A-Za-z0-9\[]"#,
    },
];

/// Names of options and variables whose values are credentials.
const NAME: &str = r"(?i)(?:^|[_.-]|[a-z])(?:password|passwd|passphrase|secret|token|api_?key|access_?key|secret_?key|private_?key|credential)s?$";

/// Names like these hold no credential but where one is, or its hash.
const NO_NAME: &str =
    r"(?i)(?:hash|file|path|command|cmd|dir|public|name|url|type|length|id|algorithm|env|prompt)";

/// Files that hold a credential.
const KEY_FILE: &str = r"(?i)(?:^|/)(?:id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?|[^/]*\.(?:key|pem|p12|pfx|kdbx|jks|age)|\.env(?:\.[^/]*)?|\.netrc|\.npmrc|\.pypirc|[^/]*(?:password|passwd|secret|token|credential|private)[^/.]*(?:\.txt|\.json|\.key)?)$";

/// Words of values that stand for one.
const PLACEHOLDER: &str = r"(?i)example|changeme|change-me|placeholder|dummy|redacted|your[-_]|insert|todo|xxxx|\*\*\*|\.\.\.|1234567890|abcdefgh|0{8}|fake";

struct Patterns {
    marks: AhoCorasick,
    /// By mark, the shape that it is of.
    shapes: Vec<(&'static Shape, Regex)>,
    name: Regex,
    no_name: Regex,
    named: Regex,
    read: Regex,
    key_file: Regex,
    placeholder: Regex,
}

static PATTERNS: LazyLock<Option<Patterns>> = LazyLock::new(|| Patterns::new().ok());

impl Patterns {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let marks = SHAPES.iter().flat_map(|shape| shape.marks.iter().map(move |mark| (shape, mark)));
        Ok(Self {
            marks: AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostFirst)
                .build(marks.clone().map(|(_, mark)| mark))?,
            shapes: marks
                .map(|(shape, _)| Ok((shape, Regex::new(shape.pattern)?)))
                .collect::<Result<_, regex::Error>>()?,
            name: Regex::new(NAME)?,
            no_name: Regex::new(NO_NAME)?,
            named: Regex::new(
                r#"(?i)(?:password|passwd|passphrase|secret|token|key|credential)s?"?\s*=\s*"([^"\s$]{12,})"\s*;"#,
            )?,
            read: Regex::new(r"\b(?:readFile|fileContents|importJSON|importTOML)\b")?,
            key_file: Regex::new(KEY_FILE)?,
            placeholder: Regex::new(PLACEHOLDER)?,
        })
    }
}

pub(super) fn find(cx: &Context<'_>, findings: &mut Vec<Finding>) {
    let Some(patterns) = PATTERNS.as_ref() else { return };
    let text = cx.document.text();
    // The whole text at once: most files have none, and then no tree is looked at.
    let mut found: Vec<(TextRange, String)> = Vec::new();
    for mark in patterns.marks.find_iter(text) {
        let Some((shape, pattern)) = patterns.shapes.get(mark.pattern().as_usize()) else { continue };
        let start = text[..mark.start()].rfind('\n').map_or(0, |newline| newline + 1);
        let end = text[mark.end()..].find('\n').map_or(text.len(), |len| mark.end() + len);
        for matched in pattern.find_iter(&text[start..end]) {
            if stands_for_one(patterns, matched.as_str()) {
                continue;
            }
            if let Some(range) = string_at(cx, start + matched.start(), start + matched.end()) {
                found.push((range, format!("This looks like {}", shape.what)));
            }
        }
    }
    for matched in patterns.named.captures_iter(text) {
        let Some(value) = matched.get(1) else { continue };
        found.extend(named(cx, patterns, value.start(), value.as_str()));
    }
    for matched in patterns.read.find_iter(text) {
        found.extend(read(cx, patterns, matched.start()));
    }
    if found.is_empty() || !cx.modules.is_codchi(cx.path) {
        return;
    }
    found.sort_by_key(|(range, _)| range.start());
    found.dedup_by(|(later, _), (earlier, _)| earlier.intersect(*later).is_some());
    findings.extend(found.into_iter().map(|(range, what)| {
        let message = format!(
            "{what}. What is in a module may end up in the Nix store, which everybody on this computer and in the machine \
             can read. Declare it as a secret, `codchi.secrets.NAME`, and revoke it if others have seen the file."
        );
        Finding::new(DiagnosticCode::SecretInStore, Severity::Warning, range, message)
    }));
}

fn stands_for_one(patterns: &Patterns, value: &str) -> bool {
    let distinct = value.bytes().collect::<std::collections::BTreeSet<_>>().len();
    distinct < 8 || patterns.placeholder.is_match(value) || is_well_known_login(value)
}

/// Whether a URL holds a login that everybody knows, as databases for development have: `postgres:postgres`.
fn is_well_known_login(url: &str) -> bool {
    const KNOWN: &[&str] = &[
        "password",
        "passwd",
        "pass",
        "postgres",
        "mysql",
        "root",
        "admin",
        "guest",
        "secret",
        "test",
        "minioadmin",
    ];
    let login = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(login, _)| login);
    login.and_then(|login| login.split_once(':')).is_some_and(|(user, password)| {
        password == user || KNOWN.iter().any(|known| known.eq_ignore_ascii_case(password))
    })
}

/// The range from `start` to `end`, where that is inside a string.
fn string_at(cx: &Context<'_>, start: usize, end: usize) -> Option<TextRange> {
    let token = token(cx, start)?;
    let range = TextRange::new(start.try_into().ok()?, end.try_into().ok()?);
    let is_text = token.kind() == SyntaxKind::TOKEN_STRING_CONTENT || token.kind() == SyntaxKind::TOKEN_URI;
    (is_text && !is_of_codchi(&token)).then(|| token.text_range().intersect(range))?
}

fn token(cx: &Context<'_>, at: usize) -> Option<SyntaxToken> {
    let root: SyntaxNode = cx.document.root().syntax().clone();
    tokens_at(&root, TextSize::try_from(at).ok()?).right_biased()
}

/// Whether a string is in a declaration of codchi's: a pattern and a description show how a value looks.
fn is_of_codchi(token: &SyntaxToken) -> bool {
    let bindings = token.parent_ancestors().filter_map(AttrpathValue::cast);
    let paths: Vec<_> = bindings.map(|binding| names(&binding)).collect();
    paths
        .first()
        .and_then(|path| path.last())
        .is_some_and(|name| name == "description" || name == "pattern" || name == "example")
}

/// A value that looks random, of a name that is a credential's.
fn named(cx: &Context<'_>, patterns: &Patterns, at: usize, value: &str) -> Option<(TextRange, String)> {
    let range = string_at(cx, at, at + value.len())?;
    let binding = token(cx, at)?.parent_ancestors().find_map(AttrpathValue::cast)?;
    let name = names(&binding).pop()?;
    let is_credential = patterns.name.is_match(&name) && !patterns.no_name.is_match(&name);
    (is_credential && looks_random(value) && !stands_for_one(patterns, value))
        .then(|| (range, format!("`{name}` is given a value that looks like a credential")))
}

/// How often a random word changes between small letters, capitals and digits, at least.
const CHANGES: usize = 4;

/// Whether a value is no word, path or name: letters and digits that are mixed, and hardly any twice.
fn looks_random(value: &str) -> bool {
    // Hashes, what is encrypted, and what a template puts something in for.
    let is_hash = ["sha256-", "sha512-", "sha1-", "sha256:", "$", "ENC[", "{", "@", "%"]
        .iter()
        .any(|prefix| value.starts_with(prefix));
    let is_place = value.contains("://") || value.starts_with(['/', '.', '~', '<']);
    let has = |class: fn(char) -> bool| value.chars().any(class);
    let classes =
        [has(|c| c.is_ascii_lowercase()), has(|c| c.is_ascii_uppercase()), has(|c| c.is_ascii_digit())];
    let mixed = classes.iter().filter(|class| **class).count() >= 2 && classes[2];
    // `registry-credentials-2` is a name.
    let mut words = value.split(|c: char| !c.is_ascii_alphanumeric());
    let is_wild = words.any(|word| changes(word) >= CHANGES);
    !is_hash && !is_place && mixed && is_wild && entropy(value) >= 3.3
}

/// How often a word changes between small letters, capitals and digits.
fn changes(word: &str) -> usize {
    let class = |byte: &u8| (byte.is_ascii_digit(), byte.is_ascii_uppercase());
    word.as_bytes().windows(2).filter(|pair| class(&pair[0]) != class(&pair[1])).count()
}

/// Shannon's, in bits per byte.
#[expect(clippy::cast_precision_loss, reason = "values are short")]
fn entropy(value: &str) -> f64 {
    let mut counts = [0_usize; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let len = value.len() as f64;
    counts.iter().filter(|&&count| count > 0).map(|&count| count as f64 / len).map(|p| -p * p.log2()).sum()
}

/// A call that reads a file which holds a credential.
fn read(cx: &Context<'_>, patterns: &Patterns, at: usize) -> Option<(TextRange, String)> {
    let token = token(cx, at).filter(|token| token.kind() == SyntaxKind::TOKEN_IDENT)?;
    let apply = token.parent_ancestors().find_map(Apply::cast)?;
    let argument = apply.argument()?;
    let literal = argument.syntax().children().next().is_none();
    let path = argument.syntax().text().to_string();
    let path = path.trim_matches('"');
    let is_public = path.ends_with(".pub") || path.contains("public") || path.contains("cert");
    (literal && patterns.key_file.is_match(path) && !is_public).then(|| {
        (apply.syntax().text_range(), "This reads a file that looks like it holds a credential".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&Fixture::new(text).diagnostics());
    }

    /// Random enough to pass for the real thing; put together so that no scanner takes this file for a leak.
    fn random(len: usize) -> String {
        "q7Zt2Lw9XcV4bNm8RkP3sDf6GhJ1yTu5EaQoWiKvBxCzMnLp".chars().cycle().take(len).collect()
    }

    fn found(value: &str) -> bool {
        let text = format!("{{ codchi.gpu.enable = true; a = \"{value}\"; }}");
        let fixture = Fixture::new(&text);
        let all = fixture.analysis().diagnostics(&fixture.path);
        assert!(all.iter().all(|it| !it.message.contains(value)), "the value is not in the message");
        all.iter().any(|it| it.code == DiagnosticCode::SecretInStore)
    }

    proptest::proptest! {
        #[test]
        fn each_credential_has_a_mark_of_its_shape(index in 0..SHAPES.len(), seed in proptest::prelude::any::<[u8; 32]>()) {
            use proptest::strategy::{Strategy as _, ValueTree as _};
            use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
            let shape = &SHAPES[index];
            let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
            let mut runner = TestRunner::new_with_rng(proptest::test_runner::Config::default(), rng);
            let like = proptest::string::string_regex(&shape.pattern.replace("\\b", "")).expect("a pattern");
            let credential = like.new_tree(&mut runner).expect("a credential").current();
            proptest::prop_assert!(shape.marks.iter().any(|mark| credential.contains(mark)), "{}", shape.what);
        }
    }

    #[test]
    fn tokens_are_known_by_their_shape() {
        let upper: String = random(60).to_uppercase().replace(['0', '1', '8', '9'], "K");
        for value in [
            format!("ghp_{}", random(36)),
            format!("github_pat_{}_{}", random(22), random(59)),
            format!("glpat-{}", random(20)),
            format!("AKIA{}", &upper[..16]),
            format!("xoxb-{}", random(24)),
            format!("npm_{}", random(36)),
            format!("pypi-AgE{}", random(60)),
            format!("AIza{}", random(35)),
            format!("sk_live_{}", random(24)),
            format!("AGE-SECRET-KEY-1{}", &upper[..58]),
            format!("eyJ{}.eyJ{}.{}", random(20), random(20), random(20)),
            format!("postgres://app:{}@db.internal/x", random(12)),
            format!("-----BEGIN OPENSSH PRIVATE {}-----", "KEY"),
        ] {
            assert!(found(&value), "{value}");
        }
    }

    #[test]
    fn what_stands_for_a_token_is_none() {
        for value in [
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "AKIAIOSFODNN7EXAMPLE",
            "npm_[A-Za-z0-9]{36}",
            "postgres://app:password@",
            "postgresql:///codchi?host=/run/postgresql",
            "https://user:changeme@example.org/",
            "git+ssh://git@github.com/a/b",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKz",
            "postgres://app:$PASSWORD@db/x",
        ] {
            assert!(!found(value), "{value}");
        }
    }

    #[test]
    fn values_are_known_by_their_name_and_randomness() {
        let text = format!(
            "{{ codchi.gpu.enable = true; services.a.adminPassword = \"{0}\"; b.apiKey = \"{0}\"; c.\"api_token\" = \"{0}\"; }}",
            random(20)
        );
        check(
            &text,
            expect![[r#"
            warning secret-in-store at `q7Zt2Lw9XcV4bNm8RkP3`: `adminPassword` is given a value that looks like a credential. What is in a module may end up in the Nix store, which everybody on this computer and in the machine can read. Declare it as a secret, `codchi.secrets.NAME`, and revoke it if others have seen the file.
            warning secret-in-store at `q7Zt2Lw9XcV4bNm8RkP3`: `apiKey` is given a value that looks like a credential. What is in a module may end up in the Nix store, which everybody on this computer and in the machine can read. Declare it as a secret, `codchi.secrets.NAME`, and revoke it if others have seen the file.
            warning secret-in-store at `q7Zt2Lw9XcV4bNm8RkP3`: `api_token` is given a value that looks like a credential. What is in a module may end up in the Nix store, which everybody on this computer and in the machine can read. Declare it as a secret, `codchi.secrets.NAME`, and revoke it if others have seen the file.
        "#]],
        );
        let text = format!(
            "{{ codchi.gpu.enable = true; a.passwordFile = \"{0}\"; a.hashedPassword = \"$6${0}\"; a.publicKey = \"{0}\"; \
             a.password = \"correct-horse-battery\"; a.token = \"sha256-{0}\"; a.secretName = \"{0}\"; a.tokenUrl = \"{0}\"; \
             codchi.secrets.A = {{ description = \"a\"; required = false; }}; a.secret = \"/run/secrets/{0}\"; }} # password = \"{0}\";",
            random(20)
        );
        check(&text, expect![""]);
    }

    #[test]
    fn files_that_hold_keys_are_not_to_be_read() {
        check(
            "{ codchi.gpu.enable = true; a = builtins.readFile ./id_ed25519; b = lib.fileContents ./secrets/db-password.txt; }",
            expect![[r#"
                warning secret-in-store at `builtins.readFile ./id_ed25519`: This reads a file that looks like it holds a credential. What is in a module may end up in the Nix store, which everybody on this computer and in the machine can read. Declare it as a secret, `codchi.secrets.NAME`, and revoke it if others have seen the file.
                warning secret-in-store at `lib.fileContents ./secrets/db-password.txt`: This reads a file that looks like it holds a credential. What is in a module may end up in the Nix store, which everybody on this computer and in the machine can read. Declare it as a secret, `codchi.secrets.NAME`, and revoke it if others have seen the file.
            "#]],
        );
        check(
            "{ codchi.gpu.enable = true; a = builtins.readFile ./id_ed25519.pub; b = builtins.readFile ./motd.txt; \
             c = builtins.readFile config.x.secretFile; }",
            expect![""],
        );
    }

    #[test]
    fn files_that_are_no_codchi_modules_are_left_alone() {
        let text = format!("{{ a = \"ghp_{}\"; }}", random(36));
        let fixture = Fixture::new(&format!("//- /other.nix\n{text}"));
        assert_eq!(fixture.analysis().diagnostics(&fixture.path), []);
    }
}
