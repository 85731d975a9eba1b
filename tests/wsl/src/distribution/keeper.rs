//! The process of a running distribution, outside of it: WSL's service and the part of `/init` that stays.
//!
//! Every `wsl.exe` that runs a command holds a connection to it, and so do those who ask it something, a line each:
//! - `session`: answered with [`Running`]. The first one starts the distribution's own init, and waits for it;
//! - `login USER`, a [`User`]: answered `true` or `false`;
//! - `stop`: answered `done` once the distribution has ended.

use super::cgroup::Cgroup;
use super::conf::Conf;
use super::init::{Ready, Spec};
use super::login::{EACH, Logins};
use super::process::Handle;
use super::rooted::Root;
use super::session::{Order, choose_pids};
use super::shared;
use super::users::User;
use super::{drives, process, socket, vm};
use crate::computer::{Computer, lock};
use crate::registry::{Distribution, Registry, disk};
use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags};
use rustix::thread::LinkNameSpaceType;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// A distribution that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Its first process, as this machine numbers it.
    pub(crate) pid: i32,
    pub(crate) cgroup: PathBuf,
    pub(crate) conf: Conf,
    /// Whether its own init is the first process.
    pub(crate) systemd: bool,
    /// The host's name.
    pub(crate) host: String,
    /// Keys of texts that the first session is told.
    pub(crate) warnings: Vec<String>,
}

/// What is said of a distribution whose disk is gone.
pub(crate) const NO_DISK: &str = "no disk";

/// A connection to the keeper of a distribution, which is started where it does not run.
///
/// # Errors
/// That it cannot be started: [`NO_DISK`] is in the message where its disk is gone.
pub(crate) fn hold(computer: &Computer, of: &Distribution) -> Result<(UnixStream, Running)> {
    let folder = computer.run(&of.short())?;
    let attempt = || -> Option<(UnixStream, Running)> {
        let stream = socket::connect(&folder)?;
        let running = serde_json::from_str(&socket::ask(&stream, "session").ok()?).ok()?;
        Some((stream, running))
    };
    if let Some(held) = attempt() {
        return Ok(held);
    }
    let _lock = lock(&folder.join("start"))?;
    if let Some(held) = attempt() {
        return Ok(held);
    }
    let mut command = process::this(process::KEEPER)?;
    command.arg(&of.id);
    vm::started(computer, command)?;
    attempt().context("the distribution has ended at once")
}

/// Whether a distribution runs.
///
/// # Errors
/// That its folder cannot be made.
pub(crate) fn is_running(computer: &Computer, of: &Distribution) -> Result<bool> {
    let file = computer.folder.join("run").join(of.short()).join("alive");
    Ok(File::open(file).is_ok_and(|file| file.try_lock_shared().is_err()))
}

/// Ends a distribution where it runs, and waits until it has.
///
/// # Errors
/// That its folder cannot be made.
pub(crate) fn stop(computer: &Computer, of: &Distribution) -> Result<()> {
    let folder = computer.run(&of.short())?;
    if let Some(stream) = socket::connect(&folder) {
        let _ = socket::ask(&stream, "stop");
    }
    drop(lock(&folder.join("alive"))?);
    Ok(())
}

/// The process itself.
///
/// # Errors
/// Why the distribution does not start.
pub(crate) fn run(computer: &Computer, id: &str) -> Result<()> {
    let _ = rustix::process::setsid();
    let of = Registry::read(computer)?.with_id(id).cloned().context("the distribution is gone")?;
    let folder = computer.run(&of.short())?;
    let _alive = lock(&folder.join("alive"))?;
    let Some(root) = disk::root(computer, &of)? else { bail!("{NO_DISK}") };
    let (_vm, vm_pid) = vm::hold(computer)?;
    for (name, kind) in [("net", LinkNameSpaceType::Network), ("mnt", LinkNameSpaceType::Mount)] {
        let space = File::open(format!("/proc/{vm_pid}/ns/{name}"))?;
        rustix::thread::move_into_link_name_space(space.as_fd(), Some(kind))?;
    }
    std::env::set_current_dir("/")?;
    let cgroup = Cgroup::named(&format!("{}-{}", of.short(), std::process::id()))?;
    fs::write(folder.join("cgroup"), cgroup.path().as_os_str().as_encoded_bytes())?;
    fs::write(folder.join("pid"), std::process::id().to_string())?;
    // Only now: whoever kills this process finds it.
    cgroup.make()?;
    let ended = Keeper::start(computer, &of, &root, &cgroup, &folder).and_then(|mut keeper| {
        let listener = socket::listen(&folder)?;
        println!("ready");
        let asked = keeper.serve(&listener)?;
        // Whoever comes from now on starts it anew.
        socket::remove(&folder);
        keeper.end();
        Ok(asked)
    });
    socket::remove(&folder);
    cgroup.remove();
    let _ = fs::remove_file(folder.join("cgroup"));
    if computer.config.detach_on_stop {
        shared::eject(&vm::shared_folder(computer)?, &shared::place(&root)?)?;
    }
    for (letter, _) in computer.drives() {
        let _ = rustix::mount::unmount(
            folder.join("drives").join(letter.to_string()),
            rustix::mount::UnmountFlags::DETACH,
        );
    }
    if let Some(asked) = ended? {
        // Nobody may be left to be told.
        let _ = (&asked).write_all(b"done\n");
    }
    Ok(())
}

