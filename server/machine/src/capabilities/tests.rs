use super::*;
use codchi_driver::DriverKind;
use std::os::unix::net::UnixListener;

fn manifest(required: &[&str], optional: &[&str]) -> Manifest {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Manifest {
        required_capabilities: names(required),
        optional_capabilities: names(optional),
        ..Manifest::default()
    }
}

/// A host that has tun and a sound server.
fn host(root: &std::path::Path) -> (Host, UnixListener) {
    std::fs::create_dir_all(root.join("dev/net")).unwrap();
    std::fs::create_dir_all(root.join("s/pulse")).unwrap();
    std::fs::write(root.join("dev/net/tun"), "").unwrap();
    let socket = UnixListener::bind(root.join("s/pulse/native")).unwrap();
    (
        Host { root: root.into(), environment: [("XDG_RUNTIME_DIR".into(), "/s".into())].into(), wsl: false },
        socket,
    )
}

fn denied(capability: Capability) -> Permissions {
    Permissions { capabilities: [(capability, false)].into(), ..Permissions::default() }
}

#[test]
fn a_machine_gets_what_is_asked_for_allowed_and_there() {
    let root = tempfile::tempdir().unwrap();
    let (host, _socket) = host(root.path());
    let manifest = manifest(&["tun", "gpu"], &["audio", "fuse"]);
    let none = Permissions::default();
    assert_eq!(used(&manifest, &none, &host), [Capability::Audio, Capability::Tun]);
    assert_eq!(used(&manifest, &denied(Capability::Audio), &host), [Capability::Tun]);
    let arguments = |driver, host: &Host| arguments(driver, &manifest, &none, host);
    assert_eq!(arguments(DriverKind::Lxd, &host), ["audio:/dev/codchi-pulse", "tun"]);
    // What WSL hands in itself has no socket of ours.
    assert_eq!(arguments(DriverKind::Wsl, &host.clone().with_wsl(true)), ["gpu", "fuse", "tun"]);
    let extra = extra(&manifest, &none, &host);
    let variables: Vec<_> =
        extra.variables.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(variables, [("PULSE_SERVER", &b"unix:/dev/codchi-pulse"[..])]);
    assert!(extra.files.is_empty());
}

#[test]
fn what_is_denied_is_refused_with_the_cure_and_so_is_what_is_missing() {
    let root = tempfile::tempdir().unwrap();
    let (host, _socket) = host(root.path());
    let name = "a".parse().unwrap();
    let of = |names: &[&str], permissions: &Permissions| lacking(&manifest(names, &[]), permissions, &host);
    assert!(of(&["tun", "audio"], &Permissions::default()).is_empty());
    assert!(
        of(&["ssh-agent"], &Permissions::default()).iter().all(|(_, lack)| matches!(lack, Lack::Missing(_)))
    );
    let error = refusal(&name, of(&["tun", "gpu"], &denied(Capability::Tun)));
    let message = error.to_string();
    assert!(message.contains("denied to `a`: `tun`"), "{message}");
    assert!(message.contains("does not offer: `gpu` (There is no render node in /dev/dri)"), "{message}");
    assert!(error.hint().unwrap().contains("`codchi allow a tun`"), "{error:?}");
}

#[test]
fn the_first_thing_that_fails_is_told_and_silence_is_success() {
    let arguments = ["audio:/dev/a", "audio:/dev/b", "tun", "kvm"].map(String::from);
    let given = found(&arguments, "kvm\naudio:/dev/b it is silent\ntun /dev/net/tun cannot be opened\n");
    assert_eq!(given[&Capability::Audio].as_deref(), Some("it is silent"));
    assert_eq!(given[&Capability::Tun].as_deref(), Some("/dev/net/tun cannot be opened"));
    assert_eq!(given[&Capability::Kvm], None);
    assert_eq!(given.len(), 3);
}

#[test]
fn the_status_says_what_is_denied_what_fails_and_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let (host, _socket) = host(root.path());
    let name = "a".parse().unwrap();
    let manifest = manifest(&["tun"], &["audio", "gpu"]);
    let given = Given::from([(Capability::Audio, Some("nobody answers".into())), (Capability::Tun, None)]);
    let all = status(&name, &manifest, &denied(Capability::Kvm), &host, Some(&given));
    let of = |capability| all.iter().find(|status| status.name == capability).unwrap();
    assert_eq!(of(Capability::Audio).works, Some(false));
    assert!(of(Capability::Audio).message.contains("nobody answers"));
    assert!(of(Capability::Audio).remedy.as_ref().unwrap().contains("codchi start a"));
    assert_eq!((of(Capability::Tun).works, of(Capability::Tun).required), (Some(true), true));
    assert_eq!((of(Capability::Gpu).works, of(Capability::Gpu).available), (None, false));
    assert!(of(Capability::Gpu).remedy.is_some());
    assert!(!of(Capability::Kvm).allowed && of(Capability::Kvm).message.contains("denied"));
}
