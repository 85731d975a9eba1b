//! What the engine answers: the envelope around every value, and errors.

use super::transport::Transport;
use crate::DriverError;
use crate::types::{DriverKind, InstanceName};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// A successful answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The version of the resource, to be sent back with a change.
    pub(super) etag: Option<String>,
    /// The path of the background operation that does what was asked.
    pub(super) operation: Option<String>,
    value: Value,
}

impl Answer {
    /// The answer's value as `T`.
    pub(super) fn metadata<T: DeserializeOwned>(self) -> Result<T, ApiError> {
        serde_json::from_value(self.value).map_err(|error| ApiError::Protocol(error.to_string()))
    }
}

/// Why a request did not succeed, before it is known what it was for.
#[derive(Debug)]
pub(super) enum ApiError {
    /// The engine said no, at once or in the end of an operation.
    Refused {
        /// An HTTP status.
        code: u16,
        /// The engine's own words.
        message: String,
    },
    /// The answer is not one that the API knows.
    Protocol(String),
    /// The connection broke.
    Connection(Box<dyn std::error::Error + Send + Sync>),
    /// An archive that was being sent or received could not be read or written.
    Archive(std::io::Error),
    /// No connection could be made; already says all there is to say.
    Driver(DriverError),
}

impl From<hyper::Error> for ApiError {
    fn from(error: hyper::Error) -> Self {
        // What a request's body could not go on with comes back from where it was sent.
        let source =
            std::error::Error::source(&error).and_then(|source| source.downcast_ref::<std::io::Error>());
        match source {
            Some(source) if error.is_user() => {
                Self::Archive(std::io::Error::new(source.kind(), source.to_string()))
            }
            _ => Self::Connection(error.into()),
        }
    }
}

impl From<tokio_tungstenite::tungstenite::Error> for ApiError {
    fn from(error: tokio_tungstenite::tungstenite::Error) -> Self {
        match error {
            tokio_tungstenite::tungstenite::Error::Http(response) => {
                let body = response.body().as_deref().unwrap_or_default();
                match decode(response.status().as_u16(), None, body) {
                    Err(error) => error,
                    Ok(_) => Self::Protocol("a websocket was refused without a reason".into()),
                }
            }
            error => Self::Connection(error.into()),
        }
    }
}

impl From<DriverError> for ApiError {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

impl ApiError {
    /// The socket could not be opened.
    pub(super) fn connecting(transport: &Transport, error: std::io::Error) -> Self {
        let Transport { kind, socket } = transport;
        let path = socket.display().to_string();
        Self::Driver(if error.kind() == ErrorKind::PermissionDenied {
            DriverError::NoPermission { kind: *kind, socket: path, group: owning_group(*kind, socket) }
        } else {
            DriverError::Unreachable { kind: *kind, socket: path, source: error }
        })
    }

    /// Whether the engine has no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { code: 404, .. })
    }

    /// Whether the resource changed since its version that a change was based on.
    pub(super) fn is_outdated(&self) -> bool {
        matches!(self, Self::Refused { code: 412, .. })
    }

    /// Whether something of this name is there already. A failed operation has no status that tells, and Incus only
    /// its database's words.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code, message } if *code == 409
            || message.contains("already exists")
            || message.contains("UNIQUE constraint failed"))
    }

    /// Whether the engine could not move the folder that it logs of an instance in.
    pub(super) fn is_about_logs(&self) -> bool {
        matches!(self, Self::Refused { message, .. } if message.contains("/logs/") && message.contains("file exists"))
    }

    /// Whether the engine is busy with the same instance and may be asked again later.
    pub(super) fn is_busy(&self) -> bool {
        let busy = ["is busy running", "A matching non-reusable operation"];
        matches!(self, Self::Refused { message, .. } if busy.iter().any(|words| message.contains(words)))
    }

    /// Whether the engine gave up a command whose streams were not all connected in time; it did not begin.
    pub(super) fn is_given_up(&self) -> bool {
        let words = ["Only running operations can be connected", "Timed out waiting for websockets"];
        matches!(self, Self::Refused { message, .. } if words.iter().any(|words| message.contains(words)))
    }

    /// The error for callers: `action` is what was being done to the instance `name`, e.g. `starting`.
    pub(super) fn explain(self, action: &str, name: &InstanceName) -> DriverError {
        let instance = || name.to_string();
        match self {
            Self::Refused { code: 404, message } if message.contains("Instance not found") => {
                DriverError::NotFound { name: instance() }
            }
            Self::Refused { message, .. } if message.contains("is not running") => {
                DriverError::NotRunning { name: instance() }
            }
            error => error.while_doing(&format!("{action} instance {name}")),
        }
    }

    /// The error for callers where no instance is concerned.
    pub(super) fn while_doing(self, action: &str) -> DriverError {
        let action = action.to_owned();
        match self {
            Self::Refused { message, .. } => DriverError::Engine { action, message },
            Self::Protocol(message) => DriverError::Protocol { action, message },
            Self::Connection(source) => DriverError::Connection { action, source },
            Self::Archive(source) => DriverError::Archive { action, source },
            Self::Driver(error) => error,
        }
    }
}

