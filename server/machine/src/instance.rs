//! What the instance of a machine is made of, as the driver takes it.

mod owner;
pub(crate) mod settings;

pub(crate) use owner::{Owner, can_be_shifted, user};

use crate::state::{Definition, Generation};
use crate::{MachineError, MachineName, Paths, Permissions, StoreKind, capabilities, host_secrets, store};
use codchi_driver::{Device, Driver, DriverError, Instance, InstanceName, InstanceSpec, ServerInfo, Volume};
use codchi_host::Host;
use std::path::{Path, PathBuf};

/// The label that holds the machine's name.
const NAME_LABEL: &str = "user.codchi.machine";
/// The label that holds [`Definition::id`].
const ID_LABEL: &str = "user.codchi.id";
/// The label that holds the data folder with the machine's state: an engine may run machines of several people.
const DATA_LABEL: &str = "user.codchi.data";
/// The machine's user.
const USER: &str = "codchi";

/// The instance's name for a machine.
///
/// # Errors
/// Never for a valid machine name.
pub(crate) fn instance_name(name: &MachineName) -> Result<InstanceName, MachineError> {
    InstanceName::new(name.host_alias())
        .map_err(|e| MachineError::User { message: e.to_string(), hint: Some("Choose another name.".into()) })
}

/// Whether `instance` is the one that was made for `definition`, and not one of the same name.
pub(crate) fn is_own(instance: &Instance, definition: &Definition) -> bool {
    instance.labels.get(ID_LABEL) == Some(&definition.id)
}

/// The [`Definition::id`] that an instance was made for.
pub(crate) fn id(instance: &Instance) -> Option<String> {
    instance.labels.get(ID_LABEL).cloned()
}

/// The machine that an instance was made for, where its state is, or was, in this data folder.
pub(crate) fn machine_of(instance: &Instance, data: &Path) -> Option<MachineName> {
    let is_here = instance.labels.get(DATA_LABEL).is_some_and(|of| Path::new(of) == data);
    instance.labels.get(NAME_LABEL).filter(|_| is_here)?.parse().ok()
}

/// The machine's own instance; `None` where there is none.
///
/// # Errors
/// [`DriverError::NameTaken`] where the name is used by somebody else's.
pub(crate) async fn own_instance(
    driver: &dyn Driver,
    name: &InstanceName,
    definition: &Definition,
) -> Result<Option<Instance>, DriverError> {
    match driver.instance(name).await? {
        Some(instance) if !is_own(&instance, definition) => {
            Err(DriverError::NameTaken { name: name.to_string() })
        }
        found => Ok(found),
    }
}

/// What an instance is made from.
pub(crate) struct Parts<'a> {
    /// The machine.
    pub(crate) name: &'a MachineName,
    /// What it is made of.
    pub(crate) definition: &'a Definition,
    /// The system that it runs.
    pub(crate) generation: &'a Generation,
    /// The engine.
    pub(crate) server: &'a ServerInfo,
    /// The host.
    pub(crate) host: &'a Host,
    /// What of it the machine may have.
    pub(crate) permissions: &'a Permissions,
    /// Where the machine's state is.
    pub(crate) paths: &'a Paths,
    /// The volume with the store, where that is the store instance's.
    pub(crate) volume: Option<&'a Volume>,
}

/// The whole specification of a machine's instance.
///
/// # Errors
/// Where the project folder is gone.
pub(crate) fn spec(parts: &Parts<'_>) -> Result<InstanceSpec, MachineError> {
    let Parts { name, definition, generation, server, paths, volume, .. } = *parts;
    let mut spec = InstanceSpec { init: generation.path("init"), ..InstanceSpec::default() };
    settings::of_machine(&mut spec, server.kind);
    spec.user = Some(codchi_driver::User { name: USER.into(), uid: generation.uid, gid: generation.gid });
    spec.labels.insert(NAME_LABEL.into(), name.to_string());
    spec.labels.insert(ID_LABEL.into(), definition.id.clone());
    spec.labels.insert(DATA_LABEL.into(), paths.data.display().to_string());
    match volume {
        None => {
            // The store alone: the database, the profiles and the daemon's socket beside it are the host's. Where it can be
            // shifted, its files belong to root inside, too, which `sudo` demands of its plugins; the rest does without.
            let store = PathBuf::from("/nix/store");
            let shift = server.idmapped_mounts && can_be_shifted(&store);
            let store = Device::Disk { source: store, path: "/nix/store".into(), read_only: true, shift };
            spec.devices.insert("nix-store".into(), store);
        }
        Some(volume) => add_shared_store(&mut spec, parts, volume)?,
    }
    if let Some(project) = &definition.project {
        let owner = Owner::of(project)?;
        let shift = server.idmapped_mounts && owner.is_same() && can_be_shifted(project);
        if !shift && server.kind.mounts_linux_files() {
            spec.config.insert("raw.idmap".into(), owner.raw_idmap());
        }
        let path = definition.workspace();
        let disk = Device::Disk { source: project.clone(), path, read_only: false, shift };
        spec.devices.insert("project".into(), disk);
    }
    if server.kind.takes_devices() {
        capabilities::hand_in(&mut spec, parts);
    }
    host_secrets::hand_in(&mut spec, parts)?;
    Ok(spec)
}

