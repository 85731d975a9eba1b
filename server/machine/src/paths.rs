//! Where things live on the host.

use crate::MachineName;
use std::path::PathBuf;

/// Where things live on the host (XDG base directory specification). On Windows all but `config` is below `%LOCALAPPDATA%\\codchi`: what
/// machines are made of belongs to this computer, and is nothing to be carried to others with the person's profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// `$XDG_DATA_HOME/codchi`: machines, vault.
    pub data: PathBuf,
    /// `$XDG_CONFIG_HOME/codchi`, on Windows `%APPDATA%\codchi`: `config.toml`.
    pub config: PathBuf,
    /// `$XDG_STATE_HOME/codchi`: logs.
    pub state: PathBuf,
    /// `$XDG_CACHE_HOME/codchi`.
    pub cache: PathBuf,
    /// The user's home folder.
    pub home: PathBuf,
}

impl Paths {
    /// From the environment; `None` where there is no home folder.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        use etcetera::BaseStrategy as _;
        let base = etcetera::choose_base_strategy().ok()?;
        #[cfg(windows)]
        return {
            let local = base.cache_dir().join("codchi");
            Some(Self {
                data: local.join("data"),
                config: base.config_dir().join("codchi"),
                state: local.join("state"),
                cache: local.join("cache"),
                home: base.home_dir().to_owned(),
            })
        };
        #[cfg(not(windows))]
        Some(Self {
            data: base.data_dir().join("codchi"),
            config: base.config_dir().join("codchi"),
            state: base.state_dir().unwrap_or_else(|| base.data_dir()).join("codchi"),
            cache: base.cache_dir().join("codchi"),
            home: base.home_dir().to_owned(),
        })
    }

    /// The folder of one machine.
    #[must_use]
    pub fn machine(&self, name: &MachineName) -> PathBuf {
        self.data.join("machines").join(name.as_str())
    }

    /// Where modules are that came with the imported machine of this id and are not on this computer.
    pub(crate) fn imported(&self, id: &str) -> PathBuf {
        self.data.join("imported").join(id)
    }
}
