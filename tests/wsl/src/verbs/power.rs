//! `--terminate` and `--shutdown`.

use super::{Given, distribution, done};
use crate::client::{Call, Outcome, missing};
use crate::distribution::{keeper, vm};
use crate::registry::Registry;
use anyhow::Result;

/// Ends a distribution.
pub(crate) fn terminate(call: &Call<'_>, given: &Given) -> Result<Outcome> {
    let name = given.rest.peek();
    if name.is_empty() {
        return Ok(Ok(missing(call, "--terminate")));
    }
    match distribution(call, name, false)? {
        Ok(of) => {
            keeper::stop(call.computer, &of)?;
            Ok(done(call))
        }
        Err(failure) => Ok(Err(failure)),
    }
}

/// Ends all distributions and the virtual machine. It says nothing, but is written down.
pub(crate) fn shutdown(call: &Call<'_>, given: &Given) -> Result<Outcome> {
    call.computer.log("shutdown.log", std::slice::from_ref(&given.line))?;
    for of in &Registry::read(call.computer)?.distributions {
        keeper::stop(call.computer, of)?;
    }
    vm::stop(call.computer)?;
    Ok(Ok(0))
}
