use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
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
        let host = Host { root: folder.path().to_owned(), environment: BTreeMap::new(), wsl: false };
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

    /// A socket whose program has died.
    fn dead_socket(&self, path: &str) {
        drop(UnixListener::bind(self.path(path)).unwrap());
    }

    fn remedy(&self, capability: Capability) -> String {
        self.host.probe(capability).remedy.unwrap()
    }

    /// What was found on the way, one after the other.
    fn evidence(&self, capability: Capability) -> String {
        self.host.probe(capability).evidence.join(", ")
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
    assert!(lab.remedy(Capability::Gpu).contains("virtual machine"), "there is no card");
    lab.file("/etc/os-release", "ID=fedora\n");
    let card = |place: &str, class: &str, vendor: &str| {
        lab.file(&format!("/sys/bus/pci/devices/{place}/class"), class);
        lab.file(&format!("/sys/bus/pci/devices/{place}/vendor"), vendor);
    };
    card("0000:00:1f.0", "0x060100\n", "0x8086\n");
    card("0000:00:02.0", "0x030000\n", "0x8086\n");
    lab.lacks(Capability::Gpu, "no render node");
    assert_eq!(lab.evidence(Capability::Gpu), "Intel card 0000:00:02.0 without a driver");
    assert!(lab.remedy(Capability::Gpu).contains("`sudo dnf install linux-firmware`"));
    card("0000:01:00.0", "0x030000\n", "0x10de\n");
    symlink("../../../bus/pci/drivers/i915", lab.path("/sys/bus/pci/devices/0000:00:02.0/driver")).unwrap();
    lab.file("/sys/module/i915/version", "1.6.0\n");
    assert!(lab.remedy(Capability::Gpu).contains("akmod-nvidia"), "of the card that has no driver");
    lab.file("/dev/dri/renderD129", "");
    lab.file("/dev/dri/renderD128", "");
    fs::set_permissions(lab.path("/dev/dri/renderD128"), fs::Permissions::from_mode(0o660)).unwrap();
    let owner = rustix::process::getuid().as_raw();
    lab.file("/etc/passwd", &format!("x:x:{}:0::/:/sh\nsome:x:{owner}:0::/:/sh\n", owner + 1));
    lab.has(Capability::Gpu, "/dev/dri/renderD128");
    let evidence = lab.evidence(Capability::Gpu);
    assert!(
        evidence.contains("with driver i915 1.6.0") && evidence.contains("renderD128 (some:"),
        "{evidence}"
    );
    assert!(evidence.contains("0660)") && evidence.contains("renderD129"), "{evidence}");
}

#[test]
fn cuda_needs_the_driver_its_devices_and_what_hands_it_in() {
    let lab = Lab::new();
    lab.lacks(Capability::Cuda, "not loaded");
    for (release, cure) in [
        ("ID=debian", "`sudo apt install nvidia-driver`"),
        ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"", "`sudo ubuntu-drivers install`"),
        ("ID='manjaro'\nID_LIKE=arch", "`sudo pacman -S nvidia`"),
        ("ID=nixos", "`services.xserver.videoDrivers = [ \"nvidia\" ];` to /etc/nixos/configuration.nix"),
        ("ID=void", "Install NVIDIA's driver."),
    ] {
        lab.file("/etc/os-release", release);
        assert!(lab.remedy(Capability::Cuda).contains(cure), "{release}: {}", lab.remedy(Capability::Cuda));
    }
    lab.file(
        "/proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22\nGCC version: 12.2.0\n",
    );
    for device in ["/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia-uvm"] {
        lab.lacks(Capability::Cuda, &format!("no {device}"));
        lab.file(device, "");
    }
    lab.lacks(Capability::Cuda, "no nvidia-container-cli");
    lab.file("/usr/bin/nvidia-container-cli", "");
    lab.has(Capability::Cuda, "550.54.14");
    assert!(lab.evidence(Capability::Cuda).contains("NVIDIA driver 550.54.14, /dev/nvidiactl ("));
}

