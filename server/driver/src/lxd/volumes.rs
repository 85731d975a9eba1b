//! Storage volumes of our own, which instances share.
//!
//! A volume carries the mark as an instance does, and lies in the pool that the default profile's root disk is on.

use super::mark::{self, Config};
use super::reply::ApiError;
use super::transport::{Body, Transport};
use crate::types::{InstanceName, Volume};
use crate::{DriverError, MARK_KEY};
use hyper::Method;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// A volume as the engine describes it.
#[derive(Debug, Deserialize)]
struct Description {
    config: Config,
}

/// What the engine knows of a volume's state.
#[derive(Debug, Default, Deserialize)]
struct State {
    #[serde(default)]
    usage: Option<Usage>,
}

/// How much of a volume is used.
#[derive(Debug, Deserialize)]
struct Usage {
    used: u64,
}

fn url(pool: &str, name: &InstanceName) -> String {
    format!("/1.0/storage-pools/{pool}/volumes/custom/{name}")
}

impl Transport {
    /// `GET /1.0/storage-pools/POOL/volumes/custom/NAME`: the volume; `None` where there is none.
    ///
    /// # Errors
    /// [`DriverError::NameTaken`] where it is not ours.
    pub(super) async fn find_volume(&self, name: &InstanceName) -> Result<Option<Volume>, ApiError> {
        let pool = self.root_pool().await?;
        let description: Description = match self.get(&url(&pool, name)).await {
            Err(error) if error.is_not_found() => return Ok(None),
            description => description?,
        };
        if !mark::is_ours(&description.config) {
            return Err(DriverError::NameTaken { name: name.to_string() }.into());
        }
        // Not every kind of pool knows.
        let state: State = self.get(&format!("{}/state", url(&pool, name))).await.unwrap_or_default();
        Ok(Some(Volume { pool, used: state.usage.map(|usage| usage.used) }))
    }

    /// `POST /1.0/storage-pools/POOL/volumes/custom`: an empty volume.
    ///
    /// # Errors
    /// [`DriverError::NameTaken`] where there is one of this name.
    pub(super) async fn make_volume(&self, name: &InstanceName) -> Result<Volume, ApiError> {
        let pool = self.root_pool().await?;
        let mut config = BTreeMap::from([(MARK_KEY, "{}")]);
        if self.usable().await?.idmapped_mounts {
            // Instances with different maps of ids can then share it, and each sees the same owners.
            config.insert("security.shifted", "true");
        }
        let body = json!({ "name": name, "type": "custom", "content_type": "filesystem", "config": config });
        let path = format!("/1.0/storage-pools/{pool}/volumes/custom");
        let made = match self.request(Method::POST, &path, Body::json(&body)).await {
            Ok(answer) if answer.operation.is_some() => self.completed(answer).await.map(drop),
            answer => answer.map(drop),
        };
        match made {
            Err(error) if error.is_conflict() => {
                Err(DriverError::NameTaken { name: name.to_string() }.into())
            }
            made => made.map(|()| Volume { pool, used: None }),
        }
    }

    /// `DELETE /1.0/storage-pools/POOL/volumes/custom/NAME`: of one that no instance uses.
    pub(super) async fn remove_volume(&self, volume: &Volume, name: &InstanceName) -> Result<(), ApiError> {
        match self.request(Method::DELETE, &url(&volume.pool, name), Body::default()).await {
            Ok(answer) if answer.operation.is_some() => self.completed(answer).await.map(drop),
            Err(error) if error.is_not_found() => Ok(()),
            answer => answer.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_counts_nothing_has_no_usage() {
        let used = |json: &str| serde_json::from_str::<State>(json).unwrap().usage.map(|usage| usage.used);
        assert_eq!(used(r#"{"usage":{"used":7,"total":9}}"#), Some(7));
        assert_eq!(used(r#"{"usage":null}"#), None);
        assert_eq!(used("{}"), None);
    }
}
