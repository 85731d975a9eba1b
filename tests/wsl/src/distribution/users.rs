//! Who there is in a distribution: `/etc/passwd` and `/etc/group`.

use super::rooted::Root;
use serde::{Deserialize, Serialize};

/// A line of `/etc/passwd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: String,
    pub(crate) shell: String,
}

impl User {
    /// Root as WSL knows it where there is no `/etc/passwd`: `c_defaultPasswordEntry` in `init.cpp`.
    pub(crate) fn root() -> Self {
        Self { name: "root".into(), uid: 0, gid: 0, home: "/".into(), shell: "/bin/sh".into() }
    }

    fn of(line: &str) -> Option<Self> {
        let mut parts = line.split(':');
        let name = parts.next()?.to_owned();
        let (uid, gid) = (parts.nth(1)?.parse().ok()?, parts.next()?.parse().ok()?);
        let (home, shell) = (parts.nth(1)?.to_owned(), parts.next()?.to_owned());
        Some(Self { name, uid, gid, home, shell })
    }
}

/// The user that `fits`.
pub(crate) fn find(root: &Root, fits: impl Fn(&User) -> bool) -> Option<User> {
    root.text("/etc/passwd")?.lines().filter_map(User::of).find(fits)
}

/// The groups that `user` is in.
pub(crate) fn groups(root: &Root, user: &User) -> Vec<u32> {
    let text = root.text("/etc/group").unwrap_or_default();
    let others = text.lines().filter_map(|line| {
        let mut parts = line.split(':');
        let gid = parts.nth(2)?.parse().ok()?;
        parts.next()?.split(',').any(|name| name == user.name).then_some(gid)
    });
    std::iter::once(user.gid).chain(others.filter(|gid| *gid != user.gid)).collect()
}
