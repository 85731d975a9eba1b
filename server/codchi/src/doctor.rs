//! What works on this host, and what to do about what does not.

use crate::cli::status::one;
use crate::context::Context;
use crate::{error, program};
use codchi_driver::{Driver as _, ServerInfo};
use codchi_host::{Availability, Capability, Host, HostSecret};
use codchi_machine::{CapabilityStatus, HostSecretStatus, MachineError, MachineName, StoreKind, StoreStatus};
use codchi_nix::{Nix, Version};
use std::path::{Path, PathBuf};

/// The oldest Nix that today's nixpkgs evaluates with.
const OLDEST_NIX: Version = Version(2, 18);

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Check {
    /// What was looked at.
    pub(crate) name: String,
    /// Whether it is as it should be.
    pub(crate) ok: bool,
    /// Whether no machine works without it.
    pub(crate) required: bool,
    /// What was found.
    pub(crate) message: String,
    /// What to do where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<String>,
    /// Of a capability or a host secret.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) offer: Option<Offered>,
}

/// What else is known of something that this computer may offer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Offered {
    /// What was found on the way, each without a full stop.
    pub(crate) evidence: Vec<String>,
    /// How it is in the machine that was asked about, where it is one that the machine's modules ask for, or that the person has
    /// answered about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) machine: Option<InMachine>,
}

/// How something that this computer offers is in a machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum InMachine {
    Capability(CapabilityStatus),
    HostSecret(HostSecretStatus),
}

impl Check {
    fn new(name: impl Into<String>, required: bool, found: Result<String, (String, Option<String>)>) -> Self {
        let name = name.into();
        match found {
            Ok(message) => Self { name, ok: true, required, message, remedy: None, offer: None },
            Err((message, remedy)) => Self { name, ok: false, required, message, remedy, offer: None },
        }
    }
}

/// Looks at everything; at capabilities also as the machine `name` has them, where one is named.
///
/// # Errors
/// Where there is no such machine, or machines cannot be read.
pub(crate) async fn checks(
    context: &Context,
    name: Option<&MachineName>,
) -> Result<Vec<Check>, MachineError> {
    let (given, allowed) = match name {
        Some(name) => {
            let status = one(context.machines().status().await?, name)?;
            (status.capabilities, status.host_secrets)
        }
        None => Default::default(),
    };
    let (store, server) = tokio::join!(store(context), context.driver.server());
    let mut checks = vec![store];
    match server {
        Ok(info) => {
            checks.push(Check::new("driver", true, Ok(driver(&info))));
            checks.push(pools(&info));
            if info.kind.mounts_linux_files() {
                checks.push(idmapped_mounts(&info, Path::new("/")));
            }
        }
        Err(failure) => {
            let remedy = failure.hint();
            checks.push(Check::new("driver", true, Err((told(&failure), remedy))));
        }
    }
    let machines = context.machines();
    let home = context.paths.home.clone();
    // The vault and the probes read files and sockets.
    let rest = tokio::task::spawn_blocking(move || {
        let mut checks = vec![vault(machines.vault()), ssh(&home)];
        let host = machines.host();
        checks.extend(capabilities(&host, &given));
        checks.extend(host_secrets(&host, &machines.options().ca_certificates, &allowed));
        checks
    });
    checks.extend(rest.await.unwrap_or_default());
    Ok(checks)
}