#[test]
fn sound_is_a_socket_of_pipewire_or_pulseaudio_at_which_somebody_answers() {
    for socket in ["pipewire-0", "pulse/native"] {
        let mut lab = Lab::new();
        lab.lacks(Capability::Audio, "XDG_RUNTIME_DIR is not set");
        lab.set("XDG_RUNTIME_DIR", "/run/user/1");
        lab.file("/run/user/1/pipewire-0.lock", "");
        lab.lacks(Capability::Audio, "/run/user/1");
        let path = format!("/run/user/1/{socket}");
        lab.dead_socket(&path);
        lab.lacks(Capability::Audio, "nobody listens at it any more");
        assert_eq!(lab.host.sound(), Sound::default());
        fs::remove_file(lab.path(&path)).unwrap();
        lab.socket(&path);
        lab.has(Capability::Audio, socket);
        let found = lab.host.sound();
        assert_eq!(found.pipewire.or(found.pulse), Some(PathBuf::from(&path)));
    }
    let mut lab = Lab::new();
    lab.set("PULSE_SERVER", "unix:/run/elsewhere");
    lab.socket("/run/elsewhere");
    lab.has(Capability::Audio, "/run/elsewhere");
    assert!(lab.host.pulse_cookie().is_none());
    lab.set("HOME", "/home/me");
    lab.file("/home/me/.config/pulse/cookie", "crumbs");
    assert_eq!(**lab.host.pulse_cookie().unwrap(), *b"crumbs");
    lab.set("PULSE_SERVER", "tcp:example.org:4713");
    lab.lacks(Capability::Audio, "XDG_RUNTIME_DIR");
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
    lab.dead_socket("/run/other");
    lab.lacks(Capability::Display, "/run/other");
    assert!(lab.evidence(Capability::Display).contains("nobody listens"));
    fs::remove_file(lab.path("/run/other")).unwrap();
    lab.socket("/run/other");
    lab.has(Capability::Display, "/run/other");

    lab.set("WAYLAND_DISPLAY", "");
    lab.socket("/tmp/.X11-unix/X1");
    for display in [":1", ":1.0", "unix:1"] {
        lab.set("DISPLAY", display);
        lab.has(Capability::Display, "/tmp/.X11-unix/X1");
        assert!(lab.evidence(Capability::Display).contains("no cookie for :1"));
    }
    lab.set("XAUTHORITY", "/home/me/authority");
    // Of the computer `c`, for display 1.
    lab.file("/home/me/authority", "\u{1}\0\0\u{1}c\0\u{1}1\0\u{12}MIT-MAGIC-COOKIE-1\0\u{4}pssh");
    let found = lab.host.probe(Capability::Display);
    assert!(found.evidence.contains(&"a cookie for :1".into()) && !format!("{found:?}").contains("pssh"));
    let x11 = lab.host.display().x11.unwrap();
    assert!(lab.host.x11_authority(&x11, 0).unwrap().ends_with(b"pssh"));
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
    for (file, text) in
        [("idVendor", "1d6b\n"), ("idProduct", "0002\n"), ("product", "xHCI Host Controller\n")]
    {
        lab.file(&format!("/sys/bus/usb/devices/usb1/{file}"), text);
    }
    assert_eq!(lab.evidence(Capability::Usb), "xHCI Host Controller (1d6b:0002)");
}

#[test]
fn an_agent_is_a_socket_at_which_somebody_answers() {
    let mut lab = Lab::new();
    lab.set("SSH_AUTH_SOCK", "/run/agent");
    lab.lacks(Capability::SshAgent, "/run/agent");
    lab.file("/run/agent", "");
    lab.lacks(Capability::SshAgent, "no socket");
    fs::remove_file(lab.path("/run/agent")).unwrap();
    lab.dead_socket("/run/agent");
    lab.lacks(Capability::SshAgent, "nobody listens");
    fs::remove_file(lab.path("/run/agent")).unwrap();
    lab.socket("/run/agent");
    lab.has(Capability::SshAgent, "/run/agent");
}

#[test]
fn kvm_needs_the_device_and_the_right_to_use_it() {
    let lab = Lab::new();
    lab.lacks(Capability::Kvm, "no /dev/kvm");
    assert!(lab.remedy(Capability::Kvm).starts_with("Turn on virtualisation"));
    lab.file("/proc/cpuinfo", "processor: 0\nflags\t\t: fpu svm sse\n");
    assert_eq!(lab.evidence(Capability::Kvm), "the processor has AMD-V");
    assert!(lab.remedy(Capability::Kvm).contains("`sudo modprobe kvm_amd`"));
    lab.file("/etc/os-release", "ID=nixos\n");
    assert!(lab.remedy(Capability::Kvm).contains("`boot.kernelModules = [ \"kvm_amd\" ];`"));
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
    assert!(!lab.host.intercepts_calls());
    lab.file("/proc/sys/kernel/seccomp/actions_avail", "kill_process user_notif allow\n");
    assert!(lab.host.intercepts_calls() && lab.evidence(Capability::Nesting).contains("user_notif"));
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