/// A distribution that runs.
struct Keeper<'a> {
    computer: &'a Computer,
    running: Running,
    first: Handle,
    /// Told when the first session begins.
    first_input: Option<ChildStdin>,
    /// What made the namespaces.
    maker: Child,
    helpers: Vec<Child>,
    /// Processes in the distribution that this one has started. They must be waited for: the first process does not end before.
    started: Vec<(Handle, Child)>,
    logins: Logins,
    /// The environment of `/init`.
    environment: Vec<(String, String)>,
}

/// Somebody who is connected, and the beginning of what they say next.
/// How often it is looked whether systemd shuts down.
const LOOK: Duration = Duration::from_millis(100);

type Client = (UnixStream, Vec<u8>);

impl<'a> Keeper<'a> {
    fn start(
        computer: &'a Computer,
        of: &Distribution,
        root: &Path,
        cgroup: &Cgroup,
        folder: &Path,
    ) -> Result<Self> {
        let inside = Root::at(root)?;
        let conf = Conf::of(&inside.text("/etc/wsl.conf").unwrap_or_default());
        let (drives, helpers) = drives::ready(computer, of, &conf, &inside)?;
        let host = computer.config.computer_name.clone();
        let spec = Spec {
            root: root.into(),
            shared: vm::shared_folder(computer)?,
            drives,
            cgroup: cgroup.path().into(),
            conf: conf.clone(),
            host: host.clone(),
            name: of.name.clone(),
        };
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--pid",
            "--uts",
            "--ipc",
            "--fork",
            "--kill-child",
            "--propagation",
            "unchanged",
            "--",
        ]);
        command.arg(process::program()?).args([process::BOOT, &serde_json::to_string(&spec)?]).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(folder.join("log"))?);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let mut maker = command.spawn().context("unshare")?;
        let first_input = maker.stdin.take();
        let mut said = BufReader::new(maker.stdout.take().context("no output")?).lines();
        let ready = (|| -> Option<(i32, Ready)> {
            let pid = said.next()?.ok()?.parse().ok()?;
            Some((pid, serde_json::from_str(&said.next()?.ok()?).ok()?))
        })();
        let Some((pid, ready)) = ready else {
            let _ = maker.wait();
            bail!("{}", fs::read_to_string(folder.join("log"))?.trim());
        };
        let first = Handle::of(pid).context("it has ended at once")?;
        choose_pids(pid)?;
        let name = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let environment = vec![name("NAME", &host), name("WSL_DISTRO_NAME", &of.name)];
        let running = Running {
            pid,
            cgroup: cgroup.path().into(),
            conf,
            systemd: ready.systemd,
            host,
            warnings: ready.warnings,
        };
        let logins = Logins::default();
        let mut keeper = Self {
            computer,
            running,
            first,
            first_input,
            maker,
            helpers,
            started: Vec::new(),
            logins,
            environment,
        };
        if let Some(line) = keeper.running.conf.boot_command.clone() {
            keeper.start_line(&line)?;
        }
        Ok(keeper)
    }

    /// Serves until the distribution has ended, is idle, or somebody asks for its end, who comes back then.
    fn serve(&mut self, listener: &UnixListener) -> Result<Option<UnixStream>> {
        let mut clients: Vec<Client> = Vec::new();
        // Whoever started it is about to connect.
        let mut idle_since = Instant::now();
        let timeout =
            u64::try_from(self.computer.config.instance_idle_timeout).ok().map(Duration::from_millis);
        loop {
            let is_busy = !clients.is_empty();
            let left = timeout.filter(|_| !is_busy).map(|limit| limit.saturating_sub(idle_since.elapsed()));
            if left == Some(Duration::ZERO) {
                return Ok(None);
            }
            let mut fds =
                vec![PollFd::new(listener, PollFlags::IN), PollFd::new(self.first.fd(), PollFlags::IN)];
            fds.extend(clients.iter().map(|(client, _)| PollFd::new(client, PollFlags::IN)));
            fds.extend(self.started.iter().map(|(handle, _)| PollFd::new(handle.fd(), PollFlags::IN)));
            // No longer than that: see `wake_shutdown`.
            let left = left.unwrap_or(LOOK).min(LOOK);
            match rustix::event::poll(&mut fds, Some(&process::timespec(left))) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            drop(fds);
            self.reap();
            self.wake_shutdown();
            if ready[1] {
                return Ok(None);
            }
            for index in (0..clients.len()).rev() {
                if ready[index + 2] && !self.hear(&mut clients[index])? {
                    let (client, rest) = clients.swap_remove(index);
                    if rest == b"stop" {
                        return Ok(Some(client));
                    }
                }
            }
            if ready[0] {
                clients.push((listener.accept()?.0, Vec::new()));
            }
            if is_busy || !clients.is_empty() {
                idle_since = Instant::now();
            }
        }
    }

    /// Hears what a client says. `false` where they are gone, or want the end: then `stop` is what is left of it.
    fn hear(&mut self, (client, said): &mut Client) -> Result<bool> {
        let mut piece = [0; 4096];
        let length = client.read(&mut piece).unwrap_or(0);
        if length == 0 {
            said.clear();
            return Ok(false);
        }
        said.extend_from_slice(&piece[..length]);
        while let Some(end) = said.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&said[..end]).into_owned();
            said.drain(..=end);
            let answer = match line.split_once(' ').unwrap_or((&line, "")) {
                ("session", _) => {
                    self.begin()?;
                    let answer = serde_json::to_string(&self.running)?;
                    self.running.warnings.clear();
                    answer
                }
                ("login", user) => self.login(&serde_json::from_str(user)?).to_string(),
                ("stop", _) => {
                    *said = b"stop".to_vec();
                    return Ok(false);
                }
                _ => bail!("{line} is nothing to ask"),
            };
            // One that is gone is noticed when it is read from.
            let _ = writeln!(client, "{answer}");
        }
        Ok(true)
    }

    /// With the first session the distribution's own init begins, and is waited for: `WaitForBootProcess` in `init.cpp`.
    fn begin(&mut self) -> Result<()> {
        if !self.running.systemd || self.first_input.is_none() {
            return Ok(());
        }
        let Some(mut input) = self.first_input.take() else { return Ok(()) };
        let _ = input.write_all(b"boot\n");
        drop(input);
        let limit = Duration::from_millis(self.running.conf.init_timeout);
        let until = Instant::now() + limit;
        while !limit.is_zero() {
            let asked = self.ask("systemctl is-system-running | grep -E \"running|degraded\"");
            if asked.is_ok_and(|(is_up, _)| is_up) || Instant::now() >= until || self.is_ending() {
                break;
            }
            std::thread::sleep(EACH);
        }
        Ok(())
    }

    fn login(&mut self, user: &User) -> bool {
        let order = self.order("");
        let limit = Duration::from_millis(self.running.conf.init_timeout);
        let mut logins = std::mem::take(&mut self.logins);
        let mut started = None;
        let is_up = logins.ensure(
            &order,
            user,
            limit,
            |child| started = Some(child),
            |line| {
                anyhow::ensure!(!self.is_ending(), "the distribution has ended");
                self.ask(line)
            },
        );
        self.logins = logins;
        self.started.extend(started.and_then(tracked));
        is_up.unwrap_or(false)
    }

    fn order(&self, line: &str) -> Order {
        let order = Order::of_init(self.running.pid, self.running.cgroup.clone(), line);
        Order { environment: self.environment.clone(), ..order }
    }

    /// Whether a command line succeeds in the distribution, and what it prints.
    fn ask(&self, line: &str) -> Result<(bool, String)> {
        let output = self.order(line).command()?.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    /// Starts a command line in the distribution.
    fn start_line(&mut self, line: &str) -> Result<()> {
        let mut command = self.order(line).command()?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.started.extend(tracked(command.spawn()?));
        Ok(())
    }

    /// Whether the distribution is about to end.
    fn is_ending(&self) -> bool {
        process::is_ending(self.running.pid)
    }

    /// systemd, when it shuts down, waits for the ends of all processes, and looks again at each SIGCHLD. On WSL all are its
    /// descendants; here those of sessions are children of this process, so that it would hear nothing of them, twice for 10 s.
    fn wake_shutdown(&self) {
        let name = fs::read_to_string(format!("/proc/{}/comm", self.running.pid)).unwrap_or_default();
        if name.starts_with("systemd-shutdow")
            && let Some(pid) = rustix::process::Pid::from_raw(self.running.pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::CHILD);
        }
    }

    /// Takes note of what has ended.
    fn reap(&mut self) {
        self.started.retain_mut(|(_, child)| matches!(child.try_wait(), Ok(None)));
    }

    /// Waits until the distribution has ended, up to `limit`.
    fn wait(&mut self, limit: Duration) {
        let until = Instant::now() + limit;
        while !self.first.has_ended(Duration::from_millis(5)) && Instant::now() < until {
            self.reap();
            self.wake_shutdown();
        }
    }

    /// Ends the distribution: `InitTerminateInstanceInternal` in `init.cpp`.
    fn end(&mut self) {
        if self.running.systemd
            && self.first_input.is_none()
            && !self.is_ending()
            && self.start_line("systemctl poweroff").is_ok()
        {
            self.wait(Duration::from_millis(self.running.conf.init_timeout));
        }
        self.first.signal_kill();
        self.wait(Duration::from_secs(5));
        let _ = self.maker.kill();
        let _ = self.maker.wait();
        for helper in &mut self.helpers {
            let _ = helper.kill();
            let _ = helper.wait();
        }
    }
}

/// A child and what tells that it has ended; `None` where it has.
fn tracked(mut child: Child) -> Option<(Handle, Child)> {
    let handle = i32::try_from(child.id()).ok().and_then(Handle::of);
    match handle {
        Some(handle) => Some((handle, child)),
        None => {
            let _ = child.wait();
            None
        }
    }
}
