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
    /// `POST /1.0/instances/NAME/files?path=…`: puts a file, folder or link there, in place of a file or link that is
    /// there. A folder that is there is kept as it is.
    pub(super) async fn put(&self, name: &InstanceName, file: &FileSpec) -> Result<(), ApiError> {
        if matches!(file.kind, FileKind::File(_)) {
            // The engine would follow a link, and keep owner and mode of a file.
            self.remove_if_there(name, &file.path).await?;
        }
        match self.post(name, file).await {
            // Something else is in the way.
            Err(ApiError::Refused { .. }) if !matches!(file.kind, FileKind::File(_)) => {
                self.remove_if_there(name, &file.path).await?;
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
    async fn remove_if_there(&self, name: &InstanceName, path: &str) -> Result<(), ApiError> {
        match self.request(Method::DELETE, &url(name, path), Body::default()).await {
            Err(error) if error.is_not_found() => Ok(()),
            result => result.map(drop),
        }
    }
}
