//! What codchi adds to the engine's own command, as whole processes: `codchi exec NAME true` beside `lxc exec`, and
//! `codchi create` with a built closure, until the machine's system is up, beside an instance of the same image made and
//! started by hand with `lxc`.
//!
//! Needs the environment of `cargo xtask lab up` (`cargo xtask bench` provides it) and `CODCHI_BIN`.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const EXECS: usize = 30;
const CREATES: usize = 7;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("machines: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<()> {
    let bench = Bench::new()?;
    bench.codchi(&["create", ".", "--name", "bench", "--yes"])?;
    let result = bench.exec().and_then(|()| bench.create());
    let deleted = bench.codchi(&["delete", "bench", "--yes"]);
    result.and(deleted)
}

/// A home of its own with one small module.
struct Bench {
    home: tempfile::TempDir,
    binary: String,
    nixpkgs: String,
}

impl Bench {
    fn new() -> Result<Self> {
        let need = |name: &str| {
            std::env::var(name).map_err(|_| format!("{name} is not set: run `cargo xtask bench`"))
        };
        let home = tempfile::tempdir()?;
        let module = "{ ... }: { environment.etc.bench.text = \"bench\"; }\n";
        std::fs::create_dir(home.path().join("project"))?;
        std::fs::write(home.path().join("project/codchi.nix"), module)?;
        Ok(Self {
            home,
            binary: need("CODCHI_BIN")?,
            nixpkgs: format!("path:{}", need("CODCHI_TEST_FLAKE_NIXPKGS")?),
        })
    }

    fn codchi(&self, arguments: &[&str]) -> Result<()> {
        let home = self.home.path();
        let mut command = Command::new(&self.binary);
        command
            .args(arguments)
            .current_dir(home.join("project"))
            .env("HOME", home)
            .env("CODCHI_NIXPKGS", &self.nixpkgs);
        for name in ["XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
            command.env(name, home.join(name));
        }
        succeed(&mut command)
    }

    fn exec(&self) -> Result<()> {
        // Pairs in turn, so that a machine whose speed drifts is fair to both.
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..EXECS {
            ours.push(timed(|| self.codchi(&["exec", "bench", "--", "true"]))?);
            theirs.push(timed(|| lxc(&["exec", "codchi-bench", "--", "true"]))?);
        }
        report("codchi exec bench true", ours);
        report("lxc exec codchi-bench -- true", theirs);
        Ok(())
    }

    fn create(&self) -> Result<()> {
        let init = String::from_utf8(output(&mut lxc_command(&[
            "exec",
            "codchi-bench",
            "--",
            "readlink",
            "/sbin/init",
        ]))?)?;
        let image = output(&mut lxc_command(&["config", "get", "codchi-bench", "volatile.base_image"]))?;
        let image = String::from_utf8(image)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..CREATES {
            self.codchi(&["delete", "bench", "--yes"])?;
            ours.push(timed(|| self.codchi(&["create", ".", "--name", "bench", "--yes"]))?);
            theirs.push(timed(|| by_hand(image.trim(), init.trim()))?);
            lxc(&["delete", "--force", "by-hand"])?;
        }
        report("codchi create, closure built", ours);
        report("an instance of the same image by hand with lxc, until it is started", theirs);
        Ok(())
    }
}

/// What `lxc launch` of the image does, with the store mounted and a system to start; it does not wait until that is up.
fn by_hand(image: &str, init: &str) -> Result<()> {
    lxc(&["init", image, "by-hand"])?;
    let store = ["source=/nix/store", "path=/nix/store", "readonly=true"];
    lxc(&[&["config", "device", "add", "by-hand", "nix-store", "disk"][..], &store].concat())?;
    let folder = tempfile::tempdir()?;
    let link = folder.path().join("init");
    std::os::unix::fs::symlink(init, &link)?;
    push_link(&link)?;
    lxc(&["start", "by-hand"])
}

fn push_link(link: &Path) -> Result<()> {
    succeed(lxc_command(&["file", "push"]).arg(link).arg("by-hand/sbin/init"))
}

fn lxc_command(arguments: &[&str]) -> Command {
    let mut command = Command::new("lxc");
    command.args(arguments);
    command
}

fn lxc(arguments: &[&str]) -> Result<()> {
    succeed(&mut lxc_command(arguments))
}

fn succeed(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
        .into())
}

fn timed(run: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let began = Instant::now();
    run()?;
    Ok(began.elapsed())
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1000.0;
    println!(
        "{what}: median {:.0} ms, fastest {:.0} ms, p95 {:.0} ms, {} runs",
        at(50),
        at(0),
        at(95),
        times.len()
    );
}
