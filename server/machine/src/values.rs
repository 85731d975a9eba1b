//! The values that a machine gets: of the vault, else of the first provider that has one.

use crate::{CancellationToken, MachineError, MachineName, Machines, Manifest, ProviderAnswer, Secret};
use std::collections::BTreeMap;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The vault.
    Vault,
    /// The provider of this name.
    Provider(String),
}

/// The values of the secrets that a machine's modules declare, where there are any.
#[derive(Debug, Default)]
pub struct Values {
    values: BTreeMap<String, (Secret, Origin)>,
    digests: BTreeMap<String, String>,
}

impl Values {
    /// The value of a secret.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.values.get(name).map(|(value, _)| value)
    }

    /// Where the value of a secret comes from.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.values.get(name).map(|(_, origin)| origin)
    }

    /// The secrets whose value a provider has, with its name.
    pub(crate) fn provided(&self) -> BTreeMap<String, String> {
        let of_provider = |(name, (_, origin)): (&String, &(Secret, Origin))| match origin {
            Origin::Vault => None,
            Origin::Provider(provider) => Some((name.clone(), provider.clone())),
        };
        self.values.iter().filter_map(of_provider).collect()
    }

    /// Digests of the vault's values, as [`Opened::digests`](crate::vault::Opened::digests) has them. Of a provider's there
    /// are none: nothing could be compared with them without asking it.
    pub(crate) fn digests(&self) -> &BTreeMap<String, String> {
        &self.digests
    }

    /// The values alone.
    pub(crate) fn into_secrets(self) -> BTreeMap<String, Secret> {
        self.values.into_iter().map(|(name, (value, _))| (name, value)).collect()
    }
}

/// What providers have said during one operation: nobody is asked twice. `None` where none has a value.
#[derive(Default)]
pub(crate) struct Answers(BTreeMap<String, Option<(Secret, Origin)>>);

impl Machines {
    /// The values that `machine` gets of the secrets that `manifest` declares. Runs what is configured as providers for those
    /// that the vault has no value of.
    ///
    /// # Errors
    /// [`MachineError::Vault`], also where it is locked; [`MachineError::User`] where a provider fails;
    /// [`MachineError::Cancelled`].
    pub async fn values(
        &self,
        machine: &MachineName,
        manifest: &Manifest,
        cancel: &CancellationToken,
    ) -> Result<Values, MachineError> {
        self.values_with(machine, manifest, &mut Answers::default(), cancel).await
    }

    /// The same, with what providers have said already.
    pub(crate) async fn values_with(
        &self,
        machine: &MachineName,
        manifest: &Manifest,
        answers: &mut Answers,
        cancel: &CancellationToken,
    ) -> Result<Values, MachineError> {
        if manifest.secrets.is_empty() {
            return Ok(Values::default());
        }
        let names: Vec<String> = manifest.secrets.keys().cloned().collect();
        let (vault, name) = (self.vault().clone(), machine.clone());
        // The vault is a file, and its key may come from a keyring that takes its time.
        let read = tokio::task::spawn_blocking(move || -> Result<_, MachineError> {
            let opened = vault.open()?;
            let value = |secret: &String| {
                Some((secret.clone(), (opened.value(&name, secret)?.clone(), Origin::Vault)))
            };
            let values: BTreeMap<_, _> = names.iter().filter_map(value).collect();
            let digests = opened.digests(&name, values.keys());
            Ok(Values { values, digests })
        });
        let path = &self.paths().data;
        let read = read.await.map_err(|e| crate::files::io_error("Reading", path, std::io::Error::other(e)));
        let mut values = read??;
        for secret in manifest.secrets.keys() {
            if values.values.contains_key(secret) {
                continue;
            }
            if !answers.0.contains_key(secret) {
                let answer = self.provided(secret, machine, cancel).await?;
                answers.0.insert(secret.clone(), answer);
            }
            if let Some(Some(answer)) = answers.0.get(secret) {
                values.values.insert(secret.clone(), answer.clone());
            }
        }
        Ok(values)
    }

    /// What the first provider says that has a value.
    async fn provided(
        &self,
        secret: &str,
        machine: &MachineName,
        cancel: &CancellationToken,
    ) -> Result<Option<(Secret, Origin)>, MachineError> {
        for provider in self.options().providers.iter() {
            if let Some(value) = provider.value(secret, Some(machine), &self.paths().home, cancel).await? {
                return Ok(Some((value, Origin::Provider(provider.name.clone()))));
            }
        }
        Ok(None)
    }

    /// Asks each provider for one secret, and gives what each said by its name; for no machine in particular where there is
    /// none. The values are looked at no further.
    ///
    /// # Errors
    /// [`MachineError::Cancelled`].
    pub async fn test_providers(
        &self,
        secret: &str,
        machine: Option<&MachineName>,
        cancel: &CancellationToken,
    ) -> Result<Vec<(String, ProviderAnswer)>, MachineError> {
        let mut said = Vec::new();
        for provider in self.options().providers.iter() {
            let answer = match provider.value(secret, machine, &self.paths().home, cancel).await {
                Ok(Some(_)) => ProviderAnswer::Has,
                Ok(None) => ProviderAnswer::None,
                Err(MachineError::Cancelled) => return Err(MachineError::Cancelled),
                Err(error) => ProviderAnswer::Failed { why: error.to_string() },
            };
            said.push((provider.name.clone(), answer));
        }
        Ok(said)
    }
}
