//! What was made in the engine and may have to go again.

use super::transport::Transport;
use crate::types::InstanceName;
use tokio::runtime::Handle;

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
