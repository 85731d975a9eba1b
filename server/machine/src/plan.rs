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
    /// Deliver its secrets anew, if it runs.
    Deliver,
    /// Stop it.
    Stop,
    /// Delete it.
    Delete,
    /// Give it another name.
    Rename,
    /// Make it as a copy of another one, with all that is in that.
    Duplicate,
    /// Write it to a file.
    Export,
    /// Make it of such a file.
    Import,
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
                Clone,
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
            Self::Deliver => vec![Deliver],
            Self::Stop => vec![StopInstance],
            Self::Delete => vec![StopInstance, DeleteInstance, RemoveState],
            // An engine renames only what is stopped.
            Self::Rename => {
                vec![StopInstance, RenameInstance, MoveState, SshConfig, Configure, StartInstance, Deliver]
            }
            Self::Duplicate => vec![CopyState, CopyInstance, KeepSecrets, SshConfig],
            // What is written must not change meanwhile.
            Self::Export => vec![StopInstance, WriteExport, Configure, StartInstance, Deliver],
            Self::Import => vec![
                Unpack,
                Lock,
                Evaluate,
                CheckCapabilities,
                AskSecrets,
                Build,
                ImportInstance,
                KeepSecrets,
                SshConfig,
            ],
        }
    }
}

impl Operation {
    /// Whether it makes a machine: undone, nothing of that is left.
    pub(crate) fn makes(self) -> bool {
        matches!(self, Self::Create | Self::Duplicate | Self::Import)
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
            Self::Deliver => "deliver",
            Self::Stop => "stop",
            Self::Delete => "delete",
            Self::Rename => "rename",
            Self::Duplicate => "duplicate",
            Self::Export => "export",
            Self::Import => "import",
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
    /// Clone the repository that the machine is made for into it.
    Clone,
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
    /// Give the instance its new name.
    RenameInstance,
    /// Move the machine's folder, and with it secrets and host block, to its new name.
    MoveState,
    /// Copy what another machine is made of.
    CopyState,
    /// Copy the instance of another machine.
    CopyInstance,
    /// Write the export file.
    WriteExport,
    /// Take what the machine is made of out of an export file.
    Unpack,
    /// Create the instance of an export file.
    ImportInstance,
    /// Put the secrets that came with the machine into the vault.
    KeepSecrets,
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
                | Clone
                | RenameInstance
                | KeepSecrets
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
            Self::Clone => "Cloning the repository",
            Self::InitScript => "Running the init script",
            Self::SshConfig => "Setting up SSH",
            Self::StopInstance => "Stopping",
            Self::DeleteInstance => "Deleting the instance",
            Self::RemoveState => "Removing the machine's files",
            Self::RenameInstance => "Renaming the instance",
            Self::MoveState => "Moving the machine's files",
            Self::CopyState => "Copying what it is made of",
            Self::CopyInstance => "Copying the instance",
            Self::WriteExport => "Writing the file",
            Self::Unpack => "Unpacking what it is made of",
            Self::ImportInstance => "Creating the instance of the file",
            Self::KeepSecrets => "Keeping its secrets",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_built_before_capabilities_are_checked_and_secrets_asked_for() {
        for (operation, instance) in [
            (Operation::Create, Step::CreateInstance),
            (Operation::Rebuild, Step::CreateInstance),
            (Operation::Import, Step::ImportInstance),
        ] {
            let plan = operation.plan();
            let at = |step| plan.iter().position(|s| *s == step).unwrap();
            assert!(at(Step::CheckCapabilities) < at(Step::AskSecrets));
            assert!(at(Step::AskSecrets) < at(Step::Build));
            assert!(at(Step::Build) < at(instance));
        }
    }
}
