//! Who owns the folders that instances have, and who that is inside.

use crate::flake::User;
use crate::state::Definition;
use crate::{MachineError, files};
use std::path::Path;

/// The first id of people on Linux distributions; those below belong to the system, also inside a machine.
const FIRST_PERSON: u32 = 1000;
/// The NixOS group `users`, which may be a person's own group.
const GROUP_USERS: u32 = 100;

/// The owner of a project folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// Who owns `folder`.
    ///
    /// # Errors
    /// [`MachineError::User`] where it is gone.
    pub(crate) fn of(folder: &Path) -> Result<Self, MachineError> {
        let metadata = std::fs::metadata(folder).map_err(|e| MachineError::User {
            message: format!("The project folder {} cannot be read: {e}", folder.display()),
            hint: Some(
                "Put it back where it was, or delete the machine and create it from where it is now.".into(),
            ),
        })?;
        Ok(Self::from(&metadata))
    }

    /// Who owns the data folder `data`.
    ///
    /// # Errors
    /// [`MachineError::Io`].
    pub(crate) fn of_data(data: &Path) -> Result<Self, MachineError> {
        let metadata = std::fs::metadata(data).map_err(|e| files::io_error("Reading", data, e))?;
        Ok(Self::from(&metadata))
    }

    /// As the file system has it. On Windows it is the machine's user: WSL shows files of Windows as theirs.
    fn from(metadata: &std::fs::Metadata) -> Self {
        #[cfg(unix)]
        let (uid, gid) = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.uid(), metadata.gid())
        };
        #[cfg(not(unix))]
        let (uid, gid, _) = (FIRST_PERSON, FIRST_PERSON, metadata);
        Self { uid, gid }
    }

    /// User and group.
    pub(crate) fn ids(self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// The ids of the machine's user who stands for this owner: the same ones where they can be a person's inside.
    pub(crate) fn user(self) -> User {
        let person = |id| if id >= FIRST_PERSON { id } else { FIRST_PERSON };
        User { uid: person(self.uid), gid: if self.gid == GROUP_USERS { self.gid } else { person(self.gid) } }
    }

    /// Whether shifting the mount by the instance's own map makes this owner the machine's user. The group may differ:
    /// access is the owner's, and the other way needs the administrator.
    pub(super) fn is_same(self) -> bool {
        self.user().uid == self.uid
    }

    /// The value of `raw.idmap` that makes this owner the machine's user.
    pub(crate) fn raw_idmap(self) -> String {
        let User { uid, gid } = self.user();
        format!("uid {} {uid}\ngid {} {gid}", self.uid, self.gid)
    }

    /// Whether this computer's files allow the engine, which is root, to give out these ids.
    fn may_be_mapped(self) -> bool {
        let allows = |file: &str, id| std::fs::read_to_string(file).is_ok_and(|text| covers(&text, id));
        allows("/etc/subuid", self.uid) && allows("/etc/subgid", self.gid)
    }

    /// Whether `message` is an engine's refusal to map these ids.
    pub(crate) fn is_refused(self, message: &str) -> bool {
        ["idmap", "subuid", "subgid"].iter().any(|word| message.contains(word))
            // All that LXD says when the kernel refuses a map; so the files have the word.
            || message.contains("forkstart") && !self.may_be_mapped()
    }

    /// What to do where the engine refuses [`Self::raw_idmap`].
    pub(crate) fn subordinate_ids(self) -> String {
        format!("`root:{}:1` to /etc/subuid and `root:{}:1` to /etc/subgid", self.uid, self.gid)
    }
}

/// The machine's user, in a system that is built now.
///
/// # Errors
/// [`MachineError::User`] where the project folder is gone.
pub(crate) fn user(definition: &Definition) -> Result<User, MachineError> {
    match &definition.project {
        Some(project) if definition.driver.mounts_linux_files() => Ok(Owner::of(project)?.user()),
        _ => Ok(User { uid: FIRST_PERSON, gid: FIRST_PERSON }),
    }
}

/// Whether lines of `/etc/subuid` (`USER:FIRST:COUNT`) give `id` to root.
fn covers(text: &str, id: u32) -> bool {
    text.lines().any(|line| {
        let mut fields = line.split(':');
        let owner = fields.next();
        let mut number = || fields.next().and_then(|field| field.trim().parse::<u64>().ok());
        let (Some(first), Some(count)) = (number(), number()) else { return false };
        matches!(owner, Some("root" | "0")) && (first..first.saturating_add(count)).contains(&u64::from(id))
    })
}

/// Whether the file system of `path` supports idmapped mounts. Those that are not listed may or may not.
///
/// Source: `FS_ALLOW_IDMAP` in the kernel's sources; magic numbers from `statfs(2)`.
#[cfg(unix)]
pub(crate) fn can_be_shifted(path: &Path) -> bool {
    const EXT4: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const BTRFS: u64 = 0x9123_683e;
    const F2FS: u64 = 0xf2f5_2010;
    rustix::fs::statfs(path).is_ok_and(|of| [EXT4, XFS, BTRFS, F2FS].contains(&of.f_type.cast_unsigned()))
}

/// None of Windows' does.
#[cfg(not(unix))]
pub(crate) fn can_be_shifted(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_keeps_their_ids_and_everybody_else_becomes_the_machines_user() {
        let user = |uid, gid| Owner { uid, gid }.user();
        assert_eq!(user(1001, 1002), User { uid: 1001, gid: 1002 });
        assert_eq!(user(1001, 100), User { uid: 1001, gid: 100 });
        assert_eq!(user(0, 0), User { uid: 1000, gid: 1000 });
        assert_eq!(Owner { uid: 0, gid: 33 }.raw_idmap(), "uid 0 1000\ngid 33 1000");
    }

    #[test]
    fn ids_that_root_may_give_out_are_read_from_ranges() {
        let text = "root:100000:65536\nme:33:1\n# comment\nroot:1000:1\nbroken\n";
        for (id, allowed) in
            [(1000, true), (1001, false), (33, false), (100_000, true), (165_535, true), (165_536, false)]
        {
            assert_eq!(covers(text, id), allowed, "{id}");
        }
    }
}
