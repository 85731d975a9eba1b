//! `permissions.toml`: what the person answered when they were asked what of their computer a machine may have.
//!
//! ```toml
//! [host-secrets]
//! ssh-agent = true
//! [capabilities]
//! gpu = false
//! ```
//!
//! It is apart from what the machine is made of: it changes while the machine runs, without a rebuild, is looked at for each
//! request of a machine, and does not go along with a copy or an export.

use super::MachineFolder;
use crate::files::{damaged, read_optional, write_atomic};
use crate::{MachineError, Offer};
use codchi_host::{Capability, HostSecret};
use std::collections::BTreeMap;

/// What the person lets a machine have of their computer.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Permissions {
    /// Whether it may have a host secret; one that is not in here was not asked for yet.
    pub host_secrets: BTreeMap<HostSecret, bool>,
    /// Whether it may have a capability: one that is not in here it may have.
    pub capabilities: BTreeMap<Capability, bool>,
}

impl Permissions {
    /// Whether the machine may have `secret`; `None` where nobody has answered yet.
    #[must_use]
    pub fn host_secret(&self, secret: HostSecret) -> Option<bool> {
        self.host_secrets.get(&secret).copied()
    }

    /// Keeps the person's answer about `offer`.
    pub(crate) fn set(&mut self, offer: Offer, allowed: bool) {
        match offer {
            Offer::HostSecret(secret) => self.host_secrets.insert(secret, allowed),
            Offer::Capability(capability) => self.capabilities.insert(capability, allowed),
        };
    }

    /// Whether the machine may have `capability`. That of the SSH agent is the host secret of this name, which it may have only
    /// once the person has agreed.
    #[must_use]
    pub fn capability(&self, capability: Capability) -> bool {
        match capability {
            Capability::SshAgent => self.host_secret(HostSecret::SshAgent).unwrap_or(false),
            other => self.capabilities.get(&other).copied().unwrap_or(true),
        }
    }

    /// Whether the person has said that the machine may not have `capability`, and not only not answered yet.
    pub(crate) fn denies(&self, capability: Capability) -> bool {
        match capability {
            Capability::SshAgent => self.host_secret(HostSecret::SshAgent) == Some(false),
            other => !self.capability(other),
        }
    }
}

impl MachineFolder {
    /// Reads `permissions.toml`; none are given where there is none.
    ///
    /// # Errors
    /// [`MachineError::Io`]; [`MachineError::Damaged`].
    pub(crate) fn permissions(&self) -> Result<Permissions, MachineError> {
        let path = self.root().join("permissions.toml");
        let Some(contents) = read_optional(&path)? else { return Ok(Permissions::default()) };
        let text = std::str::from_utf8(&contents)
            .map_err(|e| damaged(&path, &contents, Some(e.valid_up_to()), "this is not text (UTF-8)"))?;
        toml::from_str(text).map_err(|e: toml::de::Error| {
            damaged(&path, &contents, e.span().map(|span| span.start), e.message())
        })
    }

    /// Writes `permissions.toml`.
    ///
    /// # Errors
    /// [`MachineError::Io`]; then it is as before.
    pub(crate) fn write_permissions(&self, permissions: &Permissions) -> Result<(), MachineError> {
        let path = self.root().join("permissions.toml");
        let text = toml::to_string(permissions)
            .map_err(|e| crate::files::io_error("Writing", &path, std::io::Error::other(e)))?;
        write_atomic(&path, text.as_bytes(), 0o600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_and_what_a_person_broke_is_named_with_its_line() {
        let data = tempfile::tempdir().unwrap();
        let folder = MachineFolder::new(&crate::test::paths(data.path()), &"a".parse().unwrap());
        std::fs::create_dir_all(folder.root()).unwrap();
        assert_eq!(folder.permissions().unwrap(), Permissions::default());
        let permissions = Permissions {
            host_secrets: [(HostSecret::SshAgent, true), (HostSecret::Tokens, false)].into(),
            capabilities: [(Capability::Gpu, false)].into(),
        };
        folder.write_permissions(&permissions).unwrap();
        let read = folder.permissions().unwrap();
        assert_eq!(read, permissions);
        assert_eq!(read.host_secret(HostSecret::CaCertificates), None);
        assert!(read.capability(Capability::SshAgent) && read.capability(Capability::Kvm));
        assert!(!read.capability(Capability::Gpu));
        std::fs::write(folder.root().join("permissions.toml"), "[host-secrets]\nssh-agnt = true\n").unwrap();
        let error = folder.permissions().unwrap_err().to_string();
        assert!(error.contains("permissions.toml:2:1"), "{error}");
    }
}