/// A failure and its causes in one line.
fn told(failure: &(dyn std::error::Error + 'static)) -> String {
    let mut text = failure.to_string();
    let mut next = failure.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// Whose store machines share: that of this computer's Nix, or the store instance's, which needs none here.
async fn store(context: &Context) -> Check {
    let machines = context.machines();
    if machines.store_of_new().await == StoreKind::Host {
        return nix().await;
    }
    let found = match machines.store_status().await {
        Ok(status) if !status.problems.is_empty() => {
            Err((format!("Store instance {}", status.instance), Some(status.problems.join(" "))))
        }
        Ok(StoreStatus { version: Some(version), instance, .. }) => {
            Ok(format!("Nix {version} in the store instance {instance}"))
        }
        Ok(StoreStatus { exists: true, instance, .. }) => {
            Ok(format!("Store instance {instance}; it is started when something needs it"))
        }
        Ok(_) => Ok("There is no Nix on this computer: the first machine comes with a store instance".into()),
        Err(failure) => Err((format!("Store instance: {}", told(&failure)), error::hint(&failure))),
    };
    Check::new("store", true, found)
}

async fn nix() -> Check {
    let mut required = true;
    let found = match Nix::find().await {
        Ok(nix) => {
            let Version(major, minor) = nix.version();
            let message = format!("Nix {major}.{minor} ({})", nix.program().display());
            if nix.version() >= OLDEST_NIX {
                Ok(message)
            } else {
                // An older one serves an older nixpkgs.
                required = false;
                let Version(major, minor) = OLDEST_NIX;
                let remedy = format!("Current nixpkgs needs Nix {major}.{minor} or newer: update Nix.");
                Err((message, Some(remedy)))
            }
        }
        Err(failure) => Err((told(&failure), error::hint(&failure))),
    };
    Check::new("nix", required, found)
}

fn driver(info: &ServerInfo) -> String {
    format!("{} {} ({})", info.kind, info.version, info.reached_by.display())
}

fn pools(info: &ServerInfo) -> Check {
    let found = if info.kind == codchi_driver::DriverKind::Wsl {
        Ok("Distributions lie in files of their own on a Windows drive".into())
    } else if info.pools.is_empty() {
        let incus = info.kind == codchi_driver::DriverKind::Incus;
        let program = if incus { "incus admin init --minimal" } else { "lxd init --minimal" };
        Err((format!("{} has no storage pool", info.kind), Some(format!("Make one with `sudo {program}`."))))
    } else {
        Ok(format!("Storage pools: {}", info.pools.join(", ")))
    };
    Check::new("storage", true, found)
}

/// A project folder belongs to its owner inside, too: by idmapped mounts, or by a mapping that the host allows.
fn idmapped_mounts(info: &ServerInfo, root: &Path) -> Check {
    let found = if info.idmapped_mounts {
        Ok("The kernel and the engine can shift the owners of mounted folders".into())
    } else {
        #[cfg(unix)]
        let uid = rustix::process::getuid().as_raw();
        // Nobody has a number there, and WSL needs none.
        #[cfg(not(unix))]
        let uid = 0;
        let allowed =
            |file: &str| std::fs::read_to_string(root.join(file)).is_ok_and(|text| allows(&text, uid));
        if allowed("etc/subuid") && allowed("etc/subgid") {
            Ok(format!("Folders of user {uid} are mapped one to one (/etc/subuid, /etc/subgid)"))
        } else {
            Err((
                "The engine cannot shift the owners of mounted folders".into(),
                Some(format!(
                    "Add the line `root:{uid}:1` to /etc/subuid and /etc/subgid, then restart the engine."
                )),
            ))
        }
    };
    Check::new("project folders", true, found)
}

/// Whether root may map `uid`, by the text of /etc/subuid or /etc/subgid.
fn allows(text: &str, uid: u32) -> bool {
    text.lines().any(|line| {
        let mut fields = line.split(':');
        let (user, first, count) = (fields.next(), fields.next(), fields.next());
        let number = |field: Option<&str>| field.and_then(|field| field.trim().parse::<u64>().ok());
        matches!(user, Some("root" | "0"))
            && number(first)
                .zip(number(count))
                .is_some_and(|(first, count)| (first..first.saturating_add(count)).contains(&u64::from(uid)))
    })
}

fn vault(vault: &codchi_machine::Vault) -> Check {
    let found = match vault.names() {
        Ok(names) => {
            let count: usize = names.values().map(Vec::len).sum();
            Ok(match count {
                0 => "The vault can be used; it is empty".into(),
                1 => "The vault can be read: 1 secret is set".into(),
                _ => format!("The vault can be read: {count} secrets are set"),
            })
        }
        // An operation asks for what opens it.
        Err(failure @ codchi_machine::VaultError::Locked { .. }) => Ok(told(&failure)),
        Err(failure) => Err((told(&failure), failure.hint())),
    };
    Check::new("vault", true, found)
}

fn ssh(home: &Path) -> Check {
    let found = match program::find("ssh") {
        Some(path) => {
            let config = std::fs::read_to_string(home.join(".ssh/config")).unwrap_or_default();
            let included = config.lines().any(|line| {
                let line = line.trim().to_ascii_lowercase();
                line.starts_with("include") && line.contains("codchi")
            });
            Ok(if included {
                format!("{}; `ssh codchi-NAME` is set up", path.display())
            } else {
                format!("{}; `ssh codchi-NAME` is set up with the first machine", path.display())
            })
        }
        None => Err((
            "There is no `ssh` on PATH".into(),
            Some(
                if cfg!(windows) {
                    "Install the OpenSSH client (Settings, System, Optional features)."
                } else {
                    "Install the OpenSSH client (Debian, Ubuntu: `sudo apt install openssh-client`)."
                }
                .into(),
            ),
        )),
    };
    Check::new("ssh", false, found)
}

/// What the host offers, and what of it a machine has that is `given` some.
fn capabilities(host: &Host, given: &[CapabilityStatus]) -> Vec<Check> {
    let check = |(capability, answer): (Capability, Availability)| {
        let machine = given.iter().find(|status| status.name == capability).cloned();
        let found = match &machine {
            // In the machine more can be amiss than on the host.
            Some(machine) if answer.available && (!machine.allowed || machine.works == Some(false)) => {
                Err((machine.message.clone(), machine.remedy.clone()))
            }
            _ if answer.available => Ok(answer.probed),
            _ => Err((answer.probed, answer.remedy)),
        };
        let machine = machine.map(InMachine::Capability);
        let check = Check::new(capability.name(), false, found);
        Check { offer: Some(Offered { evidence: answer.evidence, machine }), ..check }
    };
    host.probe_all().into_iter().map(check).collect()
}

/// What there is of host secrets, and what of it a machine may have that is `allowed` some. The agent is among the capabilities.
fn host_secrets(host: &Host, certificates: &[PathBuf], allowed: &[HostSecretStatus]) -> Vec<Check> {
    let check = |secret: HostSecret| {
        let answer = host.probe_secret(secret, certificates);
        let machine = allowed.iter().find(|status| status.name == secret).cloned().map(InMachine::HostSecret);
        let found = if answer.available { Ok(answer.probed) } else { Err((answer.probed, answer.remedy)) };
        let check = Check::new(secret.name(), false, found);
        Check { offer: Some(Offered { evidence: answer.evidence, machine }), ..check }
    };
    HostSecret::ALL.into_iter().filter(|secret| *secret != HostSecret::SshAgent).map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_counts_where_it_holds_the_user() {
        assert!(allows("lxd:1:2\nroot:1000:1\n", 1000));
        assert!(allows("root:100000:65536\nroot:500:1000", 1000));
        assert!(!allows("root:1001:1\nuser:1000:1\nroot:x:1\nroot\n", 1000));
    }

    #[test]
    fn a_capability_of_a_machine_is_amiss_where_it_is_denied_or_does_not_work_there() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("dev/net")).unwrap();
        std::fs::write(root.path().join("dev/net/tun"), "").unwrap();
        let host =
            Host { root: root.path().into(), environment: std::collections::BTreeMap::new(), wsl: false };
        let given = |allowed, works| CapabilityStatus {
            name: Capability::Tun,
            required: false,
            allowed,
            available: true,
            message: "amiss".into(),
            remedy: Some("cure".into()),
            works,
        };
        let tun = |given: &[CapabilityStatus]| {
            capabilities(&host, given).into_iter().find(|check| check.name == "tun").unwrap()
        };
        assert!(tun(&[]).ok && tun(&[]).offer.unwrap().machine.is_none());
        assert!(tun(&[given(true, Some(true))]).ok && tun(&[given(true, None)]).ok);
        for amiss in [given(false, None), given(true, Some(false))] {
            let check = tun(&[amiss]);
            assert_eq!(
                (check.ok, check.message.as_str(), check.remedy.as_deref()),
                (false, "amiss", Some("cure"))
            );
        }
        let json = serde_json::to_value(tun(&[given(true, Some(true))])).unwrap();
        assert_eq!((&json["name"], &json["machine"]["works"]), (&"tun".into(), &true.into()));
        assert!(json["evidence"][0].as_str().unwrap().starts_with("/dev/net/tun ("));
    }

    #[test]
    fn an_engine_without_a_pool_is_told_how_to_get_one() {
        let info = ServerInfo {
            kind: codchi_driver::DriverKind::Incus,
            version: "6.0".into(),
            reached_by: "/run/incus/unix.socket".into(),
            idmapped_mounts: true,
            pools: Vec::new(),
        };
        let check = pools(&info);
        assert!(!check.ok && check.remedy.unwrap().contains("incus admin init"));
    }
}
