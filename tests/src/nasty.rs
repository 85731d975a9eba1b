//! Texts and folders that nobody should have to read.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A module of about so many lines.
#[must_use]
pub fn module(lines: usize) -> String {
    let settings: String = (0..lines).map(|n| format!("  services.web-{n}.port = {n}; # ü 𝄞\n")).collect();
    format!("{{ config, lib, ... }}:\n{{\n  codchi.gpu.enable = true;\n{settings}}}\n")
}

/// Texts of about so many bytes: with a name each.
#[must_use]
pub fn large(bytes: usize) -> Vec<(&'static str, String)> {
    let fill =
        |before: &str, part: &str, after: &str| [before, &part.repeat(bytes / part.len()), after].concat();
    vec![
        ("many lines", fill("{\n", "  services.web.port = [ 1 \"a\" ];\n", "}\n")),
        ("one long line", fill("{ a = [ ", "{ b = \"c\"; } ", " ]; }")),
        ("a string", fill("{ a = \"", "lorem ipsum ", "\"; }")),
        ("a string of many lines", fill("{ a = ''\n", "  lorem ${ipsum} \n", "''; }")),
        ("a comment", fill("/* ", "lorem\n", "*/ { }")),
        ("no Nix at all", fill("", "}{;\"", "")),
        ("one word", fill("", "a", "")),
        ("dots", fill("a", ".b", "")),
        ("zeros", fill("", "\0", "")),
    ]
}

/// Texts that are nested so deep, each in a way of its own; Nix all of them.
#[must_use]
pub fn nested(levels: usize) -> Vec<(&'static str, String)> {
    let deep = |open: &str, middle: &str, close: &str| {
        [&open.repeat(levels), middle, &close.repeat(levels)].concat()
    };
    vec![
        ("lists", deep("[", "", "]")),
        ("parentheses", deep("(", "1", ")")),
        ("sets", deep("{ a = ", "1", "; }")),
        ("recursive sets", deep("rec { a = ", "1", "; }")),
        ("patterns", deep("{ a ? ", "1", " }: 1")),
        ("strings", deep("\"${", "a", "}\"")),
        ("indented strings", deep("''${", "a", "}''")),
        ("dynamic names", deep("{ ${", "a", "} = 1; }")),
        ("selections", deep("(", "a", ").b")),
        ("a path", format!("{{ a{} = 1; }}", ".b".repeat(levels))),
        ("a selection", format!("a{}", ".b".repeat(levels))),
        ("sums", deep("1+", "1", "")),
        ("sums with spaces", deep("1 + ", "1", "")),
        ("updates", deep("a // ", "a", "")),
        ("lists that are joined", deep("a ++ ", "a", "")),
        ("implications", deep("a -> ", "a", "")),
        ("negations", deep("!", "a", "")),
        ("signs", deep("- ", "a", "")),
        ("calls", deep("a ", "a", "")),
        ("calls in parentheses", deep("a (", "a", ")")),
        ("alternatives", deep("a.b or ", "a", "")),
        ("ifs", deep("if a then ", "b", " else c")),
        ("else ifs", deep("if a then b else ", "c", "")),
        ("lets", deep("let a = 1; in ", "a", "")),
        ("lets in values", deep("let a = ", "1", "; in a")),
        ("old lets", deep("let { body = ", "1", "; }")),
        ("functions", deep("x: ", "x", "")),
        ("functions of sets", deep("{ x, ... }: ", "x", "")),
        ("named functions", deep("{ x }@y: ", "x", "")),
        ("withs", deep("with a; ", "b", "")),
        ("assertions", deep("assert a; ", "b", "")),
    ]
}

/// Fills a folder with files that lead in circles, are no files, are no text, are too large, or come and go. Gives those
/// that can be asked about.
///
/// # Panics
/// Where they cannot be made.
pub fn traps(folder: &Path) -> Vec<PathBuf> {
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("it is below")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    };
    write(
        "codchi.nix",
        b"{ imports = [ ./a.nix ./x/codchi.nix ./y/codchi.nix ./fifo.nix ./binary.nix ./gone/up.nix ]; }",
    );
    write("a.nix", b"{ imports = [ ./b.nix ./a.nix ]; codchi.gpu.enable = true; }");
    write("b.nix", b"{ imports = [ ./a.nix ./codchi.nix ./loop.nix ./zero.nix ./folder.nix ]; }");
    write("binary.nix", &[0xff, 0xfe, 0, 1, 2]);
    write("zeros.nix", &[b'{', 0, b'}', 0]);
    write("bom.nix", "\u{feff}{ codchi.gpu.enable = true; }".as_bytes());
    write("empty.nix", b"");
    write("utf-16.nix", b"\xff\xfe{\0 \0}\0");
    write("large.nix", &vec![b' '; 5 << 20]);
    write("folder.nix/default.nix", b"{ imports = [ ../folder.nix ]; }");
    write("latin-\u{fffd}.nix", b"# \xe9");
    std::fs::write(folder.join(std::ffi::OsStr::from_bytes(b"\xff\xfe.nix")), "{ }").expect("a file");
    // Each of these leads to all others once more: 2^40 paths.
    symlink(".", folder.join("x")).expect("a link");
    symlink(".", folder.join("y")).expect("a link");
    symlink("loop.nix", folder.join("loop.nix")).expect("a link");
    symlink("/dev/zero", folder.join("zero.nix")).expect("a link");
    symlink("nowhere.nix", folder.join("dangling.nix")).expect("a link");
    let made = std::process::Command::new("mkfifo").arg(folder.join("fifo.nix")).status();
    assert!(made.expect("mkfifo runs").success());
    [
        "codchi.nix",
        "a.nix",
        "binary.nix",
        "zeros.nix",
        "bom.nix",
        "empty.nix",
        "loop.nix",
        "fifo.nix",
        "folder.nix",
        "x/x/y/a.nix",
    ]
    .map(PathBuf::from)
    .into()
}
