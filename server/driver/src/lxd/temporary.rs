//! What was made in the engine and may have to go again.

use super::reply::ApiError;
use super::transport::Transport;
use crate::DriverError;
use crate::types::InstanceName;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Something that was made in the engine. It goes again when this is dropped, unless it is kept.
pub(super) struct Temporary {
    transport: Transport,
    what: Option<What>,
    /// Where the deletion runs: a future may be dropped anywhere.
    runtime: Handle,
}

enum What {
    Instance(InstanceName),
    Image(String),
}

impl Temporary {
    /// A stopped instance.
    pub(super) fn instance(transport: &Transport, name: &InstanceName) -> Self {
        Self::new(transport, What::Instance(name.clone()))
    }

    /// The image with this fingerprint.
    pub(super) fn image(transport: &Transport, fingerprint: String) -> Self {
        Self::new(transport, What::Image(fingerprint))
    }

    fn new(transport: &Transport, what: What) -> Self {
        Self { transport: transport.clone(), what: Some(what), runtime: Handle::current() }
    }

    /// Lets it stay.
    pub(super) fn keep(mut self) {
        self.what = None;
    }

    /// Deletes it now: it is gone when this returns.
    pub(super) async fn remove(mut self) {
        if let Some(what) = self.what.take() {
            // In a task, which also goes on when nobody waits for it.
            let _ = self.runtime.spawn(delete(self.transport.clone(), what)).await;
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(what) = self.what.take() {
            self.runtime.spawn(delete(self.transport.clone(), what));
        }
    }
}

async fn delete(transport: Transport, what: What) {
    let result = match &what {
        What::Instance(name) => transport.delete_instance(name).await,
        What::Image(fingerprint) => transport.delete_image(fingerprint).await,
    };
    match (result, what) {
        (Ok(()), _) => {}
        (Err(error), _) if error.is_not_found() => {}
        (Err(error), What::Instance(name)) => {
            tracing::error!(%name, ?error, "an instance that was half made could not be deleted");
        }
        (Err(error), What::Image(fingerprint)) => {
            tracing::error!(fingerprint, ?error, "an image that is needed no more could not be deleted");
        }
    }
}

/// Makes something in the engine. `make` goes on when nobody waits any more, as the engine does with what it has begun;
/// what it made, a [`Temporary`], is then taken back.
///
/// # Errors
/// Those of `make`, and [`DriverError::Connection`] where it could not go on.
pub(super) async fn make<T: Send + 'static>(
    action: &str,
    name: &InstanceName,
    make: impl Future<Output = Result<T, DriverError>> + Send + 'static,
) -> Result<T, DriverError> {
    let (done, result) = oneshot::channel();
    tokio::spawn(async move {
        // What cannot be handed over any more is dropped here, or with the other end.
        let _ = done.send(make.await);
    });
    result.await.unwrap_or_else(|error| Err(ApiError::Connection(error.into()).explain(action, name)))
}