/// The store instance's volume, with the daemon's socket in it, and a folder in which the machine says what it uses of it.
fn add_shared_store(spec: &mut InstanceSpec, parts: &Parts<'_>, volume: &Volume) -> Result<(), MachineError> {
    let roots = parts.paths.data.join("machines").join(parts.name.as_str()).join("roots");
    let shift = parts.server.idmapped_mounts && can_be_shifted(&parts.paths.data);
    if !shift && parts.server.kind.mounts_linux_files() {
        // So that root inside may write there; and where nothing can be shifted at all, a volume is shared only by instances
        // that map ids alike.
        spec.config.insert("raw.idmap".into(), Owner::of_data(&parts.paths.data)?.raw_idmap());
    }
    let roots = Device::Disk { source: roots, path: store::ROOTS.into(), read_only: false, shift };
    spec.devices.extend([
        ("nix-store".into(), store::shared_volume(volume, &parts.paths.data)?),
        ("store-roots".into(), roots),
    ]);
    Ok(())
}

/// The engine's refusal to map the project's owner, told so that the person can do something about it.
pub(crate) fn explain_refusal(
    error: DriverError,
    definition: &Definition,
    server: &ServerInfo,
) -> MachineError {
    let DriverError::Engine { message, .. } = &error else { return error.into() };
    let owner = definition.project.as_deref().and_then(|project| Owner::of(project).ok());
    match owner {
        Some(owner) if !(server.idmapped_mounts && owner.is_same()) && owner.is_refused(message) => {
            let (kind, (uid, gid)) = (server.kind, owner.ids());
            MachineError::User {
                message: format!(
                    "{kind} may not give the project folder's owner (user {uid}, group {gid}) to the machine's user: {message}"
                ),
                hint: Some(format!(
                    "Add {} and restart {kind}, or give the project folder to a person's account (`chown`).",
                    owner.subordinate_ids()
                )),
            }
        }
        _ => error.into(),
    }
}

