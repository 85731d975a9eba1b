//! Puts the store right: another instance around the volume, and each path compared with what it should be.

use super::Tell;
use super::place::Place;
use crate::{CancellationToken, MachineError, Machines};
use tokio::io::{AsyncBufReadExt as _, BufReader};

impl Machines {
    /// Makes the store instance anew and compares every path in the store with its digest; damaged ones are fetched again
    /// where `replace`. Gives what is wrong with paths after that, as sentences.
    ///
    /// # Errors
    /// Any.
    pub async fn repair_store(
        &self,
        replace: bool,
        tell: Tell<'_>,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, MachineError> {
        let place = Place::find(self).await?;
        let _lock = self.store_lock(cancel).await?;
        let repaired = async {
            tell("Making the store instance anew");
            self.driver().delete(&place.name).await?;
            place.up(tell, cancel).await?;
            tell("Comparing all that is in the store with its digests");
            place.verify(replace).await
        };
        place.unless_cancelled(repaired, cancel).await
    }
}

impl Machines {
    /// Takes the Nix that is configured, or that this codchi brings, in the place of the one that the store instance has. What
    /// is in the store stays.
    ///
    /// # Errors
    /// Any; the store instance then runs the Nix that it had as soon as something needs it.
    pub async fn update_store(&self, tell: Tell<'_>, cancel: &CancellationToken) -> Result<(), MachineError> {
        let place = Place::find(self).await?;
        let _lock = self.store_lock(cancel).await?;
        let updated = async {
            let Some(volume) = self.driver().volume(&place.name).await? else {
                return place.up(tell, cancel).await;
            };
            self.driver().delete(&place.name).await?;
            place.fill(&volume, tell, cancel).await?;
            place.make(&volume).await?;
            place.answers().await
        };
        place.unless_cancelled(updated, cancel).await
    }
}

impl Place<'_> {
    /// What is wrong with paths of the store.
    async fn verify(&self, replace: bool) -> Result<Vec<String>, MachineError> {
        let arguments = ["--verify", "--check-contents"].into_iter().chain(replace.then_some("--repair"));
        let mut process = self.driver().exec(&self.name, &self.administer("nix-store", arguments)).await?;
        // As it comes: a large store has much to say.
        let mut lines = BufReader::new(process.stderr).lines();
        let (mut found, mut last) = (Vec::new(), String::new());
        while let Ok(Some(line)) = lines.next_line().await {
            found.extend(complaint(&line));
            if !line.trim().is_empty() {
                last = line;
            }
        }
        let status = process.exit.as_mut().await?;
        if !status.success() && found.is_empty() {
            return Err(MachineError::User {
                message: format!("The store could not be compared with its digests: {last}"),
                hint: crate::explain::hint(&last).map(Into::into),
            });
        }
        // What was replaced is right now; a look at it would be a second look at all.
        Ok(if status.success() && replace { Vec::new() } else { found })
    }
}

/// What a line of `nix-store --verify` says is wrong.
fn complaint(line: &str) -> Option<String> {
    let is_one = ["was modified!", "disappeared", "is corrupted", "cannot repair path", "has incorrect"]
        .iter()
        .any(|words| line.contains(words));
    is_one.then(|| line.trim().trim_start_matches("error: ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nix_complains_of_is_told_from_what_it_does() {
        assert_eq!(complaint("checking path '/nix/store/x-a'..."), None);
        assert_eq!(complaint("reading the Nix store..."), None);
        let said = "path '/nix/store/x-a' was modified! expected hash 'sha256:1', got 'sha256:2'";
        assert_eq!(complaint(&format!("error: {said}")).as_deref(), Some(said));
        assert!(complaint("path '/nix/store/x-a' disappeared, but it still has valid referrers!").is_some());
    }
}
