//! The image that instances are created from.

use super::reply::ApiError;
use super::skeleton::{Skeleton, skeleton};
use super::transport::{Body, Transport};
use hyper::Method;
use serde::de::IgnoredAny;
use serde_json::json;

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
        match self.get::<IgnoredAny>(&format!("/1.0/images/{fingerprint}")).await {
            Ok(_) => return Ok(fingerprint),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        match self.import(archive).await {
            // Another process was faster with the same bytes.
            Err(error) if error.is_conflict() => {}
            result => result?,
        }
        // The alias is there for people who look at the engine's list of images; nothing of ours needs it.
        let alias = format!("codchi-skeleton-{}", &fingerprint[..8]);
        if let Err(error) = self.name_image(&alias, &fingerprint).await {
            tracing::debug!(?error, alias, "the image stays without a name");
        }
        Ok(fingerprint)
    }

    /// `POST /1.0/images`.
    async fn import(&self, archive: Vec<u8>) -> Result<(), ApiError> {
        let answer = self.request(Method::POST, "/1.0/images", Body::bytes(archive.into())).await?;
        self.completed(answer).await.map(drop)
    }

    /// `POST /1.0/images/aliases`.
    async fn name_image(&self, alias: &str, fingerprint: &str) -> Result<(), ApiError> {
        let body = json!({ "name": alias, "target": fingerprint, "description": "Empty root file system of code machines" });
        self.request(Method::POST, "/1.0/images/aliases", Body::json(&body)).await.map(drop)
    }
}
