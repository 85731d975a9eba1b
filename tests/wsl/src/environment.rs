//! The environment that a command gets: `ConfigCreateEnvironmentBlock` in `config.cpp` and `CreateProcessCommon` in `init.cpp` of WSL.

use crate::distribution::conf::Conf;
use crate::distribution::keeper::Running;
use crate::distribution::rooted::Root;
use crate::distribution::users::User;
use crate::windows_path;
use std::collections::BTreeMap;

/// What a distribution's registration says: `Property::DefaultEnvironment`.
const DEFAULT: [(&str, &str); 4] = [
    ("HOSTTYPE", std::env::consts::ARCH),
    ("LANG", "en_US.UTF-8"),
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games:/usr/local/games"),
    ("TERM", "xterm-256color"),
];

/// Variables by their names.
pub(crate) type Environment = BTreeMap<String, String>;

/// The environment of a command of `user` in the distribution `name`. `windows_path` is `PATH` of Windows.
pub(crate) fn of(running: &Running, name: &str, root: &Root, user: &User, windows_path: &str) -> Environment {
    let conf = &running.conf;
    let mut all: Environment = DEFAULT.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    all.extend(passed_on(conf));
    let mut path = all.remove("PATH").unwrap_or_default();
    let mut append = |element: &str| {
        if !path.is_empty() && !path.ends_with(':') {
            path.push(':');
        }
        path.push_str(element);
    };
    if conf.gpu_path {
        append("/usr/lib/wsl/lib");
    }
    if conf.append_windows_path && conf.automount {
        for element in windows_path.split(';') {
            if let Some(inside) = windows_path::inside(element, &conf.root).filter(|inside| root.has(inside))
            {
                append(&inside);
            }
        }
    }
    all.insert("PATH".into(), path);
    if let Some(language) = language(root) {
        all.insert("LANG".into(), language);
    }
    let mut set = |key: &str, value: String| all.insert(key.into(), value);
    set("NAME", running.host.clone());
    set("WSL_DISTRO_NAME", name.into());
    set("HOME", user.home.clone());
    set("USER", user.name.clone());
    set("LOGNAME", user.name.clone());
    set("SHELL", user.shell.clone());
    if conf.interop {
        set("WSL_INTEROP", format!("/run/WSL/{}_interop", std::process::id()));
    }
    if running.systemd {
        set("DBUS_SESSION_BUS_ADDRESS", format!("unix:path=/run/user/{}/bus", user.uid));
        set("XDG_RUNTIME_DIR", format!("/run/user/{}", user.uid));
    }
    all
}

/// What `WSLENV` says should go along: `UtilParseWslEnv` in `util.cpp`.
fn passed_on(conf: &Conf) -> Environment {
    let list = std::env::var("WSLENV").unwrap_or_default();
    let mut all = Environment::from([("WSLENV".into(), list.clone())]);
    for entry in list.trim_end().split(':').filter(|entry| !entry.is_empty()) {
        let (name, flags) = entry.split_once('/').unwrap_or((entry, ""));
        if flags.contains('w') || !flags.chars().all(|flag| matches!(flag, 'p' | 'l' | 'u')) {
            continue;
        }
        let Ok(value) = std::env::var(name) else { continue };
        let value = if flags.contains(['p', 'l']) {
            let inside = |path| windows_path::inside(path, &conf.root);
            value.split(';').filter_map(inside).collect::<Vec<_>>().join(":")
        } else {
            value
        };
        all.insert(name.into(), value);
    }
    all
}

/// `LANG` as the distribution sets it: `ConfigUpdateLanguage` in `config.cpp`.
fn language(root: &Root) -> Option<String> {
    let text = ["/etc/default/locale", "/etc/locale.conf"].iter().find_map(|path| root.text(path))?;
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let value = lines.filter_map(|line| line.split_once("LANG=")).next_back()?.1;
    Some(value.trim().trim_matches(['"', '\'']).into())
}
