//! Where the store instance is, what it is made of, and how programs run in it.

use super::tools::programs;
use crate::files::make_folder;
use crate::instance::{Owner, can_be_shifted, settings};
use crate::{MachineError, MachineName, Machines, Paths};
use codchi_driver::{Device, Exec, InstanceName, InstanceSpec, ServerInfo, Stdio, Volume};
use codchi_nix::inside;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// The label of the data folder that a store instance is for.
const DATA_LABEL: &str = "user.codchi.data";
/// The label that says how far a store instance is.
pub(super) const STATE_LABEL: &str = "user.codchi.store";
/// Its value while the volume is filled; the instance is of no use then.
const FILLING: &str = "filling";
/// Its value afterwards.
const READY: &str = "ready";

/// What of the data folder Nix reads and writes; the vault and keys are none of its business.
const SHARED: [&str; 5] = ["imported", "machines", "moving", "nixpkgs", "store"];

/// Where the programs of the volume's own Nix are.
pub(super) const BIN: &str = "/nix/var/nix/profiles/default/bin";
/// Where the volume is while it is filled.
pub(super) const VOLUME: &str = "/volume";
/// What of `/nix` holds what keeps machines' systems from being collected: the folder with their state is there.
pub(super) const GC_ROOTS: &str = "/nix/var/nix/gcroots/codchi";
/// The home folder of Nix in the store instance.
pub(super) const HOME: &str = "/home/codchi";
/// The first process, as a script that the daemon interprets.
pub(super) const INIT: &str = "/etc/codchi-init";

/// Where a machine keeps what it uses of the store.
pub(crate) const ROOTS: &str = "/var/lib/codchi/roots";

/// The folder on the host that is a machine's [`ROOTS`]; below [`GC_ROOTS`] in the store instance.
pub(crate) fn machine_roots(paths: &Paths, name: &MachineName) -> PathBuf {
    paths.machine(name).join("roots")
}

/// A link below the folder of machines, as Nix in the store instance tells it as a root.
pub(crate) fn root_inside(paths: &Paths, link: &Path) -> PathBuf {
    let below = link.strip_prefix(paths.data.join("machines")).unwrap_or(link);
    let names = below.components().map(|name| name.as_os_str().to_string_lossy());
    PathBuf::from(names.fold(GC_ROOTS.to_owned(), |path, name| format!("{path}/{name}")))
}

/// The device that is `/nix` in a machine.
pub(crate) fn shared_volume(volume: &Volume, data: &Path) -> Result<Device, MachineError> {
    let (pool, name) = (volume.pool.clone(), name(data)?);
    Ok(Device::Volume { pool, name, path: "/nix".into(), read_only: true })
}

/// The name of the store instance, and of its volume.
pub(super) fn name(data: &Path) -> Result<InstanceName, MachineError> {
    let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
    let short = hex::encode(&digest[..4]);
    InstanceName::new(format!("codchi-store-{short}"))
        .map_err(|e| MachineError::User { message: e.to_string(), hint: None })
}

/// The owner of the data folder, and who that is in the store instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Access {
    shift: bool,
    /// The value of `raw.idmap`, where there has to be one.
    idmap: Option<String>,
    /// The user that stands for the owner inside.
    pub(super) uid: u32,
    /// The owner's group inside.
    pub(super) gid: u32,
}

impl Access {
    /// To the data folder, which exists.
    pub(super) fn to(data: &Path, server: &ServerInfo) -> Result<Self, MachineError> {
        if !server.kind.mounts_linux_files() {
            return Ok(Self { shift: false, idmap: None, uid: 1000, gid: 1000 });
        }
        let owner = Owner::of_data(data)?;
        if server.idmapped_mounts && can_be_shifted(data) {
            let (uid, gid) = owner.ids();
            return Ok(Self { shift: true, idmap: None, uid, gid });
        }
        let user = owner.user();
        Ok(Self { shift: false, idmap: Some(owner.raw_idmap()), uid: user.uid, gid: user.gid })
    }
}

impl Access {
    /// Whether the owner is mapped, for want of mounts that can be shifted.
    pub(super) fn is_mapped(&self) -> bool {
        self.idmap.is_some()
    }
}

/// The store instance of a data folder.
pub(super) struct Place<'a> {
    pub(super) machines: &'a Machines,
    /// Its name, which is also that of its volume.
    pub(super) name: InstanceName,
    pub(super) access: Access,
    /// Whether the volume was made by us and is not filled yet.
    pub(super) is_unfilled: AtomicBool,
}

impl<'a> Place<'a> {
    /// Asks the engine what can be done; makes the folders that are shared.
    pub(super) async fn find(machines: &'a Machines) -> Result<Self, MachineError> {
        let paths = machines.paths();
        for shared in SHARED {
            make_folder(&paths.data.join(shared))?;
        }
        let server = machines.driver().server().await?;
        let access = Access::to(&paths.data, &server)?;
        Ok(Self { machines, name: name(&paths.data)?, access, is_unfilled: AtomicBool::new(false) })
    }

