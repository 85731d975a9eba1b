//! What the user configured: `config.toml` in codchi's configuration folder, and the environment.
//!
//! ```toml
//! nixpkgs = "github:NixOS/nixpkgs/nixos-25.11"   # that machines share; $CODCHI_NIXPKGS goes first
//! personal-modules = [ "~/nix/me.nix" ]          # added to every new machine, after the project's
//! evaluation = "lenient"                         # or "auto" (the default), "off": how modules are evaluated on save
//! store = "instance"                             # or "host", "auto" (the default): whose store new machines share
//! store-nix = "~/nix-2.24.9-x86_64-linux.tar.xz" # path or URL of the Nix of the store instance; codchi's without it
//! store-settings = "http-connections = 8"        # lines for its nix.conf
//! data = "/mnt/c/Users/me/AppData/Local/codchi" # where machines and the vault lie; on WSL that must be on a drive
//! driver = "incus"                               # or "lxd", "wsl"; without it the first that is there
//! wsl-timeout = 180                              # seconds that wsl.exe may take for what is quick before it is said to hang; 60 without it
//! ca-certificates = [ "~/proxy.pem" ]            # certificate authorities for machines, beside those of this computer
//! [[secret-provider]]                            # asked for secrets that the vault does not have; see docs/secrets.md
//! kind = "command"                               # or "environment", "dotenv"
//! command = [ "pass", "show", "codchi/{name}" ]
//! [ssh]
//! config = true                                  # whether ~/.ssh/config may be touched; asked where it is not said
//! [diagnostics]
//! no-effect = "off"                              # or hint, information, warning, error; see docs/diagnostics.md
//! ```

use crate::evaluation::Mode;
use crate::levels;
use codchi_driver::{DriverKind, WslOptions};
use codchi_machine::{Options, Paths, Providers, StoreChoice, StoreOptions};
use serde::Deserialize;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

/// What the user configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The folder with machines and the vault, in the place of that of [`Paths`].
    pub(crate) data: Option<String>,
    /// The flake URL of the nixpkgs that machines share.
    pub(crate) nixpkgs: Option<String>,
    /// The sources of modules that every new machine gets.
    #[serde(rename = "personal-modules")]
    pub(crate) personal_modules: Vec<String>,
    /// What runs machines; the first that is there where it is not said.
    pub(crate) driver: Option<DriverKind>,
    /// How many seconds `wsl.exe` may take for what is quick.
    #[serde(rename = "wsl-timeout")]
    pub(crate) wsl_timeout: Option<NonZeroU16>,
    /// Whose store new machines share.
    pub(crate) store: StoreChoice,
    /// Where the Nix of the store instance comes from.
    #[serde(rename = "store-nix")]
    pub(crate) store_nix: Option<String>,
    /// Lines for its `nix.conf`.
    #[serde(rename = "store-settings")]
    pub(crate) store_settings: String,
    /// Files with certificate authorities for machines.
    #[serde(rename = "ca-certificates")]
    pub(crate) ca_certificates: Vec<String>,
    /// How modules are evaluated while they are edited.
    pub(crate) evaluation: Mode,
    /// Where values of secrets come from that the vault does not have.
    #[serde(rename = "secret-provider")]
    pub(crate) secret_providers: Providers,
    /// About SSH.
    pub(crate) ssh: Ssh,
    /// Levels of diagnostics by code.
    pub(crate) diagnostics: levels::Written,
}

/// What the user configured about SSH.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ssh {
    /// Whether the user's ssh config may be touched.
    pub(crate) config: Option<bool>,
}