/// Host paths that must be there for an instance to start: the Nix store, and the project folder.
pub(crate) fn missing_sources(definition: &Definition) -> Option<PathBuf> {
    let store = (definition.store == StoreKind::Host).then(|| PathBuf::from("/nix/store"));
    [store, definition.project.clone()].into_iter().flatten().find(|path| !path.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;
    use codchi_driver::DriverKind;
    use std::collections::BTreeMap;

    fn server(idmapped_mounts: bool) -> ServerInfo {
        ServerInfo {
            kind: DriverKind::Lxd,
            version: "5".into(),
            reached_by: "/s".into(),
            idmapped_mounts,
            pools: Vec::new(),
        }
    }

    fn spec_with(manifest: Manifest, idmapped_mounts: bool, environment: &[(&str, &str)]) -> InstanceSpec {
        spec_in(&tempfile::tempdir().unwrap(), manifest, idmapped_mounts, environment)
    }

    /// With the project's folder as the root of the host, too.
    fn spec_in(
        project: &tempfile::TempDir,
        manifest: Manifest,
        idmapped_mounts: bool,
        environment: &[(&str, &str)],
    ) -> InstanceSpec {
        let definition = Definition {
            project: Some(project.path().into()),
            ..Definition::new("7".into(), DriverKind::Lxd)
        };
        let generation = Generation {
            number: 1,
            toplevel: "/nix/store/system".into(),
            uid: 1000,
            gid: 1000,
            manifest,
            ..Generation::default()
        };
        let environment = environment.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let host = Host { root: project.path().into(), environment, wsl: false };
        let (name, server) = ("a".parse().unwrap(), server(idmapped_mounts));
        let parts = Parts {
            name: &name,
            definition: &definition,
            generation: &generation,
            server: &server,
            host: &host,
            permissions: &Permissions::default(),
            paths: &crate::test::paths(Path::new("/data")),
            volume: None,
        };
        spec(&parts).unwrap()
    }

    #[test]
    fn the_store_is_read_only_and_the_instance_starts_into_the_system() {
        let spec = spec_with(Manifest::default(), true, &[]);
        assert_eq!(spec.init, "/nix/store/system/init");
        assert!(matches!(&spec.devices["nix-store"], Device::Disk { read_only: true, .. }));
        assert_eq!(spec.labels[ID_LABEL], "7");
    }

    #[test]
    fn a_machine_in_the_store_instance_has_its_volume_read_only_and_a_folder_to_write_down_what_it_uses() {
        let data = tempfile::tempdir().unwrap();
        let paths = crate::test::paths(data.path());
        std::fs::create_dir_all(&paths.data).unwrap();
        let definition = Definition::new("7".into(), DriverKind::Lxd);
        let generation = Generation { toplevel: "/nix/store/system".into(), ..Generation::default() };
        let host = Host { root: data.path().into(), environment: BTreeMap::new(), wsl: false };
        let volume = Volume { pool: "fast".into(), used: None };
        for idmapped_mounts in [true, false] {
            let (name, server) = ("a".parse().unwrap(), server(idmapped_mounts));
            let parts = Parts {
                name: &name,
                definition: &definition,
                generation: &generation,
                server: &server,
                host: &host,
                permissions: &Permissions::default(),
                paths: &paths,
                volume: Some(&volume),
            };
            let spec = spec(&parts).unwrap();
            let Device::Volume { pool, path, read_only, .. } = &spec.devices["nix-store"] else {
                panic!("{:?}", spec.devices)
            };
            assert_eq!((pool.as_str(), path.as_str(), *read_only), ("fast", "/nix", true));
            let Device::Disk { source, read_only, .. } = &spec.devices["store-roots"] else { panic!() };
            assert_eq!((source, *read_only), (&paths.data.join("machines/a/roots"), false));
            // A folder that cannot be shifted has its owner mapped.
            let Device::Disk { shift, .. } = &spec.devices["store-roots"] else { panic!() };
            assert_eq!(spec.config.contains_key("raw.idmap"), !shift);
            assert!(idmapped_mounts || !shift);
        }
    }

    #[test]
    fn without_idmapped_mounts_the_owner_is_mapped() {
        let spec = spec_with(Manifest::default(), false, &[]);
        assert!(matches!(&spec.devices["project"], Device::Disk { read_only: false, shift: false, .. }));
        assert!(spec.config["raw.idmap"].starts_with("uid "));
    }

    #[test]
    fn capabilities_become_devices_and_optional_ones_only_where_the_host_has_them() {
        let manifest = Manifest {
            required_capabilities: vec!["kvm".into(), "nesting".into()],
            optional_capabilities: vec!["fuse".into(), "audio".into(), "display".into(), "ssh-agent".into()],
            ..Manifest::default()
        };
        let project = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let path = project.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        file("dev/kvm", "");
        file("proc/sys/user/max_user_namespaces", "100");
        file("proc/sys/kernel/seccomp/actions_avail", "user_notif");
        file("s/pulse/x", "");
        let _socket = std::os::unix::net::UnixListener::bind(project.path().join("s/pulse/native")).unwrap();
        let spec = spec_in(&project, manifest, true, &[("XDG_RUNTIME_DIR", "/s")]);
        let devices: Vec<&str> = spec.devices.keys().map(String::as_str).collect();
        assert_eq!(devices, ["kvm", "nix-store", "project", "pulse"]);
        assert_eq!(spec.config["security.nesting"], "true");
        assert_eq!(spec.config["security.syscalls.intercept.mknod"], "true");
        let Device::Raw(pulse) = &spec.devices["pulse"] else { panic!() };
        assert_eq!(pulse["connect"], "unix:/s/pulse/native");
        assert_eq!((pulse["listen"].as_str(), pulse["mode"].as_str()), ("unix:/dev/codchi-pulse", "0600"));
    }
}
