//! The archive that `codchi-receive` unpacks below `/run/codchi`; its layout is in `nix/README.md`.

use crate::ssh::SshKeys;
use crate::{MachineError, Manifest, Secret};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// The archive for a machine whose modules declare `manifest`, with those `values` that are set.
///
/// # Errors
/// [`MachineError`] where a declared owner, mode or name cannot be put into an archive.
pub(crate) fn archive(
    manifest: &Manifest,
    values: &BTreeMap<String, Secret>,
    keys: &SshKeys,
) -> Result<Zeroizing<Vec<u8>>, MachineError> {
    let _ = (manifest, values, keys);
    unimplemented!()
}