/// Why the configuration could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("reading {path} failed")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not what is expected.
    #[error("{path} is not a configuration of codchi")]
    Content {
        path: PathBuf,
        #[source]
        source: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads the file, where there is one, and the environment.
    pub(crate) fn load(paths: &Paths) -> Result<Self, ConfigError> {
        let path = paths.config.join("config.toml");
        let mut config = match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|source| ConfigError::Content { path, source: Box::new(source) })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::default(),
            Err(source) => return Err(ConfigError::Io { path, source }),
        };
        if let Some(nixpkgs) = std::env::var("CODCHI_NIXPKGS").ok().filter(|url| !url.is_empty()) {
            config.nixpkgs = Some(nixpkgs);
        }
        Ok(config)
    }

    /// How long `wsl.exe` may take for what is quick.
    pub(crate) fn wsl_patience(&self) -> Duration {
        self.wsl_timeout.map_or(WslOptions::PATIENCE, |seconds| Duration::from_secs(seconds.get().into()))
    }

    /// The same for `machine`.
    pub(crate) fn options(&self) -> Options {
        Options {
            nixpkgs: self.nixpkgs.clone(),
            personal_modules: self.personal_modules.clone(),
            program: std::env::current_exe().unwrap_or_else(|_| "codchi".into()),
            ssh_config: self.ssh.config,
            ca_certificates: self.ca_certificates.iter().map(|path| at_home(path)).collect(),
            store: StoreOptions {
                choice: self.store,
                nix: self.store_nix.clone(),
                settings: self.store_settings.clone(),
            },
            providers: self.secret_providers.clone(),
        }
    }

    /// `paths` as they are configured.
    pub(crate) fn paths(&self, paths: Paths) -> Paths {
        let data = self.data.as_deref().filter(|path| !path.is_empty()).map(at_home);
        Paths { data: data.unwrap_or(paths.data), ..paths }
    }
}

/// A path as a person writes it: `~/` is their home, and what is relative is there as well.
fn at_home(path: &str) -> PathBuf {
    let home = std::env::home_dir().unwrap_or_default();
    home.join(path.strip_prefix("~/").unwrap_or(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(folder: &std::path::Path) -> Paths {
        Paths {
            data: folder.join("data"),
            config: folder.into(),
            state: folder.join("state"),
            cache: folder.join("cache"),
            home: folder.into(),
        }
    }

    #[test]
    fn without_a_file_nothing_is_configured() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::load(&paths(folder.path())).unwrap();
        assert_eq!((config.driver, config.ssh.config), (None, None));
    }

    #[test]
    fn the_data_folder_may_be_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let there = |text: &str| {
            std::fs::write(folder.path().join("config.toml"), text).unwrap();
            Config::load(&paths(folder.path())).unwrap().paths(paths(folder.path())).data
        };
        assert_eq!(there("data = \"/mnt/c/codchi\""), PathBuf::from("/mnt/c/codchi"));
        assert_eq!(there(""), folder.path().join("data"));
    }

    #[test]
    fn how_modules_are_evaluated_is_one_of_three_words() {
        let read = |text: &str| toml::from_str::<Config>(text).map(|config| config.evaluation);
        assert_eq!(read("").unwrap(), Mode::Auto);
        assert_eq!(read("evaluation = \"lenient\"").unwrap(), Mode::Lenient);
        assert_eq!(read("evaluation = \"off\"").unwrap(), Mode::Off);
        assert!(read("evaluation = \"sometimes\"").is_err());
    }

    #[test]
    fn the_store_is_chosen_by_one_of_three_words() {
        let read = |text: &str| toml::from_str::<Config>(text).map(|config| config.options().store);
        assert_eq!(read("").unwrap(), StoreOptions::default());
        let store =
            read("store = \"instance\"\nstore-nix = \"~/nix.tar\"\nstore-settings = \"a = b\"\n").unwrap();
        assert_eq!((store.choice, store.nix.as_deref()), (StoreChoice::Instance, Some("~/nix.tar")));
        assert_eq!(store.settings, "a = b");
        assert!(read("store = \"machine\"").is_err());
    }

    #[test]
    fn how_long_wsl_may_take_is_a_number_of_seconds() {
        let read = |text: &str| toml::from_str::<Config>(text).map(|config| config.wsl_patience());
        assert_eq!(read("").unwrap(), WslOptions::PATIENCE);
        assert_eq!(read("wsl-timeout = 5").unwrap(), Duration::from_secs(5));
        assert!(read("wsl-timeout = 0").is_err());
    }

    #[test]
    fn the_file_is_read_and_a_mistake_in_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "driver = \"incus\"\npersonal-modules = [\"~/me\"]\n[ssh]\nconfig = false\n")
            .unwrap();
        let config = Config::load(&paths(folder.path())).unwrap();
        assert_eq!(config.options().personal_modules, ["~/me"]);
        assert_eq!((config.driver, config.ssh.config), (Some(DriverKind::Incus), Some(false)));

        std::fs::write(&file, "drivr = \"incus\"\n").unwrap();
        let error = Config::load(&paths(folder.path())).unwrap_err();
        assert!(error.to_string().contains("config.toml"));
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("drivr"), "{cause}");
    }
}
