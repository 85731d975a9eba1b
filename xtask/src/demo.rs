//! `cargo xtask demo`: the main job on a sample project, in the browser or on the command line.

use crate::apt::{self, Program};
use crate::lab::{self, Kind, Lab, code_server};
use crate::package::Programs;
use crate::process::{output, quietly};
use crate::{Done, package, repository, say};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs the main job on a sample project.
#[derive(clap::Args)]
pub(crate) struct Demo {
    /// On the command line, printing each step's result, and removing everything afterwards.
    #[arg(long)]
    headless: bool,
    /// The port of the VS Code in the browser; a free one where it is 0.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

type Environment = BTreeMap<&'static str, String>;

impl Demo {
    pub(crate) fn run(self) -> Done {
        ctrlc::set_handler(|| {}).context("taking over Ctrl-C, so that engines are stopped")?;
        lab::announce();
        let lab = Lab::new(Kind::Lxd);
        let mut environment = lab.up()?;
        let binary = package::binary(false)?;
        choose_nixpkgs(&mut environment)?;
        let result = if self.headless {
            headless(&binary, &environment)
        } else {
            in_browser(&binary, &environment, self.port)
        };
        say("Stopping LXD");
        result.and(lab.down())
    }
}

/// Takes the real nixpkgs where it can be fetched and this Nix is new enough for it, else the stand-in.
fn choose_nixpkgs(environment: &mut Environment) -> Result<()> {
    const REAL: &str = "github:NixOS/nixpkgs/nixos-unstable";
    let fetched = || {
        let version = output(Command::new("nix").arg("--version")).ok()?;
        let mut numbers =
            version.trim().rsplit(' ').next()?.split('.').map(|n| n.parse::<u32>().unwrap_or(0));
        if (numbers.next()?, numbers.next()?) < (2, 18) {
            return None;
        }
        let mut metadata = Command::new("timeout");
        metadata.args([
            "20",
            "nix",
            "--extra-experimental-features",
            "nix-command flakes",
            "flake",
            "metadata",
            REAL,
        ]);
        quietly(&mut metadata).ok()
    };
    if fetched().is_some() {
        say(format!("Using {REAL}"));
        // Without the binary cache all of it would be built from its sources.
        environment.insert("NIX_CONFIG", lab::nix_config(false));
        environment.insert("CODCHI_NIXPKGS", REAL.to_owned());
        return Ok(());
    }
    say(
        "nixpkgs cannot be fetched here (no network, or a Nix older than 2.18): using the small stand-in of tests/nixpkgs",
    );
    use_stand_in(environment)
}

fn use_stand_in(environment: &mut Environment) -> Result<()> {
    let stand_in = environment.get("CODCHI_TEST_FLAKE_NIXPKGS").context("the lab prepared no nixpkgs")?;
    let url = format!("path:{stand_in}");
    environment.insert("CODCHI_NIXPKGS", url);
    Ok(())
}

/// A home of its own for the demo: the sample project, and nothing of the person's.
struct Home {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl Home {
    fn new(environment: &Environment) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("codchi-demo-").tempdir()?;
        let mut environment = environment.clone();
        if !environment.contains_key("CODCHI_NIXPKGS") {
            use_stand_in(&mut environment)?;
        }
        let project = folder.path().join("project");
        fs::create_dir(&project)?;
        for entry in fs::read_dir(repository().join("xtask/sample"))? {
            let entry = entry?;
            fs::copy(entry.path(), project.join(entry.file_name()))?;
        }
        environment.insert("HOME", folder.path().display().to_string());
        for (name, below) in [
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_STATE_HOME", ".local/state"),
            ("XDG_CONFIG_HOME", ".config"),
            ("XDG_CACHE_HOME", ".cache"),
        ] {
            environment.insert(name, folder.path().join(below).display().to_string());
        }
        Ok(Self { folder, environment })
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.project()).envs(&self.environment);
        command
    }
}

