//! Files of an instance, running or stopped.

use super::reply::ApiError;
use super::transport::{Body, Transport};
use crate::types::{FileKind, FileSpec, InstanceName};
use bytes::Bytes;
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

fn url(name: &InstanceName, path: &str) -> String {
    format!("/1.0/instances/{name}/files?path={}", utf8_percent_encode(path, NON_ALPHANUMERIC))
}

impl Transport {
    /// `POST /1.0/instances/NAME/files?path=…`: puts a file, folder or link there, in place of what is there.
    pub(super) async fn put(&self, name: &InstanceName, file: &FileSpec) -> Result<(), ApiError> {
        match self.post(name, file).await {
            // The engine writes over a file and keeps a folder; whatever else is in the way has to go first.
            Err(ApiError::Refused { .. }) if self.remove(name, &file.path).await.is_ok() => {
                self.post(name, file).await
            }
            result => result,
        }
    }

    async fn post(&self, name: &InstanceName, file: &FileSpec) -> Result<(), ApiError> {
        let (kind, bytes) = match &file.kind {
            FileKind::File(bytes) => ("file", bytes.clone()),
            FileKind::Folder => ("directory", Bytes::new()),
            FileKind::Symlink(target) => ("symlink", target.clone().into()),
        };
        let mode = format!("{:04o}", file.mode);
        let mut body = Body::bytes(bytes);
        // LXD and Incus have a name of their own for each header, and pass over the other's.
        for (lxd, incus, value) in [
            ("x-lxd-type", "x-incus-type", kind),
            ("x-lxd-uid", "x-incus-uid", &file.uid.to_string()),
            ("x-lxd-gid", "x-incus-gid", &file.gid.to_string()),
            ("x-lxd-mode", "x-incus-mode", &mode),
        ] {
            body = body.header(lxd, value).header(incus, value);
        }
        self.request(Method::POST, &url(name, &file.path), body).await.map(drop)
    }

    /// `DELETE /1.0/instances/NAME/files?path=…`: a file, link or empty folder.
    async fn remove(&self, name: &InstanceName, path: &str) -> Result<(), ApiError> {
        self.request(Method::DELETE, &url(name, path), Body::default()).await.map(drop)
    }
}
