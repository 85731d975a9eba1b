//! What codchi adds to the engine's own command, as whole processes: `codchi exec NAME true` beside `lxc exec`, and
//! `codchi create` with a built closure, until the machine's system is up, beside an instance of the same image made and
//! started by hand with `lxc`; and the status of 200 machines.
//!
//! Needs the environment of `cargo xtask lab up` (`cargo xtask bench` provides it) and `CODCHI_BIN`.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const EXECS: usize = 30;
const CREATES: usize = 7;
const STATUSES: usize = 20;
/// So many machines one status is about.
const MACHINES: usize = 200;

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
    let result = bench.exec().and_then(|()| bench.create()).and_then(|()| bench.status());
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
        succeed(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
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
        command
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

    /// Of the machine, and of copies of its state, whose instances are gone.
    fn status(&self) -> Result<()> {
        let machines = self.home.path().join("XDG_DATA_HOME/codchi/machines");
        for n in 1..MACHINES {
            let copy = machines.join(format!("bench-{n}"));
            succeed(Command::new("cp").arg("--archive").arg(machines.join("bench")).arg(copy))?;
        }
        let engine = Path::new(&std::env::var("LXD_DIR")?).join("unix.socket");
        let counter = Counter::before(engine, self.home.path().join("counted.socket"))?;
        let mut times = Vec::new();
        for _ in 0..STATUSES {
            times.push(timed(|| succeed(self.command(&["status"]).env("LXD_SOCKET", &counter.socket)))?);
        }
        report(&format!("codchi status of {MACHINES} machines"), times);
        println!("requests to the engine for each: {}", counter.requests.load(Ordering::SeqCst) / STATUSES);
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
            delete_by_hand()?;
        }
        report("codchi create, closure built", ours);
        report("an instance of the same image by hand with lxc, until it is started", theirs);
        Ok(())
    }
}

/// Takes connections in the engine's place and passes them on; counts requests.
struct Counter {
    socket: PathBuf,
    requests: Arc<AtomicUsize>,
}

impl Counter {
    fn before(engine: PathBuf, socket: PathBuf) -> Result<Self> {
        let requests = Arc::new(AtomicUsize::new(0));
        let (listener, counted) = (UnixListener::bind(&socket)?, requests.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = UnixStream::connect(&engine) else { continue };
                let counted = counted.clone();
                let (Ok(mut from), Ok(mut to)) = (server.try_clone(), client.try_clone()) else { continue };
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                std::thread::spawn(move || pass_on(client, server, &counted));
            }
        });
        Ok(Self { socket, requests })
    }
}

fn pass_on(mut client: UnixStream, mut server: UnixStream, counted: &AtomicUsize) -> std::io::Result<()> {
    const LINE_END: &[u8] = b" HTTP/1.1\r\n";
    let mut buffer = [0; 65536];
    loop {
        let len = client.read(&mut buffer)?;
        if len == 0 {
            return server.shutdown(std::net::Shutdown::Write);
        }
        let requests = buffer[..len].windows(LINE_END.len()).filter(|part| *part == LINE_END).count();
        counted.fetch_add(requests, Ordering::SeqCst);
        server.write_all(&buffer[..len])?;
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

/// The engine may still be at it for a moment.
fn delete_by_hand() -> Result<()> {
    let delete = || lxc(&["delete", "--force", "by-hand"]);
    for _ in 0..20 {
        if delete().is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    delete()
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
