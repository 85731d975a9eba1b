//! Which engine runs machines on this computer.

#[cfg(unix)]
use crate::Lxd;
use crate::types::DriverKind;
use crate::{Driver, DriverError, Wsl, WslOptions};
use std::sync::Arc;

/// The engine of this computer: the one of kind `choice`, or the first that is there. On Windows that is WSL; elsewhere it is LXD or Incus,
/// and WSL where neither is and codchi runs in a distribution. A variable that names an engine (`CODCHI_WSL_EXE`, and those of
/// [`Lxd::connect`]) goes first.
///
/// # Errors
/// [`DriverError::NotInstalled`], [`DriverError::NoPermission`], [`DriverError::Unreachable`] or [`DriverError::Unusable`].
pub async fn connect(choice: Option<DriverKind>, wsl: WslOptions) -> Result<Arc<dyn Driver>, DriverError> {
    let is_named = std::env::var_os("CODCHI_WSL_EXE").is_some_and(|value| !value.is_empty());
    match choice {
        Some(DriverKind::Wsl) => Ok(Arc::new(Wsl::connect(wsl).await?)),
        None if is_named || cfg!(windows) => Ok(Arc::new(Wsl::connect(wsl).await?)),
        choice => of_linux(choice, wsl).await,
    }
}

#[cfg(unix)]
async fn of_linux(choice: Option<DriverKind>, wsl: WslOptions) -> Result<Arc<dyn Driver>, DriverError> {
    match Lxd::connect(choice).await {
        Err(DriverError::NotInstalled { .. }) if choice.is_none() && Wsl::is_there() => {
            Ok(Arc::new(Wsl::connect(wsl).await?))
        }
        found => Ok(Arc::new(found?)),
    }
}

#[cfg(not(unix))]
async fn of_linux(choice: Option<DriverKind>, _: WslOptions) -> Result<Arc<dyn Driver>, DriverError> {
    let searched = "they run on Linux only; on Windows machines run in WSL (`driver = \"wsl\"`)".into();
    Err(DriverError::NotInstalled { wanted: choice, searched })
}
