//! `cargo xtask test`: everything that must hold, each stage with its time, and one sum at the end.

mod programs;

use crate::lab::{self, Kind, Lab, code_server};
use crate::package::Programs;
use crate::process::{cargo, each_line, quietly};
use crate::{Done, apt, demo, package, repository, say, windows};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// What all of cargo's runs here are about: with another choice of packages, libraries have other features and are compiled
/// again.
const WHOLE: [&str; 3] = ["--workspace", "--features", lab::FEATURES];
/// The tests that need no engine: those beside the code, and those of `tests/fuzz`.
const WITHOUT_ENGINES: [&str; 6] = ["--lib", "--bins", "--test", "corpus", "--test", "properties"];
/// The tests that run on Incus, too: all that is different there is below the driver.
const INCUS_TESTS: [&str; 6] = ["boot", "contract", "generations", "lxd", "main_job", "modules"];
/// Those that run on WSL, too, and that run there only.
const WSL_TESTS: [&str; 7] =
    ["wsl_trouble", "secrets", "generations", "contract", "main_job", "vault_delivery", "wsl"];
/// Those that run there only.
const WSL_ONLY: [&str; 2] = ["wsl", "wsl_trouble"];
/// The tests of the program in distributions and of the `wsl.exe` of tests/wsl, and the folders of those packages.
const BELOW_WSL: [&str; 9] =
    ["boot", "exec", "instance", "listen", "commands", "files", "life", "says", "systemd"];
const OF_BELOW_WSL: [&str; 2] = ["server/guest", "tests/wsl"];
/// The folder of the package with all other tests that need an engine.
const OF_TESTS: [&str; 1] = ["tests"];
/// The one that `cargo xtask windows` runs.
const WINDOWS_ONLY: &str = "windows";
/// Alone, since it kills the engine that is everybody's.
const ALONE: &str = "engine_killed";
/// What of the contract does not run on LXD: copies that are broken off on a busy disk sometimes stop all of LXD 5.0.2.
const NOT_ON_LXD: &str = "broken_off::";

/// Checks and tests everything.
#[derive(clap::Args)]
pub(crate) struct Test {
    /// Only what needs no engine: formatting, lints, unit tests.
    #[arg(long)]
    fast: bool,
    /// Only one suite, with all that it prints
    suite: Option<Suite>,
}

/// What can be run alone.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Suite {
    /// Kills and fails each operation at each of its steps; prints what came of it.
    Faults,
    /// All that needs LXD, and the editor.
    Lxd,
    /// What is tested on Incus, too.
    Incus,
    /// What is tested on WSL, too, and only there.
    Wsl,
}

impl Test {
    pub(crate) fn run(self) -> Done {
        let mut tally = Tally::default();
        if let Some(suite) = self.suite {
            suite.run(&mut tally);
        } else if self.fast {
            static_stages(&mut tally);
            tally.stage("Rust tests", |tally| {
                tally.counted(&mut cargo(["test", "--quiet", "--no-fail-fast", "--workspace"]))
            });
        } else {
            lab::announce();
            ctrlc::set_handler(|| {}).context("taking over Ctrl-C, so that engines are stopped")?;
            // Fetching and unpacking mostly waits for the network: the lints run meanwhile.
            std::thread::scope(|scope| {
                let prepared = scope.spawn(prepare);
                static_stages(&mut tally);
                tally.stage("Rust tests without engines", |tally| {
                    tally.cargo_test(&WITHOUT_ENGINES, &BTreeMap::new())
                });
                match prepared.join() {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tally.failure("Preparing engines", &error),
                    Err(_) => tally.failure("Preparing engines", &anyhow::anyhow!("it panicked")),
                }
            });
            tally.check("codchi compiles for Windows", windows::check);
            for suite in [Suite::Lxd, Suite::Incus, Suite::Wsl] {
                suite.run(&mut tally);
            }
        }
        println!("{} passed, {} failed", tally.passed, tally.failed);
        if tally.failed > 0 {
            bail!("failed: {}", tally.failures.join(", "));
        }
        Ok(())
    }
}

impl Suite {
    fn run(self, tally: &mut Tally) {
        match self {
            Self::Faults => tally.stage("Faults", faults),
            Self::Lxd => tally.stage("Real engines", real_engines),
            Self::Incus => tally.stage("Incus", |tally| again(tally, Kind::Incus, &INCUS_TESTS)),
            Self::Wsl => {
                tally.stage("Below WSL", |tally| {
                    tally.side_by_side(&OF_BELOW_WSL, &BELOW_WSL, &[], &BTreeMap::new())
                });
                tally.stage("WSL", |tally| again(tally, Kind::Wsl, &WSL_TESTS));
            }
        }
    }
}

