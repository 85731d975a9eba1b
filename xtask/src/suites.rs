//! Test programs of cargo, several at a time: each mostly waits for an engine, and cargo would run one after the other.

use crate::process::cargo;
use crate::say;
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
const LONGEST: [&str; 4] = ["store", "faults", "lsp_robust", "faults_around"];

/// A test program, built.
pub(crate) struct Suite {
    /// As cargo calls it.
    name: String,
    program: PathBuf,
    /// Where cargo runs it.
    folder: PathBuf,
}

/// Builds what `arguments` of `cargo test` name; gives those programs.
pub(crate) fn build(arguments: &[&str]) -> Result<Vec<Suite>> {
    let mut command = cargo(["test", "--quiet", "--no-run", "--message-format=json-render-diagnostics"]);
    let output = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("building tests ended with {}", output.status);
    }
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let mut suites = Vec::new();
    for message in messages {
        suites.extend(Suite::of(&message.context("reading what cargo has built")?));
    }
    let rank = |suite: &Suite| LONGEST.iter().position(|name| *name == suite.name).unwrap_or(LONGEST.len());
    suites.sort_by_key(rank);
    Ok(suites)
}

impl Suite {
    /// Of a message of cargo's
    /// (<https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>); `None` where that is about something else.
    fn of(message: &Value) -> Option<Self> {
        let is_test = message["profile"]["test"] == true;
        let program = message["executable"].as_str().filter(|_| is_test)?;
        let manifest = PathBuf::from(message["manifest_path"].as_str()?);
        Some(Self {
            name: message["target"]["name"].as_str()?.to_owned(),
            program: program.into(),
            folder: manifest.parent()?.to_owned(),
        })
    }

    fn run(&self, arguments: &[&str], environment: &BTreeMap<&'static str, String>) -> Result<Output> {
        Command::new(&self.program)
            .current_dir(&self.folder)
            .arg("--quiet")
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("running {}", self.program.display()))
    }
}

/// Runs `suites`, each with these `arguments`; prints what each printed once it has ended, gives each line to `line`, and says whether all
/// succeeded.
pub(crate) fn run(
    suites: Vec<Suite>,
    arguments: &[&str],
    environment: &BTreeMap<&'static str, String>,
    line: &mut (dyn FnMut(&str) + Send),
) -> Result<bool> {
    let left = Mutex::new(suites.into_iter());
    let told = Mutex::new((true, line));
    let work = || {
        loop {
            let next = left.lock().ok().and_then(|mut left| left.next());
            let Some(suite) = next else { return Ok(()) };
            say(format!("{} begins", suite.name));
            let began = Instant::now();
            let output = suite.run(arguments, environment)?;
            let Ok(mut told) = told.lock() else { bail!("another one has died") };
            say(format!("{}: ended ({:.1} s)", suite.name, began.elapsed().as_secs_f32()));
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