/// The main job from the command line: a machine that has the secret, reached by `exec` and by `ssh`, and deleted.
pub(crate) fn headless(binary: &Path, environment: &Environment) -> Result<()> {
    const SECRET: &str = "it's a \"test\" $ecret";
    let home = Home::new(environment)?;
    let codchi = || home.command(binary);
    let project = home.project();
    step("codchi doctor", codchi().arg("doctor"), None)?;
    step("codchi check: the secret is not set", codchi().args(["check", "."]), None)?;
    step(
        "codchi secret set",
        codchi().args(["secret", "set", "DEMO_TOKEN", "--machine", "demo"]),
        Some(SECRET),
    )?;
    // From here on there is something to delete, whatever happens.
    let result = (|| {
        let create = ["create", ".", "--name", "demo", "--yes"];
        step("codchi create", codchi().args(create), None)?;
        step("codchi status", codchi().arg("status"), None)?;
        let length = r#"printf %s "$CODCHI_DEMO_TOKEN" | wc -c"#;
        let exec = ["exec", "demo", "--", "sh", "-c", length];
        let printed = step("codchi exec: the secret's length", codchi().args(exec), None)?;
        if printed.trim() != SECRET.len().to_string() {
            bail!("the machine printed {:?} as the secret's length, not {}", printed.trim(), SECRET.len());
        }
        let config = home.folder.path().join(".ssh/config");
        // OpenSSH takes the home folder from the password database, not from $HOME, so it is told where this one is.
        let mut ssh = home.command("ssh");
        ssh.arg("-F").arg(&config).args(["codchi-demo", "hostname"]);
        step("ssh codchi-demo", &mut ssh, None)?;
        let touched = ["exec", "demo", "--", "sh", "-c", "echo made in the machine > made.txt"];
        step("codchi exec: writes into the project", codchi().args(touched), None)?;
        if !project.join("made.txt").exists() {
            bail!("the file that the machine made is not in the project folder");
        }
        Ok(())
    })();
    let deleted = step("codchi delete", codchi().args(["delete", "demo", "--secrets", "--yes"]), None);
    result.and(deleted.map(drop))
}

/// Runs one command, says what it printed and how long it took; gives its standard output.
fn step(name: &str, command: &mut Command, input: Option<&str>) -> Result<String> {
    let began = Instant::now();
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("running {name}"))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    say(format!("{name} ({:.1} s)", began.elapsed().as_secs_f32()));
    for line in stdout.lines().chain(stderr.lines()) {
        println!("    {line}");
    }
    if !output.status.success() {
        bail!("{name} ended with {}", output.status);
    }
    Ok(stdout.into_owned())
}

/// A VS Code in the browser on the sample project, until it is stopped.
fn in_browser(binary: &Path, environment: &Environment, port: u16) -> Result<()> {
    apt::programs(&[Program("git", "git")])?;
    let code_server = code_server::install(&lab::cache())?;
    let vsix = package::vsix(&Programs::here(binary.to_owned(), None), &repository().join("target/package"))?;
    let home = Home::new(environment)?;
    let user = home.folder.path().join("vscode");
    fs::create_dir_all(user.join("User"))?;
    let settings = serde_json::json!({
        "workbench.startupEditor": "none",
        "workbench.secondarySideBar.defaultVisibility": "hidden",
        "chat.disableAIFeatures": true,
        "telemetry.telemetryLevel": "off",
        "extensions.autoCheckUpdates": false,
        "security.workspace.trust.enabled": false,
    });
    fs::write(user.join("User/settings.json"), settings.to_string())?;
    fs::write(home.folder.path().join("code-server.yaml"), "")?;
    let serve = || {
        let mut command = home.command(&code_server.node);
        command
            .arg(&code_server.entry)
            .arg("--config")
            .arg(home.folder.path().join("code-server.yaml"))
            .arg("--user-data-dir")
            .arg(&user)
            .arg("--extensions-dir")
            .arg(home.folder.path().join("extensions"))
            // There is no marketplace behind it: without this it would ask one.
            .env("EXTENSIONS_GALLERY", "{}");
        command
    };
    quietly(serve().arg("--install-extension").arg(&vsix)).context("installing the extension")?;
    // code-server wants the number before it listens; it is bound a moment later.
    let port = if port == 0 { TcpListener::bind("127.0.0.1:0")?.local_addr()?.port() } else { port };
    let mut server = serve()
        .args([
            "--auth",
            "none",
            "--disable-telemetry",
            "--disable-update-check",
            "--disable-workspace-trust",
        ])
        .arg(format!("--bind-addr=127.0.0.1:{port}"))
        .arg(home.project())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting code-server")?;
    for _ in 0..200 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        if let Some(status) = server.try_wait()? {
            bail!("code-server ended with {status}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    say(format!("VS Code: http://127.0.0.1:{port}/?folder={}", home.project().display()));
    say(
        "Open codchi.nix and press \"Open in Code Machine\" above its first line. Ctrl-C here ends the demo.",
    );
    server.wait()?;
    say("Deleting the demo's machines");
    let listed = output(home.command(binary).args(["status", "--json"]))?;
    let machines: Vec<serde_json::Value> =
        serde_json::from_str(&listed).context("reading `codchi status --json`")?;
    for name in machines.iter().filter_map(|machine| machine["name"].as_str()) {
        quietly(home.command(binary).args(["delete", name, "--secrets", "--yes"]))?;
    }
    Ok(())
}
