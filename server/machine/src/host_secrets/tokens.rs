//! Access tokens of tools: from the vault where the person has set one, else from the tool itself.

use crate::vault::Opened;
use crate::{MachineName, Secret, host_tool};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(5);

/// A token: the variable that tools read, which is its name in the vault as well, and what to run on this computer to get it.
const TOKENS: [(&str, &[&str]); 5] = [
    ("GH_TOKEN", &["gh", "auth", "token"]),
    ("GITHUB_TOKEN", &[]),
    ("GITLAB_TOKEN", &["glab", "config", "get", "token", "--host", "gitlab.com"]),
    ("NPM_TOKEN", &[]),
    ("CARGO_REGISTRY_TOKEN", &[]),
];

/// The names of tokens that the vault has for `machine`.
pub(super) fn set(machine: &MachineName, vault: &Opened) -> Vec<&'static str> {
    let names = TOKENS.into_iter().map(|(name, _)| name);
    names.filter(|name| vault.value(machine, name).is_some()).collect()
}

/// The tokens by variable. `vault` are those that are set there.
pub(super) async fn all(vault: &BTreeMap<&'static str, Secret>) -> BTreeMap<String, Secret> {
    let mut found = BTreeMap::new();
    for (name, command) in TOKENS {
        let secret = match (vault.get(name), command) {
            (Some(secret), _) => Some(secret.clone()),
            (None, [program, arguments @ ..]) => {
                let told = host_tool::ask(program, arguments, b"", LIMIT).await;
                told.and_then(|told| Secret::new(told.trim_ascii()))
                    .filter(|secret| !secret.expose().is_empty())
            }
            (None, []) => None,
        };
        found.extend(secret.map(|secret| (name.to_owned(), secret)));
    }
    found
}
