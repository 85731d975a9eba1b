//! Where the engine's socket is, and which engine to take where there are two.

use super::Lxd;
use super::reply::ApiError;
use super::transport::Transport;
use crate::DriverError;
use crate::types::DriverKind;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// How long an engine may take for its first answer: one that is started by its socket needs some seconds.
const FIRST_ANSWER: Duration = Duration::from_secs(30);

/// A place where a socket may be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    kind: DriverKind,
    socket: PathBuf,
    /// The variable of the environment that names it, if one does.
    variable: Option<&'static str>,
}

/// The places to look at, in order, of the engine `choice` or of both. Where the environment names a socket, that one
/// alone is meant.
fn places(choice: Option<DriverKind>, variable: impl Fn(&str) -> Option<OsString>) -> Vec<Place> {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let wanted = |kind| choice.is_none_or(|choice| choice == kind);
    let mut named = Vec::new();
    let mut usual = Vec::new();
    for (kind, socket, folder, sockets) in [
        (
            DriverKind::Incus,
            "INCUS_SOCKET",
            "INCUS_DIR",
            ["/run/incus/unix.socket", "/var/lib/incus/unix.socket"],
        ),
        (
            DriverKind::Lxd,
            "LXD_SOCKET",
            "LXD_DIR",
            ["/var/snap/lxd/common/lxd/unix.socket", "/var/lib/lxd/unix.socket"],
        ),
    ] {
        if !wanted(kind) {
            continue;
        }
        if let Some(path) = variable(socket) {
            named.push(Place { kind, socket: path, variable: Some(socket) });
        } else if let Some(path) = variable(folder) {
            named.push(Place { kind, socket: path.join("unix.socket"), variable: Some(folder) });
        }
        usual.extend(sockets.map(|path| Place { kind, socket: path.into(), variable: None }));
    }
    if named.is_empty() { usual } else { named }
}

/// Finds the engine, of the kind `choice` or of either.
pub(super) async fn find(choice: Option<DriverKind>) -> Result<Lxd, DriverError> {
    let places = places(choice, |name| std::env::var_os(name));
    let mut found: Vec<Lxd> = Vec::new();
    let mut problem: Option<DriverError> = None;
    for place in &places {
        if found.iter().any(|engine| engine.transport.kind == place.kind) {
            continue;
        }
        match open(Transport { kind: place.kind, socket: place.socket.clone() }).await {
            Ok(engine) => found.push(engine),
            // Nothing is at one of the usual places: so much for that one.
            Err(DriverError::Unreachable { source, .. })
                if source.kind() == ErrorKind::NotFound && place.variable.is_none() => {}
            Err(error) => problem = Some(worse(problem, error)),
        }
    }
    if found.len() > 1 {
        // Whichever has been set up, Incus first: LXD is what is left over on hosts that moved on.
        let pools = found[0].transport.pools().await.unwrap_or_default();
        if pools.is_empty() {
            found.swap(0, 1);
        }
    }
    match (found.into_iter().next(), problem) {
        (Some(engine), _) => Ok(engine),
        (None, Some(problem)) => Err(problem),
        (None, None) => Err(DriverError::NotInstalled { wanted: choice, searched: searched(&places) }),
    }
}

/// Of two problems the one whose solution is nearer: a permission is granted sooner than a daemon repaired.
fn worse(first: Option<DriverError>, second: DriverError) -> DriverError {
    match first {
        Some(first) if !matches!(second, DriverError::NoPermission { .. }) => first,
        Some(first @ DriverError::NoPermission { .. }) => first,
        _ => second,
    }
}

fn searched(places: &[Place]) -> String {
    let paths: Vec<String> = places.iter().map(|place| place.socket.display().to_string()).collect();
    format!("there is no socket at {}", paths.join(", "))
}

/// Asks the engine behind `transport` who it is.
pub(super) async fn open(mut transport: Transport) -> Result<Lxd, DriverError> {
    let answer = tokio::time::timeout(FIRST_ANSWER, transport.server()).await;
    let server = answer
        .unwrap_or_else(|_| Err(ApiError::connecting(&transport, ErrorKind::TimedOut.into())))
        .map_err(|error| error.while_doing("asking the engine who it is"))?;
    transport.kind = server.environment.kind();
    Ok(Lxd { transport })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sockets(choice: Option<DriverKind>, environment: &[(&str, &str)]) -> Vec<String> {
        let variable = |name: &str| {
            environment.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        places(choice, variable).into_iter().map(|place| place.socket.display().to_string()).collect()
    }

    #[test]
    fn without_a_choice_both_engines_are_looked_for() {
        assert_eq!(
            sockets(None, &[]),
            [
                "/run/incus/unix.socket",
                "/var/lib/incus/unix.socket",
                "/var/snap/lxd/common/lxd/unix.socket",
                "/var/lib/lxd/unix.socket"
            ]
        );
        assert_eq!(
            sockets(Some(DriverKind::Incus), &[]),
            ["/run/incus/unix.socket", "/var/lib/incus/unix.socket"]
        );
    }

    #[test]
    fn a_variable_of_the_environment_excludes_all_else() {
        assert_eq!(sockets(None, &[("LXD_DIR", "/tmp/lxd")]), ["/tmp/lxd/unix.socket"]);
        assert_eq!(sockets(None, &[("LXD_DIR", "/tmp/lxd"), ("LXD_SOCKET", "/tmp/s")]), ["/tmp/s"]);
        assert_eq!(sockets(None, &[("INCUS_SOCKET", "/tmp/i")]), ["/tmp/i"]);
    }

    #[test]
    fn an_empty_or_unwanted_variable_counts_for_nothing() {
        assert_eq!(sockets(None, &[("LXD_DIR", "")]).len(), 4);
        let incus = sockets(Some(DriverKind::Incus), &[("LXD_DIR", "/tmp/lxd")]);
        assert_eq!(incus, ["/run/incus/unix.socket", "/var/lib/incus/unix.socket"]);
    }

    #[test]
    fn a_missing_permission_is_told_before_a_dead_socket() {
        let dead = || DriverError::Unreachable {
            kind: DriverKind::Lxd,
            socket: String::new(),
            source: ErrorKind::ConnectionRefused.into(),
        };
        let denied = || DriverError::NoPermission {
            kind: DriverKind::Lxd,
            socket: String::new(),
            group: "lxd".into(),
        };
        for (first, second) in [(dead(), denied()), (denied(), dead())] {
            assert!(matches!(worse(Some(first), second), DriverError::NoPermission { .. }));
        }
        assert!(matches!(worse(None, dead()), DriverError::Unreachable { .. }));
    }
}
