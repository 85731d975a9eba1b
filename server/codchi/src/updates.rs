//! Updates of one machine or of all, for the command line and the editor alike: the shared nixpkgs first, once, then each
//! machine, which takes it from there.

use codchi_machine::{CancellationToken, Front, InputChange, MachineError, MachineName, Machines, Update};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

/// So many machines are updated side by side.
const AT_ONCE: usize = 4;

/// What an update did.
#[derive(Debug, Default, serde::Serialize)]
pub(crate) struct Updated {
    /// To the nixpkgs that machines share, where the update is about that.
    pub(crate) shared: Option<InputChange>,
    /// To each machine.
    pub(crate) machines: Vec<Machine>,
}

/// What an update did to a machine.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Machine {
    /// Which one.
    pub(crate) name: MachineName,
    /// To what it is made of.
    pub(crate) changes: Vec<InputChange>,
    /// Why it is as before, where it was one of several and could not be updated.
    pub(crate) error: Option<String>,
}

/// Updates `name`, or all machines. nixpkgs alone, of no machine in particular, is the shared one: only machines that have
/// it are about that, and only where they are rebuilt at once.
pub(crate) async fn update(
    machines: &Machines,
    name: Option<MachineName>,
    what: &Update,
    rebuild: bool,
    front: &dyn Front,
    cancel: &CancellationToken,
) -> Result<Updated, MachineError> {
    let is_shared = name.is_none() && *what == Update::Nixpkgs;
    let mut updated = Updated::default();
    if is_shared || machines.wants_pin(name.as_ref(), what)? {
        updated.shared = Some(machines.move_pin(cancel).await?);
    }
    let is_one_of_several = name.is_none();
    let names = match name {
        Some(name) => vec![name],
        None if is_shared && !rebuild => Vec::new(),
        None => machines.status().await?.into_iter().map(|machine| machine.name).collect(),
    };
    let mut concerned = Vec::new();
    for name in names {
        if !is_shared || machines.wants_pin(Some(&name), what)? {
            concerned.push(name);
        }
    }
    // What is fetched for one is nothing to the others; builds take all there is, and their questions are asked in turn.
    let at_once = if rebuild { 1 } else { AT_ONCE };
    let update = async |name: MachineName| match machines.update(&name, what, rebuild, front, cancel).await {
        Ok(changes) => Ok(Machine { name, changes, error: None }),
        // The others are updated all the same.
        Err(error) if is_one_of_several && !matches!(error, MachineError::Cancelled) => {
            Ok(Machine { name, changes: Vec::new(), error: Some(crate::error::report(&error)) })
        }
        Err(error) => Err(error),
    };
    updated.machines = stream::iter(concerned).map(update).buffered(at_once).try_collect().await?;
    Ok(updated)
}
