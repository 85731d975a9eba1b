//! Background operations: most changes are one.

use super::reply::{Answer, ApiError};
use super::transport::Transport;
use serde::Deserialize;
use serde_json::Value;

const SUCCESS: u16 = 200;

/// A finished operation.
#[derive(Debug, Deserialize)]
pub(super) struct Finished {
    status_code: u16,
    #[serde(default)]
    err: String,
    /// What the operation left, e.g. `return` of a command.
    #[serde(default)]
    pub(super) metadata: Value,
}

impl Finished {
    /// The operation itself, or an error where it failed.
    pub(super) fn success(self) -> Result<Self, ApiError> {
        match self.status_code {
            SUCCESS => Ok(self),
            code => Err(ApiError::Refused { code, message: self.err }),
        }
    }
}

impl Transport {
    /// `GET /1.0/operations/ID/wait`: waits until the operation has ended, well or not. LXD answers 200 to it even for
    /// a failed one, Incus with the operation's error. The engine forgets an operation some seconds after its end: so
    /// ask at once.
    pub(super) async fn ended(&self, operation: &str) -> Result<Finished, ApiError> {
        self.get(&format!("{operation}/wait")).await
    }

    /// Waits for what a request has started.
    ///
    /// # Errors
    /// [`ApiError::Refused`] with the operation's error where it failed.
    pub(super) async fn completed(&self, answer: Answer) -> Result<Finished, ApiError> {
        let Some(operation) = answer.operation else {
            return Err(ApiError::Protocol("an operation was expected".into()));
        };
        self.ended(&operation).await?.success()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_operation_is_an_error_with_the_engines_words() {
        let finished: Finished =
            serde_json::from_str(r#"{"status_code":400,"err":"The instance is already running"}"#).unwrap();
        let error = finished.success().unwrap_err();
        assert!(
            matches!(error, ApiError::Refused { code: 400, message } if message.ends_with("already running"))
        );
    }
}
