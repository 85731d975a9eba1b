//! What every command starts from: where things live, what is configured, what runs machines.

use crate::config::{Config, ConfigError};
use crate::driver::Lazy;
use codchi_machine::{Machines, Options, Paths, Vault};
use std::sync::Arc;

/// What every command starts from.
pub(crate) struct Context {
    /// Where things live.
    pub(crate) paths: Paths,
    /// What is configured.
    pub(crate) config: Config,
    /// What runs machines.
    pub(crate) driver: Arc<Lazy>,
    /// The vault, which is opened once in this process.
    pub(crate) vault: Vault,
}

impl Context {
    /// Reads the configuration; connects to nothing.
    pub(crate) fn load(paths: Paths) -> Result<Self, ConfigError> {
        let config = Config::load(&paths)?;
        Ok(Self::new(config.paths(paths), config))
    }

    /// With a configuration that was read, or is the default.
    pub(crate) fn new(paths: Paths, config: Config) -> Self {
        let driver = Arc::new(Lazy::new(config.driver, &paths.data, config.wsl_patience()));
        let vault = Vault::new(paths.clone());
        Self { paths, config, driver, vault }
    }

    /// The machines, as configured.
    pub(crate) fn machines(&self) -> Machines {
        self.machines_with(self.config.options())
    }

    /// The machines, with other options.
    pub(crate) fn machines_with(&self, options: Options) -> Machines {
        Machines::new(self.paths.clone(), self.driver.clone(), options).with_vault(self.vault.clone())
    }
}
