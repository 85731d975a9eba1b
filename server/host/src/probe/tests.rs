use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;

/// A folder that stands for a host.
struct Lab {
    folder: tempfile::TempDir,
    host: Host,
    sockets: Vec<UnixListener>,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let host = Host { root: folder.path().to_owned(), environment: BTreeMap::new() };
        Self { folder, host, sockets: Vec::new() }
    }

    fn path(&self, path: &str) -> PathBuf {
        let path = self.folder.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn file(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    fn socket(&mut self, path: &str) {
        self.sockets.push(UnixListener::bind(self.path(path)).unwrap());
    }

    fn set(&mut self, name: &str, value: &str) {
        self.host.environment.insert(name.into(), value.into());
    }

    /// It is there, and `evidence` is named.
    #[track_caller]
    fn has(&self, capability: Capability, evidence: &str) {
        let found = self.host.probe(capability);
        assert!(found.available && found.remedy.is_none(), "{found:?}");
        assert!(found.probed.contains(evidence), "{found:?}");
    }

    /// It is not, `reason` is named, and there is something to do.
    #[track_caller]
    fn lacks(&self, capability: Capability, reason: &str) {
        let found = self.host.probe(capability);
        assert!(!found.available && found.remedy.is_some_and(|remedy| remedy.ends_with('.')), "{capability}");
        assert!(found.probed.contains(reason), "{}", found.probed);
    }
}

#[test]
fn an_empty_host_offers_nothing_and_says_what_to_do() {
    let lab = Lab::new();
    for (capability, found) in lab.host.probe_all() {
        assert!(!found.available, "{capability}");
        assert!(found.probed.ends_with('.') && found.remedy.is_some(), "{capability}: {found:?}");
    }
    assert_eq!(lab.host.probe_all().len(), Capability::ALL.len());
}

#[test]
fn a_graphics_card_without_a_render_node_is_no_gpu() {
    let lab = Lab::new();
    lab.file("/dev/dri/card0", "");
    lab.lacks(Capability::Gpu, "no render node");
    lab.file("/dev/dri/renderD129", "");
    lab.file("/dev/dri/renderD128", "");
    lab.has(Capability::Gpu, "/dev/dri/renderD128");
}

#[test]
fn cuda_needs_the_driver_and_its_device() {
    let lab = Lab::new();
    lab.lacks(Capability::Cuda, "not loaded");
    lab.file("/proc/driver/nvidia/version", "NVRM version");
    lab.lacks(Capability::Cuda, "no /dev/nvidiactl");
    lab.file("/dev/nvidiactl", "");
    lab.has(Capability::Cuda, "/dev/nvidiactl");
}

#[test]
fn sound_is_a_socket_of_pipewire_or_pulseaudio() {
    for socket in ["pipewire-0", "pulse/native"] {
        let mut lab = Lab::new();
        lab.lacks(Capability::Audio, "XDG_RUNTIME_DIR is not set");
        lab.set("XDG_RUNTIME_DIR", "/run/user/1");
        lab.file("/run/user/1/pipewire-0.lock", "");
        lab.lacks(Capability::Audio, "/run/user/1");
        lab.socket(&format!("/run/user/1/{socket}"));
        lab.has(Capability::Audio, socket);
    }
}

#[test]
fn a_display_is_a_wayland_or_local_x11_socket() {
    let mut lab = Lab::new();
    lab.lacks(Capability::Display, "Neither");
    lab.set("WAYLAND_DISPLAY", "wayland-0");
    lab.set("XDG_RUNTIME_DIR", "/run/user/1");
    lab.lacks(Capability::Display, "wayland-0");
    lab.socket("/run/user/1/wayland-0");
    lab.has(Capability::Display, "/run/user/1/wayland-0");

    lab.set("WAYLAND_DISPLAY", "/run/other");
    lab.lacks(Capability::Display, "/run/other");
    lab.socket("/run/other");
    lab.has(Capability::Display, "/run/other");

    lab.set("WAYLAND_DISPLAY", "");
    lab.socket("/tmp/.X11-unix/X1");
    for display in [":1", ":1.0", "unix:1"] {
        lab.set("DISPLAY", display);
        lab.has(Capability::Display, "/tmp/.X11-unix/X1");
    }
    lab.set("DISPLAY", ":2");
    lab.lacks(Capability::Display, ":2");
    lab.set("DISPLAY", "localhost:1.0");
    lab.lacks(Capability::Display, "another computer");
}

#[test]
fn usb_is_a_device_not_an_empty_bus() {
    let lab = Lab::new();
    fs::create_dir_all(lab.path("/dev/bus/usb/001")).unwrap();
    lab.lacks(Capability::Usb, "no USB devices");
    lab.file("/dev/bus/usb/001/001", "");
    lab.has(Capability::Usb, "a USB device");
    lab.file("/dev/bus/usb/001/002", "");
    lab.has(Capability::Usb, "2 USB devices");
}

#[test]
fn an_agent_is_a_socket() {
    let mut lab = Lab::new();
    lab.set("SSH_AUTH_SOCK", "/run/agent");
    lab.lacks(Capability::SshAgent, "/run/agent");
    lab.file("/run/agent", "");
    lab.lacks(Capability::SshAgent, "no socket");
    fs::remove_file(lab.path("/run/agent")).unwrap();
    lab.socket("/run/agent");
    lab.has(Capability::SshAgent, "/run/agent");
}

#[test]
fn kvm_needs_the_device_and_the_right_to_use_it() {
    let lab = Lab::new();
    lab.lacks(Capability::Kvm, "no /dev/kvm");
    lab.file("/dev/kvm", "");
    lab.has(Capability::Kvm, "/dev/kvm");
    // Root may do everything.
    if !rustix::process::getuid().is_root() {
        fs::set_permissions(lab.path("/dev/kvm"), fs::Permissions::from_mode(0o400)).unwrap();
        lab.lacks(Capability::Kvm, "may not read and write");
    }
}

#[test]
fn nesting_needs_user_namespaces_for_everybody() {
    let lab = Lab::new();
    lab.lacks(Capability::Nesting, "no user namespaces");
    lab.file("/proc/sys/user/max_user_namespaces", "0\n");
    lab.lacks(Capability::Nesting, "turned off");
    lab.file("/proc/sys/user/max_user_namespaces", "63421\n");
    lab.has(Capability::Nesting, "63421");
    lab.file("/proc/sys/kernel/unprivileged_userns_clone", "0\n");
    lab.lacks(Capability::Nesting, "all but root");
    lab.file("/proc/sys/kernel/unprivileged_userns_clone", "1\n");
    lab.has(Capability::Nesting, "63421");
}

#[test]
fn devices_of_kernel_modules_are_there_or_can_be_loaded() {
    let lab = Lab::new();
    for (capability, path) in [(Capability::Fuse, "/dev/fuse"), (Capability::Tun, "/dev/net/tun")] {
        lab.lacks(capability, path);
        lab.file(path, "");
        lab.has(capability, path);
    }
}

#[test]
fn this_computer_has_an_answer_for_each_capability() {
    assert_eq!(Host::this().probe_all().len(), Capability::ALL.len());
}