/// The group whose members may use the socket; the one that the engine's packages make where the socket does not tell.
fn owning_group(kind: DriverKind, socket: &Path) -> String {
    let usual = match kind {
        DriverKind::Lxd | DriverKind::Wsl => "lxd",
        DriverKind::Incus => "incus-admin",
    };
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let owner = std::fs::metadata(socket).ok().map(|metadata| metadata.gid()).filter(|gid| *gid != 0);
    owner.and_then(|gid| group_name(&groups, gid)).unwrap_or(usual).to_owned()
}

/// The name of a group in the text of `/etc/group`.
fn group_name(groups: &str, gid: u32) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then_some(name)
    })
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_code: u16,
    #[serde(default)]
    metadata: Value,
}

/// Reads the envelope of an answer with HTTP `status`.
pub(super) fn decode(status: u16, etag: Option<String>, body: &[u8]) -> Result<Answer, ApiError> {
    let envelope: Envelope = serde_json::from_slice(body).map_err(|error| {
        ApiError::Protocol(format!("status {status} with a body that is not the API's: {error}"))
    })?;
    match envelope.kind.as_str() {
        "sync" => Ok(Answer { etag, operation: None, value: envelope.metadata }),
        "async" => Ok(Answer { etag, operation: Some(envelope.operation), value: envelope.metadata }),
        "error" => {
            let code = if envelope.error_code == 0 { status } else { envelope.error_code };
            Err(ApiError::Refused { code, message: envelope.error })
        }
        other => Err(ApiError::Protocol(format!("an answer of type `{other}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> InstanceName {
        InstanceName::new("codchi-x").unwrap()
    }

    #[test]
    fn a_synchronous_answer_carries_its_value_and_version() {
        let answer =
            decode(200, Some("v1".into()), br#"{"type":"sync","status_code":200,"metadata":[1]}"#).unwrap();
        assert_eq!(answer.etag.as_deref(), Some("v1"));
        assert_eq!(answer.operation, None);
        assert_eq!(answer.metadata::<Vec<u8>>().unwrap(), [1]);
    }

    #[test]
    fn an_asynchronous_answer_carries_its_operation() {
        let body = br#"{"type":"async","status_code":100,"operation":"/1.0/operations/a-b","metadata":{}}"#;
        assert_eq!(decode(202, None, body).unwrap().operation.as_deref(), Some("/1.0/operations/a-b"));
    }

    #[test]
    fn a_missing_instance_is_told_from_a_missing_file() {
        let missing = |message: &str| ApiError::Refused { code: 404, message: message.into() };
        let error = missing("Instance not found").explain("starting", &name());
        assert!(matches!(error, DriverError::NotFound { name } if name == "codchi-x"));
        let error = missing("file does not exist").explain("writing /a/b to", &name());
        assert_eq!(error.to_string(), "Writing /a/b to instance codchi-x failed: file does not exist");
    }

    #[test]
    fn a_name_in_use_is_known_by_either_engines_words() {
        let conflicts = [
            r#"Failed creating instance record: Add instance info to the database: This "instances" entry already exists"#,
            "UNIQUE constraint failed: instances.project_id, instances.name",
        ];
        for message in conflicts {
            assert!(ApiError::Refused { code: 400, message: message.into() }.is_conflict());
        }
        assert!(!ApiError::Refused { code: 400, message: "No such pool".into() }.is_conflict());
    }

    #[test]
    fn a_socket_that_may_not_be_opened_tells_the_group_that_may() {
        let transport = Transport::new(Path::new("/no/such/incus/unix.socket"));
        let error =
            ApiError::connecting(&transport, ErrorKind::PermissionDenied.into()).while_doing("asking");
        assert!(
            matches!(&error, DriverError::NoPermission { group, .. } if group == "incus-admin"),
            "{error:?}"
        );
        assert!(error.hint().is_some_and(|hint| hint.contains("usermod -aG incus-admin")), "{error:?}");
    }

    #[test]
    fn an_answer_that_is_not_json_is_a_protocol_error() {
        let error = decode(502, None, b"<html>").unwrap_err().while_doing("listing instances");
        assert!(error.to_string().contains("status 502"), "{error}");
    }

    #[test]
    fn a_group_is_found_by_its_number() {
        let groups = "root:x:0:\nlxd:x:118:me\nbroken\n";
        assert_eq!(group_name(groups, 118), Some("lxd"));
        assert_eq!(group_name(groups, 5), None);
    }

    #[tokio::test]
    async fn a_socket_that_nobody_listens_on_is_unreachable() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("unix.socket");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        let error = Transport::new(&socket).get::<Value>("/1.0").await.unwrap_err().while_doing("asking");
        assert!(matches!(error, DriverError::Unreachable { kind: DriverKind::Lxd, .. }), "{error:?}");
    }
}
