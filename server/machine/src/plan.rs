//! Plans: what an operation will do, as data.

use std::fmt;

/// What is done to a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Make it.
    Create,
    /// Build its modules anew and switch to the result.
    Rebuild,
    /// Switch to another of its generations.
    Rollback,
    /// Lock newer revisions of its inputs; a rebuild then takes them.
    Update,
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Delete it.
    Delete,
}

impl Operation {
    /// What it will do, in order. A step that finds nothing to do is skipped.
    #[must_use]
    pub fn plan(self) -> Vec<Step> {
        use Step::*;
        match self {
            // Asked first, built later; and the instance last, since it is what takes room and is seen by others.
            Self::Create => vec![
                Lock,
                Evaluate,
                CheckCapabilities,
                AskSecrets,
                Build,
                CreateInstance,
                StartInstance,
                Deliver,
                InitScript,
                SshConfig,
            ],
            // Secrets before the switch: services that it starts may need new ones.
            Self::Rebuild => vec![
                Lock,
                Evaluate,
                CheckCapabilities,
                AskSecrets,
                Build,
                CreateInstance,
                Configure,
                Deliver,
                Switch,
                SshConfig,
            ],
            // A machine that does not run boots the other generation at its next start.
            Self::Rollback => {
                vec![CheckCapabilities, AskSecrets, CreateInstance, Configure, Deliver, Switch, SshConfig]
            }
            Self::Update => vec![Lock],
            Self::Start => vec![Configure, StartInstance, Deliver],
            Self::Stop => vec![StopInstance],
            Self::Delete => vec![StopInstance, DeleteInstance, RemoveState],
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Rebuild => "rebuild",
            Self::Rollback => "rollback",
            Self::Update => "update",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Delete => "delete",
        })
    }
}

/// One step of a plan. The journal names the step that is under way; a step is finished or undone as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Take a snapshot of local modules, write `flake.nix`, lock its inputs.
    Lock,
    /// Evaluate the manifest.
    Evaluate,
    /// Compare required capabilities with what the host offers.
    CheckCapabilities,
    /// Ask for secrets that are required and not set.
    AskSecrets,
    /// Build the system.
    Build,
    /// Compare the system that would be built with the current one.
    Compare,
    /// Create the instance.
    CreateInstance,
    /// Make the instance's devices, configuration and init equal to what the machine asks for.
    Configure,
    /// Start the instance.
    StartInstance,
    /// Hand in secrets and keys, and wait until the system is up.
    Deliver,
    /// Switch the running system to the new generation.
    Switch,
    /// Run `codchi.initScript` as the user.
    InitScript,
    /// Make `ssh codchi-NAME` work.
    SshConfig,
    /// Stop the instance.
    StopInstance,
    /// Delete the instance.
    DeleteInstance,
    /// Remove the machine's folder, its host block, and on request its secrets.
    RemoveState,
}

impl Step {
    /// Whether it finds out only while it is performed that there is nothing to do, and then says so.
    pub(crate) fn may_find_nothing(self) -> bool {
        use Step::*;
        matches!(
            self,
            CheckCapabilities
                | AskSecrets
                | Configure
                | Deliver
                | Switch
                | InitScript
                | SshConfig
                | StopInstance
                | DeleteInstance
        )
    }

    /// What a person reads while it runs, e.g. `Building the system`.
    #[must_use]
    pub fn title(&self) -> &'static str {
        match self {
            Self::Lock => "Reading modules",
            Self::Evaluate => "Evaluating",
            Self::CheckCapabilities => "Checking capabilities",
            Self::AskSecrets => "Asking for secrets",
            Self::Build => "Building the system",
            Self::Compare => "Working out what would change",
            Self::CreateInstance => "Creating the instance",
            Self::Configure => "Configuring the instance",
            Self::StartInstance => "Starting",
            Self::Deliver => "Delivering secrets",
            Self::Switch => "Switching to the new generation",
            Self::InitScript => "Running the init script",
            Self::SshConfig => "Setting up SSH",
            Self::StopInstance => "Stopping",
            Self::DeleteInstance => "Deleting the instance",
            Self::RemoveState => "Removing the machine's files",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_built_before_capabilities_are_checked_and_secrets_asked_for() {
        for operation in [Operation::Create, Operation::Rebuild] {
            let plan = operation.plan();
            let at = |step| plan.iter().position(|s| *s == step).unwrap();
            assert!(at(Step::CheckCapabilities) < at(Step::AskSecrets));
            assert!(at(Step::AskSecrets) < at(Step::Build));
            assert!(at(Step::Build) < at(Step::CreateInstance));
        }
    }
}
