//! `/etc/wsl.conf`.

use serde::{Deserialize, Serialize};

/// What it says, or what holds where it says nothing. See `WslDistributionConfig.h` of WSL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Conf {
    pub(crate) automount: bool,
    /// Where the drives are, with a `/` at the end.
    pub(crate) root: String,
    pub(crate) options: String,
    pub(crate) mount_fstab: bool,
    pub(crate) append_windows_path: bool,
    pub(crate) interop: bool,
    pub(crate) generate_hosts: bool,
    pub(crate) generate_resolv_conf: bool,
    pub(crate) hostname: Option<String>,
    pub(crate) default_user: Option<String>,
    pub(crate) boot_command: Option<String>,
    pub(crate) systemd: bool,
    /// Milliseconds.
    pub(crate) init_timeout: u64,
    pub(crate) umask: u32,
    pub(crate) gpu_path: bool,
}

impl Default for Conf {
    fn default() -> Self {
        Self {
            automount: true,
            root: "/mnt/".into(),
            options: String::new(),
            mount_fstab: true,
            append_windows_path: true,
            interop: true,
            generate_hosts: true,
            generate_resolv_conf: true,
            hostname: None,
            default_user: None,
            boot_command: None,
            systemd: false,
            init_timeout: 10_000,
            umask: 0o022,
            gpu_path: true,
        }
    }
}

impl Conf {
    /// Reads its text.
    pub(crate) fn of(text: &str) -> Self {
        let mut conf = Self::default();
        let (mut gpu, mut gpu_path) = (true, true);
        let mut section = String::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name.trim().to_ascii_lowercase();
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = value.trim();
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
            let key = format!("{section}.{}", key.trim().to_ascii_lowercase());
            let text = || Some(value.to_owned()).filter(|value| !value.is_empty());
            match &*key {
                "automount.enabled" => set(&mut conf.automount, value),
                "automount.root" => conf.root = value.into(),
                "automount.options" => conf.options = value.into(),
                "automount.mountfstab" => set(&mut conf.mount_fstab, value),
                "interop.enabled" => set(&mut conf.interop, value),
                "interop.appendwindowspath" => set(&mut conf.append_windows_path, value),
                "network.generatehosts" => set(&mut conf.generate_hosts, value),
                "network.generateresolvconf" => set(&mut conf.generate_resolv_conf, value),
                "network.hostname" => conf.hostname = text(),
                "user.default" => conf.default_user = text(),
                "boot.command" => conf.boot_command = text(),
                "boot.systemd" => set(&mut conf.systemd, value),
                "boot.inittimeout" => conf.init_timeout = value.parse().unwrap_or(conf.init_timeout),
                "filesystem.umask" => conf.umask = u32::from_str_radix(value, 8).unwrap_or(conf.umask),
                "gpu.enabled" => set(&mut gpu, value),
                "gpu.appendlibpath" => set(&mut gpu_path, value),
                _ => {}
            }
        }
        conf.gpu_path = gpu && gpu_path;
        if !conf.root.ends_with('/') {
            conf.root.push('/');
        }
        conf
    }

    /// What the option of `automount.options` says that begins with `name` and `=`.
    pub(crate) fn mount_option(&self, name: &str) -> Option<&str> {
        self.options
            .split(',')
            .filter_map(|option| option.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

fn set(what: &mut bool, value: &str) {
    if value == "1" || value.eq_ignore_ascii_case("true") {
        *what = true;
    } else if value == "0" || value.eq_ignore_ascii_case("false") {
        *what = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_counts() {
        let conf = Conf::of(
            "[boot]\nsystemd = true\ninitTimeout=500\n[automount]\nroot=/\noptions=\"metadata,uid=7\" # x\n[user]\ndefault=me\n",
        );
        assert!(conf.systemd && conf.automount);
        assert_eq!((conf.init_timeout, &*conf.root, conf.default_user.as_deref()), (500, "/", Some("me")));
        assert_eq!(conf.mount_option("uid"), Some("7"));
        assert_eq!(Conf::of("systemd=true\n"), Conf::default());
    }
}
