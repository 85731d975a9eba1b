//! Images: the one that instances are created from, and those that an instance's root file system is in while it leaves
//! the engine or comes in.

use super::archive::{self, Upload};
use super::reply::ApiError;
use super::skeleton::{OS, Skeleton, skeleton};
use super::transport::{Body, Transport};
use crate::types::InstanceName;
use hyper::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;
use tokio::io::AsyncWrite;

/// What the operation that made an image leaves.
#[derive(Deserialize)]
struct Made {
    fingerprint: String,
}

/// The property that says for which instance an image is made which is there for a moment only.
const FOR: &str = "codchi.for";

/// An image as the engine describes it.
#[derive(Debug, Deserialize)]
pub(super) struct Description {
    pub(super) fingerprint: String,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) aliases: Vec<Alias>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Alias {
    pub(super) name: String,
}

impl Description {
    /// Whether a property has this value.
    pub(super) fn says(&self, property: &str, value: &str) -> bool {
        self.properties.get(property).is_some_and(|said| said == value)
    }
}

fn url(fingerprint: &str) -> String {
    format!("/1.0/images/{fingerprint}")
}

fn fingerprint(left: Value) -> Result<String, ApiError> {
    let made: Result<Made, _> = serde_json::from_value(left);
    made.map(|made| made.fingerprint).map_err(|error| ApiError::Protocol(error.to_string()))
}

impl Transport {
    /// Makes sure that the engine has the skeleton image, and gives its fingerprint. Any number of processes may do
    /// so at once.
    pub(super) async fn ensure_skeleton(&self) -> Result<String, ApiError> {
        let server = self.server().await?;
        let Some(architecture) = server.environment.architectures.first() else {
            return Err(ApiError::Protocol("the engine names no architecture".into()));
        };
        let Skeleton { archive, fingerprint } =
            skeleton(architecture).map_err(|error| ApiError::Protocol(format!("no image: {error}")))?;

        // GET /1.0/images/FINGERPRINT
        match self.get::<IgnoredAny>(&url(&fingerprint)).await {
            Ok(_) => return Ok(fingerprint),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        match self.post_image(Body::bytes(archive.into())).await {
            // Another process was faster with the same bytes.
            Err(error) if error.is_conflict() => {}
            result => drop(result?),
        }
        // The alias is there for people who look at the engine's list of images; nothing of ours needs it.
        let alias = format!("codchi-skeleton-{}", &fingerprint[..8]);
        if let Err(error) = self.name_image(&alias, &fingerprint).await {
            tracing::debug!(?error, alias, "the image stays without a name");
        }
        Ok(fingerprint)
    }

    /// `POST /1.0/images`: an image of the root file system of the stopped instance `name`; gives its fingerprint. It is
    /// a new one, whatever other images there are.
    pub(super) async fn publish(&self, name: &InstanceName) -> Result<String, ApiError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let body = json!({
            "source": { "type": "instance", "name": name },
            "compression_algorithm": "none",
            "public": false,
            // They are in the image, hence in its fingerprint.
            "properties": {
                "os": OS,
                "description": format!("codchi, root file system of {name}"),
                "serial": archive::unique(&NEXT),
                FOR: name,
            },
        });
        self.post_image(Body::json(&body)).await
    }

    /// `POST /1.0/images`: an image that is the archive of `upload`, for the instance `name`; gives its fingerprint. It is a
    /// new one, too.
    pub(super) async fn upload(&self, upload: Upload, name: &InstanceName) -> Result<String, ApiError> {
        let length = upload.length();
        let properties = format!("{FOR}={name}");
        // Each engine passes over the other's header.
        let body = Body::stream(upload.pieces(), length)
            .header("x-lxd-properties", &properties)
            .header("x-incus-properties", &properties);
        self.post_image(body).await
    }

    /// `GET /1.0/images?recursion=1`: all images, also those of others.
    pub(super) async fn images(&self) -> Result<Vec<Description>, ApiError> {
        self.get("/1.0/images?recursion=1").await
    }

    /// The fingerprints of those that are there for the instance `name` for a moment only.
    pub(super) async fn images_for(&self, name: &InstanceName) -> Result<Vec<String>, ApiError> {
        let all = self.images().await?.into_iter();
        Ok(all.filter(|image| image.says(FOR, name.as_str())).map(|image| image.fingerprint).collect())
    }

    async fn post_image(&self, body: Body) -> Result<String, ApiError> {
        let answer = self.request(Method::POST, "/1.0/images", body).await?;
        fingerprint(self.completed(answer).await?.metadata)
    }

    /// `GET /1.0/images/FINGERPRINT/export`: writes the image's archive to `archive`.
    pub(super) async fn download_image(
        &self,
        fingerprint: &str,
        archive: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), ApiError> {
        self.download(&format!("{}/export", url(fingerprint)), archive).await
    }

    /// `DELETE /1.0/images/FINGERPRINT`.
    pub(super) async fn delete_image(&self, fingerprint: &str) -> Result<(), ApiError> {
        let answer = self.request(Method::DELETE, &url(fingerprint), Body::default()).await?;
        self.completed(answer).await.map(drop)
    }

    /// `POST /1.0/images/aliases`.
    async fn name_image(&self, alias: &str, fingerprint: &str) -> Result<(), ApiError> {
        let body = json!({ "name": alias, "target": fingerprint, "description": "Empty root file system of code machines" });
        self.request(Method::POST, "/1.0/images/aliases", Body::json(&body)).await.map(drop)
    }
}
