//! Work that goes on when nobody waits for it any more.

use crate::DriverError;
use crate::types::InstanceName;
use tokio::sync::oneshot;

/// Makes something in the engine. `make` goes on when nobody waits any more, as the engine does with what it has begun;
/// what it made is then dropped, which takes it back.
///
/// # Errors
/// Those of `make`, and [`DriverError::Connection`] where it could not go on.
pub(crate) async fn outlive<T: Send + 'static>(
    action: &str,
    name: &InstanceName,
    make: impl Future<Output = Result<T, DriverError>> + Send + 'static,
) -> Result<T, DriverError> {
    let (done, result) = oneshot::channel();
    tokio::spawn(async move {
        // What cannot be handed over any more is dropped here, or with the other end.
        let _ = done.send(make.await);
    });
    result.await.unwrap_or_else(|error| {
        Err(DriverError::Connection { action: format!("{action} instance {name}"), source: error.into() })
    })
}