fn prepare() -> Result<()> {
    apt::programs(&[
        apt::Program("chromium", "chromium"),
        apt::Program("rsync", "rsync"),
        apt::Program("busybox", "busybox-static"),
        apt::Program("faketime", "faketime"),
        apt::Program("dbus-run-session", "dbus-daemon"),
        apt::Program("gnome-keyring-daemon", "gnome-keyring"),
        apt::Program("openssl", "openssl"),
        apt::Program("pulseaudio", "pulseaudio"),
        apt::Program("Xvfb", "xvfb"),
    ])?;
    code_server::install(&lab::cache())?;
    windows::prepare()?;
    lab::incus::prepare(&lab::cache())?;
    lab::prepare_nix().map(drop)
}

fn static_stages(tally: &mut Tally) {
    tally.check("rustfmt", || quietly(&mut cargo(["fmt", "--all", "--check"])));
    tally.check("clippy", || {
        let mut clippy = cargo(["clippy", "--quiet", "--all-targets"]);
        quietly(clippy.args(WHOLE).args(["--", "-D", "warnings"]))
    });
    tally.check("rustdoc", || {
        quietly(cargo(["doc", "--quiet", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
    });
    tally.check("nix files parse", nix_files_parse);
    for script in ["check", "lint"] {
        tally.check(&format!("extension: {script}"), || {
            let extension = package::dependencies("vscode-extension")?;
            quietly(package::npm(&extension)?.args(["run", script]))
        });
    }
}

fn nix_files_parse() -> Result<()> {
    apt::programs(&[apt::Program("nix-instantiate", "nix-bin")])?;
    let files =
        crate::process::output(Command::new("git").current_dir(repository()).args(["ls-files", "*.nix"]))?;
    if files.is_empty() {
        bail!("there is no .nix file");
    }
    quietly(Command::new("nix-instantiate").current_dir(repository()).arg("--parse").args(files.lines()))
}

fn real_engines(tally: &mut Tally) -> Result<()> {
    let lab = Lab::new(Kind::Lxd);
    let mut environment = lab.up()?;
    let binary = built()?;
    environment.insert("CODCHI_BIN", binary.display().to_string());
    tally.stage("Rust tests with LXD", |tally| {
        let tests = lxd_tests()?;
        let tests: Vec<&str> = tests.iter().map(String::as_str).collect();
        tally.side_by_side(&OF_TESTS, &tests, &["--skip", NOT_ON_LXD], &environment)?;
        tally.side_by_side(&OF_TESTS, &[ALONE], &[], &environment)
    });
    tally.stage("VS Code", |tally| vscode(tally, &binary, &environment));
    tally.check("demo --headless", || demo::headless(&binary, &environment));
    tally.check("nothing is left behind", || {
        lab.down()?;
        no_process_left(&binary)
    });
    Ok(())
}

/// Builds codchi with all tests, so that it is of the same libraries as they are; gives the program.
fn built() -> Result<PathBuf> {
    quietly(cargo(["build", "--quiet", "--bins", "--tests"]).args(WHOLE))
        .context("building codchi and its tests")?;
    Ok(package::target_folder().join("debug/codchi"))
}

/// The names of the tests that run on LXD, but for the one that is alone.
fn lxd_tests() -> Result<Vec<String>> {
    let mut tests = Vec::new();
    for file in std::fs::read_dir(repository().join("tests/tests"))? {
        let file = file?.path();
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let is_test =
            file.extension().is_some_and(|extension| extension == "rs") || file.join("main.rs").exists();
        if is_test && ![&WSL_ONLY[..], &[WINDOWS_ONLY, ALONE]].concat().contains(&&*name) {
            tests.push(name);
        }
    }
    Ok(tests)
}

fn faults(tally: &mut Tally) -> Result<()> {
    lab::announce();
    let lab = Lab::new(Kind::Lxd);
    let mut environment = lab.up()?;
    environment.insert("CODCHI_TEST_FAULTS", "all".into());
    let test = ["--test", "faults", "--", "--nocapture"];
    tally.cargo_test(&test, &environment)?;
    lab.down()
}

/// The tests whose subject is the engine, once more on another one.
fn again(tally: &mut Tally, kind: Kind, tests: &[&str]) -> Result<()> {
    let lab = Lab::new(kind);
    let mut environment = lab.up()?;
    environment.insert("CODCHI_BIN", package::target_folder().join("debug/codchi").display().to_string());
    tally.side_by_side(&OF_TESTS, tests, &[], &environment)?;
    tally.check("nothing is left behind", || lab.down());
    Ok(())
}

/// The tests of `tests/vscode`, against the extension as it is packed.
fn vscode(tally: &mut Tally, binary: &Path, environment: &BTreeMap<&'static str, String>) -> Result<()> {
    let code_server = code_server::install(&lab::cache())?;
    let vsix = package::vsix(&Programs::here(binary.to_owned(), None), &repository().join("target/package"))?;
    let folder = package::dependencies("tests/vscode")?;
    for test in ["inproc.mjs", "editing.mjs", "options.mjs", "person.mjs"] {
        tally.stage(test, |tally| {
            let mut node = Command::new(&code_server.node);
            node.current_dir(&folder)
                .arg(test)
                .envs(environment)
                .envs(code_server.environment())
                .env("CODCHI_LAB_VSIX", &vsix);
            tally.counted(&mut node)
        });
    }
    Ok(())
}

fn no_process_left(binary: &Path) -> Result<()> {
    let left: Vec<PathBuf> = std::fs::read_dir("/proc")?
        .flatten()
        .map(|entry| entry.path())
        .filter(|process| std::fs::read_link(process.join("exe")).is_ok_and(|program| program == binary))
        .collect();
    if left.is_empty() { Ok(()) } else { bail!("these codchi processes still run: {left:?}") }
}

/// What passed and what failed so far.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
}

impl Tally {
    /// One thing that passes or fails.
    fn check(&mut self, name: &str, check: impl FnOnce() -> Result<()>) {
        say(name);
        let began = Instant::now();
        match check() {
            Ok(()) => {
                self.passed += 1;
                say(format!("{name}: passed ({:.1} s)", began.elapsed().as_secs_f32()));
            }
            Err(error) => self.failure(name, &error),
        }
    }

    /// Several things that count themselves; an error of the whole counts as one failure.
    fn stage(&mut self, name: &str, stage: impl FnOnce(&mut Self) -> Result<()>) {
        say(name);
        let began = Instant::now();
        if let Err(error) = stage(self) {
            self.failure(name, &error);
        }
        say(format!("{name}: done ({:.1} s)", began.elapsed().as_secs_f32()));
    }

    fn failure(&mut self, name: &str, error: &anyhow::Error) {
        self.failed += 1;
        self.failures.push(name.to_owned());
        say(format!("{name}: FAILED: {error:#}"));
    }

    fn cargo_test(&mut self, arguments: &[&str], environment: &BTreeMap<&'static str, String>) -> Result<()> {
        let mut command = cargo(["test", "--quiet", "--no-fail-fast"]);
        self.counted(command.args(WHOLE).args(arguments).envs(environment))
    }

    /// Runs these tests of the packages in these folders, each with these arguments.
    fn side_by_side(
        &mut self,
        folders: &[&str],
        tests: &[&str],
        arguments: &[&str],
        environment: &BTreeMap<&'static str, String>,
    ) -> Result<()> {
        let names = tests.iter().flat_map(|test| ["--test", test]);
        let mut built = programs::build(&WHOLE.into_iter().chain(names).collect::<Vec<_>>())?;
        built.retain(|program| program.is_of(folders));
        self.count(|line| programs::run(built, arguments, environment, line))
    }

    /// Runs a test runner and adds what it counts.
    fn counted(&mut self, command: &mut Command) -> Result<()> {
        self.count(|line| each_line(command, line))
    }

    /// Adds what the lines of `run` count, which gives whether all succeeded.
    fn count(&mut self, run: impl FnOnce(&mut (dyn FnMut(&str) + Send)) -> Result<bool>) -> Result<()> {
        let (mut passed, mut failed) = (0, 0);
        let succeeded = run(&mut |line| {
            if let Some((p, f)) = counts(line) {
                passed += p;
                failed += f;
            }
        })?;
        self.passed += passed;
        self.failed += failed;
        if failed > 0 {
            self.failures.push(format!("{failed} tests"));
        } else if !succeeded {
            bail!("the test runner failed without a failed test");
        } else if passed == 0 {
            bail!("no test ran");
        }
        Ok(())
    }
}

/// Reads `test result: ok. 3 passed; 0 failed; …` and `3 passed, 0 failed`.
fn counts(line: &str) -> Option<(u64, u64)> {
    let line = match line.strip_prefix("test result: ") {
        Some(rest) => rest.split_once(". ")?.1,
        None => line,
    };
    let mut parts = line.split([';', ',']).map(str::trim);
    let passed = parts.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = parts.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some((passed, failed))
}

#[cfg(test)]
mod tests {
    use super::counts;

    #[test]
    fn closing_lines_of_test_runners_are_counted_and_other_lines_are_not() {
        assert_eq!(counts("test result: ok. 12 passed; 1 failed; 0 ignored; 0 measured"), Some((12, 1)));
        assert_eq!(counts("7 passed, 2 failed"), Some((7, 2)));
        assert_eq!(counts("7 passed, 2 failed, 1 skipped"), Some((7, 2)));
        for line in ["ok   opens the folder", "running 3 tests", "12 passed", "test x ... ok"] {
            assert_eq!(counts(line), None, "{line}");
        }
    }
}
