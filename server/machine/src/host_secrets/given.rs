//! What of this computer is delivered to a machine.

use super::{digests, git, listens_at, tokens};
use crate::delivery::{Extra, ExtraFile};
use crate::{MachineError, MachineName, Permissions, Secret, Vault};
use codchi_driver::DriverKind;
use codchi_host::{Host, HostSecret};
use std::collections::BTreeMap;
use std::path::PathBuf;
use zeroize::Zeroizing;

/// Where programs with a list of authorities of their own look for another one, and where that is.
const OWN_LISTS: [(&str, &str); 6] = [
    ("NODE_EXTRA_CA_CERTS", "/run/codchi/host/ca.pem"),
    ("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
    ("NIX_SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
    ("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt"),
    ("PIP_CERT", "/etc/ssl/certs/ca-certificates.crt"),
    ("CARGO_HTTP_CAINFO", "/etc/ssl/certs/ca-certificates.crt"),
];

/// What of this computer is delivered to a machine.
#[derive(Default)]
pub(crate) struct Given {
    /// Variables and files.
    pub(crate) extra: Extra,
    /// What tells the files from others; see [`super::digests`].
    pub(crate) digests: BTreeMap<HostSecret, String>,
    /// Values that no log may show.
    pub(crate) secrets: Vec<Secret>,
    /// What is not as the person may think, as sentences.
    pub(crate) problems: Vec<String>,
}

/// Gathers what the person lets `machine`, of `driver`, have.
///
/// # Errors
/// Where the vault cannot be read.
pub(crate) async fn gather(
    driver: DriverKind,
    machine: &MachineName,
    permissions: &Permissions,
    vault: &Vault,
    certificates: &[PathBuf],
) -> Result<Given, MachineError> {
    let mut given = Given::default();
    let has = |secret| permissions.host_secret(secret) == Some(true);
    if !HostSecret::ALL.into_iter().any(has) {
        return Ok(given);
    }
    let mut files = BTreeMap::new();
    let mut file = |path: String, owner, mode, contents: Zeroizing<Vec<u8>>| {
        files.insert(format!("host/{path}"), ExtraFile { owner, mode, contents });
    };
    let mut variables: Vec<(&str, &str)> = Vec::new();
    let host = Host::this();
    given.digests = digests(&host, certificates);
    given.digests.retain(|secret, _| has(*secret));
    if has(HostSecret::CaCertificates) {
        let found = host.certificates(certificates);
        given.problems.extend(found.problems.iter().cloned());
        if found.blocks.is_empty() {
            given.problems.push("No list of certificate authorities was found on this computer.".into());
        } else {
            file("ca.pem".into(), "root", 0o444, Zeroizing::new(found.pem().into_bytes()));
            variables.extend(OWN_LISTS);
        }
    }
    if has(HostSecret::SshAgent) {
        let socket = listens_at(driver, HostSecret::SshAgent);
        variables.push(("SSH_AUTH_SOCK", socket));
        // Says that the socket is there to stay.
        file("agent".into(), "root", 0o444, Zeroizing::new(format!("{socket}\n").into_bytes()));
    }
    if has(HostSecret::SshKeys) {
        for ssh in host.ssh_files() {
            file(format!("ssh/{}", ssh.name), "codchi", 0o400, ssh.contents);
        }
    }
    if has(HostSecret::GitCredentials) {
        file(
            "gitconfig".into(),
            "root",
            0o444,
            Zeroizing::new(git::config(listens_at(driver, HostSecret::GitCredentials)).await.into_bytes()),
        );
    }
    let mut all = BTreeMap::new();
    if has(HostSecret::Tokens) {
        let (vault, machine) = (vault.clone(), machine.clone());
        // The vault is a file, and its key may come from a keyring that takes its time.
        let set = tokio::task::spawn_blocking(move || {
            let opened = vault.open()?;
            let names = tokens::set(&machine, &opened).into_iter();
            Ok::<_, MachineError>(
                names.filter_map(|name| Some((name, opened.value(&machine, name)?.clone()))).collect(),
            )
        });
        let set = set.await.map_err(|e| MachineError::User { message: e.to_string(), hint: None })??;
        all = tokens::all(&set).await;
        given.secrets.extend(all.values().cloned());
    }
    let plain =
        variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Secret::new(value)?)));
    all.extend(plain);
    given.extra = Extra { variables: all, files };
    Ok(given)
}
