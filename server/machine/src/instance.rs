//! What the instance of a machine is made of, as the driver takes it.

use crate::flake::User;
use crate::state::{Definition, Generation};
use crate::{
    MachineError, MachineName, Paths, Permissions, StoreKind, capabilities, files, host_secrets, store,
};
use codchi_driver::{
    Device, Driver, DriverError, DriverKind, Instance, InstanceName, InstanceSpec, ServerInfo, Volume,
};
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
/// The first id of people on Linux distributions; those below belong to the system, also inside a machine.
const FIRST_PERSON: u32 = 1000;
/// The NixOS group `users`, which may be a person's own group.
const GROUP_USERS: u32 = 100;

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
    fn is_same(self) -> bool {
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
        // WSL shows files of Windows as those of the machine's user, whoever that is.
        Some(project) if definition.driver != DriverKind::Wsl => Ok(Owner::of(project)?.user()),
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
    close_guest_api(&mut spec, server.kind);
    let is_wsl = server.kind == DriverKind::Wsl;
    spec.user = Some(codchi_driver::User { name: USER.into(), uid: generation.uid, gid: generation.gid });
    if is_wsl {
        // Whether systemd is up we see ourselves: units that wait for secrets would have WSL wait for us.
        spec.config.insert("boot.initTimeout".into(), "1000".into());
    }
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
        if !shift && !is_wsl {
            spec.config.insert("raw.idmap".into(), owner.raw_idmap());
        }
        let path = definition.workspace();
        let disk = Device::Disk { source: project.clone(), path, read_only: false, shift };
        spec.devices.insert("project".into(), disk);
    }
    if !is_wsl {
        // WSL has no devices to hand in: what it offers is in every distribution.
        capabilities::hand_in(&mut spec, parts);
    }
    host_secrets::hand_in(&mut spec, parts)?;
    Ok(spec)
}

/// Takes the engine's interface for guests away: anybody inside could read there what the instance is labelled with, such as
/// folders of the person's.
pub(crate) fn close_guest_api(spec: &mut InstanceSpec, kind: DriverKind) {
    let key = match kind {
        DriverKind::Lxd => "security.devlxd",
        DriverKind::Incus => "security.guestapi",
        // There is none.
        DriverKind::Wsl => return,
    };
    spec.config.insert(key.into(), "false".into());
}

/// The store instance's volume, with the daemon's socket in it, and a folder in which the machine says what it uses of it.
fn add_shared_store(spec: &mut InstanceSpec, parts: &Parts<'_>, volume: &Volume) -> Result<(), MachineError> {
    let roots = parts.paths.data.join("machines").join(parts.name.as_str()).join("roots");
    let shift = parts.server.idmapped_mounts && can_be_shifted(&parts.paths.data);
    if !shift && parts.server.kind != DriverKind::Wsl {
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
            let kind = server.kind;
            MachineError::User {
                message: format!(
                    "{kind} may not give the project folder's owner (user {}, group {}) to the machine's user: {message}",
                    owner.uid, owner.gid
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

/// Host paths that must be there for an instance to start: the Nix store, and the project folder.
pub(crate) fn missing_sources(definition: &Definition) -> Option<PathBuf> {
    let store = (definition.store == StoreKind::Host).then(|| PathBuf::from("/nix/store"));
    [store, definition.project.clone()].into_iter().flatten().find(|path| !path.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;
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
