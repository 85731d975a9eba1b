//! `cargo xtask fuzz`: looks for an input for which something does not hold that must hold for any.
//!
//! libFuzzer does the search. It needs to be told by the compiled code what an input reaches; the flags for that are
//! the compiler's own, so that the stable toolchain will do.

use crate::process::{cargo, run, which};
use crate::{Done, apt, repository, say};
use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What makes the compiler count.
const FLAGS: [&str; 9] = [
    "--cfg fuzzing",
    "-Cdebug-assertions",
    "-Coverflow-checks",
    "-Ccodegen-units=1",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Looks for an input that breaks something.
#[derive(clap::Args)]
pub(crate) struct Fuzz {
    /// What is given any input.
    #[arg(value_enum)]
    target: Target,
    /// How long.
    #[arg(long, default_value_t = 300)]
    seconds: u64,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Target {
    /// Everything that can be asked about a text.
    Analysis,
    /// Completion anywhere in a text.
    Completion,
    /// Edits of a text.
    Edits,
    /// A session of the language server.
    Protocol,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Analysis => "analysis",
            Self::Completion => "completion",
            Self::Edits => "edits",
            Self::Protocol => "protocol",
        }
    }
}

impl Fuzz {
    pub(crate) fn run(self) -> Done {
        apt::programs(&[apt::Program("g++", "g++")])?;
        let name = self.target.name();
        let folder = repository().join("target/fuzz");
        let program = build(self.target, &folder)?;
        let (found, broken) = (folder.join(name), folder.join(format!("{name}-broken")));
        for folder in [&found, &broken] {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let corpus = repository().join("tests/fuzz/corpus").join(name);
        say(format!(
            "{name}, for {} s; what breaks something is put into {}",
            self.seconds,
            broken.display()
        ));
        let mut command = Command::new(program);
        command
            // New inputs go into the first folder.
            .arg(&found)
            .arg(&corpus)
            .args(seeds(&self.target))
            .arg(format!("-max_total_time={}", self.seconds))
            .arg(format!("-artifact_prefix={}/", broken.display()))
            .arg(format!("-dict={}", repository().join("tests/fuzz/nix.dict").display()))
            .args([
                "-timeout=20",
                "-rss_limit_mb=3000",
                "-max_len=1024",
                "-print_final_stats=1",
                "-close_fd_mask=1",
            ])
            // Nothing of this computer is to be found.
            .env_clear()
            .env("PATH", "/nowhere")
            .env("TMPDIR", std::env::temp_dir())
            .env("RUST_BACKTRACE", "1")
            .env("LXD_SOCKET", "/nowhere")
            .env("INCUS_SOCKET", "/nowhere");
        run(&mut command).context(
            "an input breaks something: make it smaller by hand, mend what it breaks, and keep it in tests/fuzz/corpus",
        )
    }
}

/// Builds a target, and all that it is made of, in a folder of its own.
fn build(target: Target, folder: &Path) -> anyhow::Result<PathBuf> {
    let rustc =
        crate::process::output(Command::new(which("rustc").unwrap_or_else(|| "rustc".into())).arg("-vV"))?;
    let host = rustc
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not say what it is for")?;
    let features = match target {
        Target::Protocol => "libfuzzer,protocol",
        Target::Analysis | Target::Completion | Target::Edits => "libfuzzer",
    };
    say("Building it, with what counts");
    let mut command = cargo(["build", "--quiet", "--package", "codchi-fuzz", "--no-default-features"]);
    command
        .args(["--features", features, "--bin", target.name()])
        // So that build scripts, which nobody counts for, get no flags.
        .args(["--target", host])
        .arg("--target-dir")
        .arg(folder)
        // As fast as released, as strict as tested.
        .args(["--config", "profile.dev.opt-level=2", "--config", "profile.dev.package.\"*\".opt-level=2"])
        .env("RUSTFLAGS", FLAGS.join(" "));
    run(&mut command)?;
    Ok(folder.join(host).join("debug").join(target.name()))
}

/// Folders with texts to begin with.
fn seeds(target: &Target) -> Vec<PathBuf> {
    let below = |path: &str| repository().join(path);
    match target {
        Target::Analysis | Target::Completion | Target::Edits => {
            vec![below("nix/examples"), below("nix/modules"), below("server/module/src/tests")]
        }
        Target::Protocol => Vec::new(),
    }
}
