//! Keeps what is known about host and machines up to date, and tells the client.
//!
//! Nothing is polled: the state folder is watched, the driver tells what happens, and our own operations are known. Only
//! a driver that is not there (any more) is looked for, every half a minute.

use super::client::{MachinesChanged, MachinesChangedParams, send};
use super::publish::Changed;
use super::shared::Shared;
use super::watch::Watch;
use codchi_driver::Driver;
use codchi_host::{Host, HostSecret};
use codchi_ide::{Availability, Drift, Machine, MachineModule, MachineState, World};
use codchi_machine::{DriftKind, MachineStatus, Options, Scope, Vault, VaultError};
use futures_util::StreamExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tower_lsp::Client;
use tower_lsp::lsp_types::request::{CodeLensRefresh, InlayHintRefreshRequest};

/// So long changes are gathered before the next look.
const GATHER: Duration = Duration::from_millis(100);

/// How long until a driver that was not there is looked for again.
const RECONNECT: Duration = Duration::from_secs(30);

/// Looks at everything now and whenever something changes, until the session ends.
pub(crate) async fn run(shared: Arc<Shared>, client: Client) {
    tokio::spawn(listen(shared.clone()));
    let mut watch = match Watch::new() {
        Ok(watch) => Some(watch),
        Err(error) => {
            tracing::warn!("changes by other programs will not be seen: {error}");
            None
        }
    };
    let mut told: Option<Vec<MachineStatus>> = None;
    loop {
        // Watched before it is read, so that no change falls between the two.
        if let Some(watch) = &mut watch {
            watch.add(&shared.context.paths);
        }
        let (world, machines) = look(&shared, told.as_deref()).await;
        if told.as_ref() != Some(&machines) {
            client.send_notification::<MachinesChanged>(MachinesChangedParams::new(&machines)).await;
            told = Some(machines);
        }
        let is_new = shared.world.send_if_modified(|now| {
            // The rest is others' to say.
            let world = World {
                rules: now.rules.clone(),
                evaluations: now.evaluations.clone(),
                catalogues: now.catalogues.clone(),
                mentions: now.mentions.clone(),
                ..world
            };
            let is_new = **now != world;
            if is_new {
                *now = Arc::new(world);
            }
            is_new
        });
        if is_new {
            shared.changed(Changed::Everything);
            refresh(&shared, &client);
        }
        let changed = async {
            match &mut watch {
                Some(watch) => watch.changed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = shared.refresh.notified() => {}
            () = changed => {}
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Asks the client to fetch anew what it shows of the world beside diagnostics.
pub(crate) fn refresh(shared: &Shared, client: &Client) {
    if shared.session().refreshes_hints {
        let client = client.clone();
        tokio::spawn(async move { send::<InlayHintRefreshRequest>(&client, ()).await });
    }
    if shared.session().refreshes_lenses {
        let client = client.clone();
        tokio::spawn(async move { send::<CodeLensRefresh>(&client, ()).await });
    }
}

/// Passes on what the driver tells.
async fn listen(shared: Arc<Shared>) {
    loop {
        match shared.context.driver.events().await {
            Ok(mut events) => {
                shared.refresh.notify_one();
                while let Some(Ok(_)) = events.next().await {
                    shared.refresh.notify_one();
                }
                tracing::info!("the driver is gone");
                shared.refresh.notify_one();
            }
            Err(error) => tracing::debug!("no driver tells what happens: {error}"),
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

/// What is known now; of the machines what was known `before` where they cannot be read.
async fn look(shared: &Arc<Shared>, before: Option<&[MachineStatus]>) -> (World, Vec<MachineStatus>) {
    let machines = shared.machines();
    let (vault, options) = (machines.vault().clone(), machines.options().clone());
    let home = machines.paths().home.clone();
    let may_have_more = options.providers.may_have_more();
    let certificates = options.ca_certificates.clone();
    let secrets = tokio::task::spawn_blocking(move || set_names(&vault, &options, &home));
    let asked = machines.clone();
    // What this computer offers depends on which driver it has, which is known once that was asked.
    let status = tokio::spawn(async move { asked.status().await }).await;
    let host = machines.host();
    let offered =
        tokio::task::spawn_blocking(move || (capabilities(&host), host_secrets(&host, &certificates)));
    let (offered, secrets) = tokio::join!(offered, secrets);
    let machines = match status {
        Ok(Ok(machines)) => machines,
        Ok(Err(error)) => {
            tracing::warn!("the machines' state cannot be read: {}", crate::error::report(&error));
            before.unwrap_or_default().to_vec()
        }
        Err(_) => before.unwrap_or_default().to_vec(),
    };
    let secrets = secrets.ok().and_then(|secrets: Result<_, VaultError>| {
        secrets.inspect_err(|error| tracing::warn!("{}", crate::error::report(error))).ok()
    });
    let (host, host_secrets) = offered.ok().unzip();
    let world = world(host, secrets.as_ref(), &machines);
    (World { host_secrets, secrets_elsewhere: may_have_more, ..world }, machines)
}

/// The names of the secrets that have a value in the vault, or, for all machines, in the environment or a file that a provider
/// reads. No program is run.
pub(crate) fn set_names(
    vault: &Vault,
    options: &Options,
    home: &Path,
) -> Result<BTreeMap<Scope, Vec<String>>, VaultError> {
    let mut names = vault.names()?;
    let at_hand = options.providers.at_hand(home).into_keys();
    names.entry(Scope::All).or_default().extend(at_hand);
    Ok(names)
}

/// What the host offers.
pub(crate) fn capabilities(host: &Host) -> BTreeMap<String, Availability> {
    let answers = host.probe_all().into_iter();
    answers.map(|(name, answer)| (name.to_string(), availability(answer))).collect()
}

/// What there is of host secrets, by the options of `codchi.hostSecrets`.
fn host_secrets(host: &Host, certificates: &[PathBuf]) -> BTreeMap<String, Availability> {
    let option = |secret| match secret {
        HostSecret::CaCertificates => "caCertificates",
        HostSecret::SshAgent => "sshAgent",
        HostSecret::SshKeys => "sshKeys",
        HostSecret::GitCredentials => "gitCredentials",
        HostSecret::Tokens => "tokens",
    };
    let answer = |secret| availability(host.probe_secret(secret, certificates));
    HostSecret::ALL.into_iter().map(|secret| (option(secret).into(), answer(secret))).collect()
}

fn availability(answer: codchi_host::Availability) -> Availability {
    let codchi_host::Availability { available, probed, evidence, remedy } = answer;
    Availability { available, probed, evidence, remedy }
}

/// The analysis' view of it all.
pub(crate) fn world(
    capabilities: Option<BTreeMap<String, Availability>>,
    secrets: Option<&BTreeMap<Scope, Vec<String>>>,
    machines: &[MachineStatus],
) -> World {
    let names = |scope: &Scope| -> BTreeSet<String> {
        secrets.and_then(|secrets| secrets.get(scope)).into_iter().flatten().cloned().collect()
    };
    let for_all = names(&Scope::All);
    let machine = |status: &MachineStatus| {
        let declared = status.secrets.iter().filter(|secret| secret.set).map(|secret| secret.name.clone());
        Machine {
            name: status.name.to_string(),
            state: match status.state {
                codchi_machine::MachineState::Running => MachineState::Running,
                codchi_machine::MachineState::Stopped => MachineState::Stopped,
                codchi_machine::MachineState::Busy => MachineState::Busy,
                codchi_machine::MachineState::Interrupted | codchi_machine::MachineState::Missing => {
                    MachineState::Broken
                }
                codchi_machine::MachineState::Unknown | codchi_machine::MachineState::Orphaned => {
                    MachineState::Unknown
                }
            },
            modules: status.modules.iter().filter_map(|module| local_module(module)).collect(),
            secrets: declared
                .chain(for_all.iter().cloned())
                .chain(names(&Scope::Machine(status.name.clone())))
                .collect(),
            generation: status.generation,
            drift: status.drift.iter().filter_map(|drift| mendable(drift.kind)).collect(),
        }
    };
    let projects =
        machines.iter().filter_map(|status| Some((status.name.to_string(), status.project.clone()?)));
    let is_remote =
        |status: &&MachineStatus| status.modules.iter().any(|module| local_module(module).is_none());
    World {
        projects: projects.collect(),
        remote: machines.iter().filter(is_remote).map(|status| status.name.to_string()).collect(),
        capabilities,
        secrets: secrets.map(|_| for_all.clone()),
        machines: machines.iter().map(machine).collect(),
        ..World::default()
    }
}

/// What an editor offers to mend.
fn mendable(kind: DriftKind) -> Option<Drift> {
    match kind {
        DriftKind::ModuleChanged => Some(Drift::ModuleChanged),
        DriftKind::SecretsChanged => Some(Drift::SecretsChanged),
        DriftKind::InstanceChanged => Some(Drift::InstanceChanged),
        DriftKind::CapabilitiesChanged | DriftKind::CapabilityLost | DriftKind::HostChanged => None,
    }
}

/// A module as a person writes it, where it is a file or folder of this computer.
fn local_module(module: &str) -> Option<MachineModule> {
    if !module.starts_with('/') {
        return None;
    }
    let (path, output) = match module.rsplit_once('#') {
        Some((path, output)) => (path, Some(output.to_owned())),
        None => (module, None),
    };
    Some(MachineModule { path: path.into(), output })
}

#[cfg(test)]
mod tests {
    use super::*;
    use codchi_driver::DriverKind;

    fn status() -> MachineStatus {
        MachineStatus {
            name: "a".parse().unwrap(),
            state: codchi_machine::MachineState::Missing,
            operation: None,
            driver: DriverKind::Lxd,
            modules: vec!["/w/a#dev".into(), "git+https://example.org/b".into()],
            personal_modules: Vec::new(),
            nixpkgs: "pin".into(),
            module_folders: Vec::new(),
            project: None,
            workspace: "/workspace".into(),
            ssh_host: "codchi-a".into(),
            generation: 2,
            secrets: Vec::new(),
            host_secrets: Vec::new(),
            capabilities: Vec::new(),
            log: None,
            problems: Vec::new(),
            drift: Vec::new(),
        }
    }

    #[test]
    fn a_machine_has_its_own_secrets_and_those_for_all() {
        let secrets = BTreeMap::from([
            (Scope::All, vec!["ALL".into()]),
            (Scope::Machine("a".parse().unwrap()), vec!["OWN".into()]),
            (Scope::Machine("b".parse().unwrap()), vec!["OTHER".into()]),
        ]);
        let world = world(None, Some(&secrets), &[status()]);
        assert_eq!(world.secrets, Some(BTreeSet::from(["ALL".to_owned()])));
        assert_eq!(world.machines[0].secrets, BTreeSet::from(["ALL".to_owned(), "OWN".to_owned()]));
        assert_eq!(world.machines[0].state, MachineState::Broken);
    }

    #[test]
    fn only_modules_on_this_computer_are_local() {
        let world = world(None, None, &[status()]);
        assert_eq!(world.remote, BTreeSet::from(["a".to_owned()]));
        let module = MachineModule { path: "/w/a".into(), output: Some("dev".into()) };
        assert_eq!(world.machines[0].modules, [module]);
        assert_eq!(world.secrets, None, "a vault that cannot be read says nothing");
    }
}
