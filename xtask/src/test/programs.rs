//! Test programs of cargo, several at a time: each mostly waits for an engine, and cargo would run one after the other.

use crate::process::cargo;
use crate::{repository, say};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Instant;

/// So many run at a time.
const AT_ONCE: usize = 3;
/// What takes longest begins first, so that it does not end alone.
const LONGEST: [&str; 7] =
    ["store", "faults", "lsp_robust", "faults_around", "wsl_trouble", "wsl", "secrets"];

/// A test program, built.
pub(super) struct TestProgram {
    /// As cargo calls it.
    name: String,
    path: PathBuf,
    /// Where cargo runs it.
    folder: PathBuf,
}

/// Builds what `arguments` of `cargo test` name; gives those programs.
pub(super) fn build(arguments: &[&str]) -> Result<Vec<TestProgram>> {
    let mut command = cargo(["test", "--quiet", "--no-run", "--message-format=json-render-diagnostics"]);
    let output = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("building tests ended with {}", output.status);
    }
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let mut programs = Vec::new();
    for message in messages {
        programs.extend(TestProgram::of(&message.context("reading what cargo has built")?));
    }
    let rank = |program: &TestProgram| {
        LONGEST.iter().position(|name| *name == program.name).unwrap_or(LONGEST.len())
    };
    programs.sort_by_key(rank);
    Ok(programs)
}

impl TestProgram {
    /// Of a message of cargo's
    /// (<https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>); `None` where that is about something else.
    fn of(message: &Value) -> Option<Self> {
        let is_test = message["profile"]["test"] == true;
        let path = message["executable"].as_str().filter(|_| is_test)?;
        let manifest = PathBuf::from(message["manifest_path"].as_str()?);
        Some(Self {
            name: message["target"]["name"].as_str()?.to_owned(),
            path: path.into(),
            folder: manifest.parent()?.to_owned(),
        })
    }

    /// Whether it is of a package in one of these folders of the repository.
    pub(super) fn is_of(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.folder == repository().join(folder))
    }

    fn run(&self, arguments: &[&str], environment: &BTreeMap<&'static str, String>) -> Result<Output> {
        Command::new(&self.path)
            .current_dir(&self.folder)
            .arg("--quiet")
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("running {}", self.path.display()))
    }
}

/// Runs `programs`, each with these `arguments`; prints what each printed once it has ended, gives each line to `line`, and says whether all
/// succeeded.
pub(super) fn run(
    programs: Vec<TestProgram>,
    arguments: &[&str],
    environment: &BTreeMap<&'static str, String>,
    line: &mut (dyn FnMut(&str) + Send),
) -> Result<bool> {
    let left = Mutex::new(programs.into_iter());
    let told = Mutex::new((true, line));
    let work = || {
        loop {
            let next = left.lock().ok().and_then(|mut left| left.next());
            let Some(program) = next else { return Ok(()) };
            say(format!("{} begins", program.name));
            let began = Instant::now();
            let output = program.run(arguments, environment)?;
            let Ok(mut told) = told.lock() else { bail!("another one has died") };
            say(format!("{}: ended ({:.1} s)", program.name, began.elapsed().as_secs_f32()));
            let text = String::from_utf8_lossy(&output.stdout);
            print!("{text}");
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            text.lines().for_each(&mut *told.1);
            told.0 &= output.status.success();
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let ends = workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| bail!("a worker died")));
        ends.collect::<Result<Vec<()>>>()
    })?;
    Ok(told.into_inner().is_ok_and(|(succeeded, _)| succeeded))
}
