//! Who the engine is, and whether it can be used.

use super::reply::ApiError;
use super::transport::Transport;
use crate::DriverError;
use crate::types::{DriverKind, ServerInfo};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `GET /1.0`, as far as we need it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Server {
    /// Its environment; missing where the caller is not trusted.
    pub(super) environment: Environment,
}

/// Where the engine runs.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Environment {
    #[serde(default)]
    server: String,
    server_version: String,
    /// The names of the architectures that instances may have, the native one first.
    pub(super) architectures: Vec<String>,
    #[serde(default)]
    kernel_features: BTreeMap<String, String>,
}

impl Environment {
    /// LXD or Incus, as it says itself.
    pub(super) fn kind(&self) -> DriverKind {
        if self.server == "incus" { DriverKind::Incus } else { DriverKind::Lxd }
    }

    fn has(&self, feature: &str) -> bool {
        self.kernel_features.get(feature).is_some_and(|value| value == "true")
    }
}

#[derive(Deserialize)]
struct Profile {
    devices: BTreeMap<String, BTreeMap<String, String>>,
}

impl Profile {
    /// The pool that its root disk is on.
    fn root_pool(&self) -> Option<&String> {
        self.devices.values().find_map(|device| {
            let is = |key: &str, value: &str| device.get(key).is_some_and(|it| it == value);
            device.get("pool").filter(|_| is("type", "disk") && is("path", "/"))
        })
    }
}

impl Transport {
    /// `GET /1.0`.
    pub(super) async fn server(&self) -> Result<Server, ApiError> {
        self.get("/1.0").await
    }

    /// `GET /1.0/storage-pools`: their names.
    pub(super) async fn pools(&self) -> Result<Vec<String>, ApiError> {
        let urls: Vec<String> = self.get("/1.0/storage-pools").await?;
        Ok(urls.iter().filter_map(|url| url.rsplit('/').next()).map(ToOwned::to_owned).collect())
    }

    /// `GET /1.0/profiles/default`: the pool that new instances lie in.
    ///
    /// # Errors
    /// [`DriverError::NotInitialised`] where there is none.
    pub(super) async fn root_pool(&self) -> Result<String, ApiError> {
        let profile: Profile = self.get("/1.0/profiles/default").await?;
        if let Some(pool) = profile.root_pool() {
            return Ok(pool.clone());
        }
        let pool = self.pools().await?.into_iter().next();
        Err(DriverError::NotInitialised { kind: self.server().await?.environment.kind(), pool }.into())
    }

    /// Who answers, once it is sure that instances can be created: there is a storage pool, and
    /// `GET /1.0/profiles/default` has a root disk on one.
    ///
    /// # Errors
    /// [`DriverError::NotInitialised`] where one of them is missing.
    pub(super) async fn usable(&self) -> Result<ServerInfo, ApiError> {
        let (server, pools, profile) =
            tokio::try_join!(self.server(), self.pools(), self.get::<Profile>("/1.0/profiles/default"))?;
        let kind = server.environment.kind();
        if pools.is_empty() {
            return Err(DriverError::NotInitialised { kind, pool: None }.into());
        }
        if profile.root_pool().is_none() {
            return Err(DriverError::NotInitialised { kind, pool: pools.into_iter().next() }.into());
        }
        Ok(ServerInfo {
            kind,
            idmapped_mounts: server.environment.has("idmapped_mounts") || server.environment.has("shiftfs"),
            version: server.environment.server_version,
            reached_by: self.socket.clone(),
            pools,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    fn environment(json: &str) -> Environment {
        serde_json::from_str::<Server>(json).unwrap().environment
    }

    #[test]
    fn the_engine_says_who_it_is_and_what_its_kernel_can_do() {
        let lxd = environment(
            r#"{"environment":{"server":"lxd","server_version":"5.0.2","architectures":["x86_64","i686"],
                "kernel_features":{"idmapped_mounts":"true","shiftfs":"false"}}}"#,
        );
        assert_eq!(lxd.kind(), DriverKind::Lxd);
        assert!(lxd.has("idmapped_mounts") && !lxd.has("shiftfs"));
        let incus = environment(
            r#"{"environment":{"server":"incus","server_version":"6","architectures":["aarch64"]}}"#,
        );
        assert_eq!(incus.kind(), DriverKind::Incus);
        assert!(!incus.has("idmapped_mounts"));
    }

    /// Answers each request with what `answers` has for its path.
    fn engine(answers: &'static [(&str, &str)]) -> (tempfile::TempDir, Transport) {
        let folder = tempfile::tempdir().unwrap();
        let transport = Transport::new(&folder.path().join("unix.socket"));
        let listener = UnixListener::bind(&transport.socket).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 4096];
                let read = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = request.split(' ').nth(1).unwrap();
                let value = answers.iter().find(|(known, _)| *known == path).unwrap().1;
                let body = format!(r#"{{"type":"sync","status_code":200,"metadata":{value}}}"#);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all((head + &body).as_bytes()).await.unwrap();
            }
        });
        (folder, transport)
    }

    const INCUS: &str =
        r#"{"environment":{"server":"incus","server_version":"6.0.4","architectures":["x86_64"]}}"#;

    #[tokio::test]
    async fn an_engine_without_a_pool_or_without_a_root_disk_is_not_set_up() {
        let missing_pool = |error| match error {
            ApiError::Driver(DriverError::NotInitialised { kind: DriverKind::Incus, pool }) => pool,
            error => panic!("{error:?}"),
        };
        let (_folder, fresh) = engine(&[
            ("/1.0", INCUS),
            ("/1.0/storage-pools", "[]"),
            ("/1.0/profiles/default", r#"{"devices":{}}"#),
        ]);
        assert_eq!(missing_pool(fresh.usable().await.unwrap_err()), None);
        let (_folder, bare) = engine(&[
            ("/1.0", INCUS),
            ("/1.0/storage-pools", r#"["/1.0/storage-pools/fast"]"#),
            ("/1.0/profiles/default", r#"{"devices":{}}"#),
        ]);
        assert_eq!(missing_pool(bare.usable().await.unwrap_err()).as_deref(), Some("fast"));
    }

    #[test]
    fn a_profile_without_a_disk_at_the_root_cannot_hold_an_instance() {
        let profile = |json: &str| serde_json::from_str::<Profile>(json).unwrap().root_pool().is_some();
        assert!(profile(r#"{"devices":{"root":{"type":"disk","path":"/","pool":"default"}}}"#));
        assert!(!profile(
            r#"{"devices":{"eth0":{"type":"nic"},"x":{"type":"disk","path":"/mnt","source":"/"}}}"#
        ));
        assert!(!profile(r#"{"devices":{}}"#));
    }
}