    /// The specification, with `/nix` on `volume`.
    pub(super) fn spec(&self, volume: &Volume) -> InstanceSpec {
        let data = &self.machines.paths().data;
        let shared = |source: PathBuf, path: String, read_only| Device::Disk {
            source,
            path,
            read_only,
            shift: self.access.shift,
        };
        let mut spec = self.bare(READY);
        for (name, folder) in SHARED.map(|name| (name, data.join(name))) {
            spec.devices.insert(
                format!("data-{name}"),
                shared(folder.clone(), inside(&folder).display().to_string(), false),
            );
        }
        spec.devices.extend([
            ("nix".into(), self.volume(volume, "/nix".into())),
            // Profile links and what machines keep count where they are: nobody has to know of each.
            ("roots".into(), shared(data.join("machines"), GC_ROOTS.into(), true)),
        ]);
        spec
    }

    /// The specification while the volume is filled from the unpacked `store`, or from what is in the instance itself.
    pub(super) fn filling(&self, volume: &Volume, store: Option<&Path>) -> InstanceSpec {
        let mut spec = self.bare(FILLING);
        // Writable, since Nix would try to make it so; it belongs to nobody inside.
        let boot = |store: &Path| Device::Disk {
            source: store.to_owned(),
            path: "/nix/store".into(),
            read_only: false,
            shift: false,
        };
        spec.devices.extend(store.map(|store| ("boot".into(), boot(store))));
        spec.devices.insert("volume".into(), self.volume(volume, format!("{VOLUME}/nix")));
        spec
    }

    fn volume(&self, volume: &Volume, path: String) -> Device {
        Device::Volume { pool: volume.pool.clone(), name: self.name.clone(), path, read_only: false }
    }

    fn bare(&self, state: &str) -> InstanceSpec {
        let mut spec = InstanceSpec { init: INIT.into(), ..InstanceSpec::default() };
        let data = self.machines.paths().data.display().to_string();
        spec.labels.extend([(DATA_LABEL.into(), data), (STATE_LABEL.into(), state.into())]);
        settings::of_store(&mut spec, self.machines.driver().kind());
        spec.config.extend(self.access.idmap.clone().map(|map| ("raw.idmap".into(), map)));
        spec
    }

    /// `program` of the volume's Nix, as the owner of the data folder, through the daemon.
    pub(super) fn command<S: Into<String>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Exec {
        let command = std::iter::once(format!("{BIN}/{program}"));
        Exec {
            command: command.chain(arguments.into_iter().map(Into::into)).collect(),
            uid: self.access.uid,
            gid: self.access.gid,
            cwd: Some(HOME.into()),
            environment: environment(self.machines.paths()),
            stdio: Stdio::Piped,
        }
    }

    /// The same as the administrator of the store.
    pub(super) fn administer<S: Into<String>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Exec {
        let mut exec = Exec { uid: 0, gid: 0, cwd: None, ..self.command(program, arguments) };
        exec.environment.extend([("HOME".into(), "/root".into()), ("NIX_REMOTE".into(), "local".into())]);
        exec
    }
}

/// Whether a store instance has its volume filled.
pub(super) fn is_ready(labels: &BTreeMap<String, String>) -> bool {
    labels.get(STATE_LABEL).is_some_and(|state| state == READY)
}

/// The environment of Nix in the store instance. Nothing of ours: it might hold a secret, and the engine sees it.
fn environment(paths: &Paths) -> BTreeMap<String, String> {
    let path = format!("{BIN}:{}", inside(&programs(paths)).display());
    let variables = [
        ("HOME", HOME),
        ("PATH", &path),
        ("NIX_REMOTE", "daemon"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LANG", "C.UTF-8"),
    ];
    variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use codchi_driver::DriverKind;

    #[test]
    fn each_data_folder_has_a_store_of_its_own() {
        let of = |data: &str| name(Path::new(data)).unwrap().to_string();
        assert!(of("/home/a/.local/share/codchi").starts_with("codchi-store-"));
        assert_ne!(of("/home/a/.local/share/codchi"), of("/home/b/.local/share/codchi"));
        assert_eq!(of("/home/a"), of("/home/a"));
    }

    #[test]
    fn the_owner_of_the_data_folder_is_somebody_inside() {
        let folder = tempfile::tempdir().unwrap();
        let server = |idmapped_mounts| ServerInfo {
            kind: DriverKind::Lxd,
            version: "5".into(),
            reached_by: "/s".into(),
            idmapped_mounts,
            pools: Vec::new(),
        };
        let mapped = Access::to(folder.path(), &server(false)).unwrap();
        assert!(!mapped.shift && mapped.uid >= 1000);
        assert!(mapped.idmap.is_some_and(|map| map.contains(&format!(" {}", mapped.uid))));
    }
}
