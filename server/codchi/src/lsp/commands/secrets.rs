//! The commands about user secrets.

use super::{Failure, Run, cannot_ask};
use crate::lsp::client::Reply;
use crate::lsp::front::EditorFront;
use codchi_machine::{
    CancellationToken, Event, Existing, Front as _, LogLevel, MachineError, MachineName, Machines, Scope,
    Secret, SecretForm, SecretsChange, not_set,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tower_lsp::jsonrpc::Result;

#[derive(Deserialize)]
pub(super) struct Set {
    name: String,
    /// What it is, where no machine that is built says so.
    #[serde(default)]
    description: String,
    machine: Option<MachineName>,
}

#[derive(Deserialize)]
pub(super) struct Remove {
    name: String,
    machine: Option<MachineName>,
}

impl Run<'_> {
    pub(super) async fn set_secret(self, set: Set, existing: Existing) -> Result<Value> {
        let what = if existing == Existing::Rotate { "Rotating" } else { "Setting" };
        self.operation(format!("{what} {}", set.name), move |machines, front, cancel| async move {
            match given(&machines, set, existing, &front, &cancel).await? {
                Outcome::Closed => Ok(json!({ "set": false })),
                Outcome::Elsewhere => Ok(json!({ "set": true, "delivered": [], "undelivered": [] })),
                Outcome::Set(change) => Ok(told("set", &change)),
            }
        })
        .await
    }

    pub(super) async fn remove_secret(self, Remove { name, machine }: Remove) -> Result<Value> {
        let scope = scope(machine);
        self.operation(format!("Removing {name}"), move |machines, front, cancel| async move {
            let change = machines.remove_secret(&scope, &name, &front, &cancel).await?;
            Ok(change.map_or_else(|| json!({ "removed": false }), |change| told("removed", &change)))
        })
        .await
    }
}

/// What came of a question for a value.
enum Outcome {
    /// The person closed it.
    Closed,
    /// Somebody else was asked meanwhile, and answered.
    Elsewhere,
    Set(SecretsChange),
}

async fn given(
    machines: &Machines,
    Set { name, description, machine }: Set,
    existing: Existing,
    front: &EditorFront,
    cancel: &CancellationToken,
) -> std::result::Result<Outcome, Failure> {
    let whose = match &machine {
        Some(machine) => format!("{name} for the code machine {machine}"),
        None => format!("{name} for all code machines"),
    };
    let option = machine.as_ref().map(|machine| format!(" --machine {machine}")).unwrap_or_default();
    let scope = scope(machine);
    machines.vault().unlock(front).await?;
    if existing == Existing::Rotate && !machines.secret_values(&scope).await?.contains_key(&name) {
        return Err(not_set(&scope, &name).into());
    }
    let wait = || {
        let line = format!("{name} is being asked for elsewhere; this goes on with the answer.");
        front.event(Event::Log { level: LogLevel::Info, line });
    };
    let Some(_turn) = machines.turn_to_ask(&scope, &name, wait, cancel).await? else {
        return Ok(Outcome::Elsewhere);
    };
    let form = machines.secret_form(&scope, &name).await?.unwrap_or_default();
    let SecretForm { description: declared, pattern, multiline } = form;
    let said = [declared, description].into_iter().find(|text| !text.is_empty());
    let prompt = match (said, existing) {
        (Some(text), Existing::Rotate) => format!("The new value: {text}"),
        (Some(text), _) => text,
        (None, _) => format!("The value of {name}"),
    };
    let reply = tokio::select! {
        () = cancel.cancelled() => return Err(MachineError::Cancelled.into()),
        reply = front.person().secret(whose, prompt, pattern, multiline) => reply,
    };
    let value = match reply {
        Reply::Given(value) => value,
        Reply::Closed => return Ok(Outcome::Closed),
        Reply::CannotAsk => {
            let command = if existing == Existing::Rotate { "rotate" } else { "set" };
            let hint = format!("Run `codchi secret {command} {name}{option}` in a terminal.");
            return Err(cannot_ask("ask for a secret", hint).into());
        }
    };
    let value = Secret::new(value).ok_or_else(|| MachineError::User {
        message: format!("The value of {name} holds a NUL byte, which no environment variable can."),
        hint: None,
    })?;
    let values = BTreeMap::from([(name, value)]);
    Ok(Outcome::Set(machines.set_secrets(&scope, values, existing, front, cancel).await?))
}

/// A change as the client is told it.
fn told(done: &str, change: &SecretsChange) -> Value {
    json!({ done: true, "delivered": change.delivered, "undelivered": change.undelivered })
}

fn scope(machine: Option<MachineName>) -> Scope {
    machine.map_or(Scope::All, Scope::Machine)
}
