//! A user's login session, which systemd's user manager needs: `CreateLoginSession` in `config.cpp`.

use super::session::Order;
use super::terminal;
use super::users::User;
use anyhow::Result;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// How often WSL asks whether something has started.
pub(crate) const EACH: Duration = Duration::from_millis(250);

/// The sessions of a distribution, by users.
#[derive(Default)]
pub(crate) struct Logins(BTreeMap<u32, OwnedFd>);

impl Logins {
    /// Logs `user` in, unless they were before. Waits for their service manager up to `limit`, in which `ask` runs a command line in the
    /// distribution and tells whether it succeeded and what it printed; `started` gets the process that logs in. Tells whether that came up.
    ///
    /// # Errors
    /// That the distribution has ended.
    pub(crate) fn ensure(
        &mut self,
        order: &Order,
        user: &User,
        limit: Duration,
        started: impl FnOnce(Child),
        ask: impl Fn(&str) -> Result<(bool, String)>,
    ) -> Result<bool> {
        if self.0.contains_key(&user.uid) {
            return Ok(true);
        }
        let (master, number) = terminal::open(order.pid)?;
        let order = Order {
            terminal: Some((number, [true; 3])),
            program: "/bin/login".into(),
            arguments: vec!["/bin/login".into(), "-f".into(), user.name.clone()],
            ..order.clone()
        };
        let mut command = order.command()?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        started(command.spawn()?);
        self.0.insert(user.uid, master);
        if limit.is_zero() {
            return Ok(true);
        }
        let until = Instant::now() + limit;
        loop {
            let (active, said) = ask(&format!("systemctl is-active user@{}.service", user.uid))?;
            if active || said == "failed\n" {
                return Ok(active);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            std::thread::sleep(EACH);
        }
    }
}
