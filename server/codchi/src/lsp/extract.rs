//! `codchi.secret.extract`: moves a text of a module into the vault, and changes the module to use the secret.
//!
//! Invariants: the value is never lost (it is in the vault before the text is changed), nothing is changed where the person
//! declines or the text was changed meanwhile, and the value is in no message, argument or log: it is read from the text
//! that the client opened.

use super::actions::document_edit;
use super::client::{Person, Reply, send};
use super::position::{self, text_range};
use super::server::Server;
use super::shared::Shared;
use super::workspace::{Snapshot, path};
use codchi_ide::{Analysis, Extraction, Files as _};
use codchi_machine::{MachineError, Scope, Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tower_lsp::Client;
use tower_lsp::lsp_types as lsp;
use tower_lsp::lsp_types::request::ApplyWorkspaceEdit;

/// A secret's name.
const NAME: &str = "[A-Za-z_][A-Za-z0-9_]*";
/// Names that stand for something else below `codchi.secrets`.
const RESERVED: [&str; 2] = ["env", "file"];

/// The text that is to become a secret.
#[derive(Deserialize)]
pub(super) struct Text {
    uri: lsp::Url,
    version: Option<i32>,
    range: lsp::Range,
}

/// What the text becomes.
struct Plan {
    path: PathBuf,
    version: i32,
    extraction: Extraction,
    files: Snapshot,
}

/// Runs the command.
pub(super) async fn extract(server: &Server, text: Text) -> Result<Value, MachineError> {
    let shared = server.shared().clone();
    let uri = text.uri.clone();
    let plan = tokio::task::spawn_blocking({
        let shared = shared.clone();
        move || plan(&shared, &text)
    });
    let plan = plan.await.map_err(|_| refusal("The text could not be read.", None))??;
    let person = Person::new(server.client(), shared.session());
    let Some(name) = ask_name(&person, &plan.extraction).await? else { return Ok(json!({ "moved": false })) };

    let detail = format!(
        "The value goes into the vault, encrypted, for all code machines, and the module declares the secret. {} Whoever has \
         seen the file so far knows the value: change it where that matters.",
        plan.extraction.explanation(&name)
    );
    match person.confirm(format!("Move this text into the secret {name}?"), detail, "Move".into(), None).await
    {
        Reply::Given(true) => {}
        Reply::Given(false) | Reply::Closed => return Ok(json!({ "moved": false })),
        Reply::CannotAsk => {
            let hint =
                format!("Run `codchi secret set {name}` in a terminal, and declare the secret yourself.");
            return Err(refusal("This editor cannot ask whether the text is to be moved.", Some(hint)));
        }
    }
    shared.machines().vault().unlock(&person).await?;
    // In a task of its own: a request that is cancelled now does not leave half of it done.
    let moved = tokio::spawn(carry_out(server.client().clone(), shared, uri, plan, name));
    moved.await.map_err(|_| refusal("Moving the text into a secret went wrong.", None))?
}

fn plan(shared: &Shared, text: &Text) -> Result<Plan, MachineError> {
    let files = shared.workspace.snapshot();
    let path = path(&text.uri).ok_or_else(changed)?;
    let file =
        files.open_file(&path).filter(|file| Some(file.version) == text.version).ok_or_else(changed)?;
    let (version, document) = (file.version, file.document().clone());
    let range = text_range(document.text(), document.lines(), text.range, shared.session().encoding);
    let extraction = Analysis::new(&files, &shared.world()).extraction(&path, range);
    let extraction = extraction.ok_or_else(|| {
        refusal(
            "There is no text here that can be moved into a secret.",
            Some("Put the cursor into a string of the module; in a script, select the value.".into()),
        )
    })?;
    Ok(Plan { path, version, extraction, files })
}

/// The secret's name; `None` where the person declines. A client that cannot be asked gets the suggestion.
async fn ask_name(person: &Person, extraction: &Extraction) -> Result<Option<String>, MachineError> {
    let reply = person
        .text(
            "Move this text into a secret".into(),
            "The secret's name".into(),
            extraction.suggested.clone(),
            NAME,
            "Use letters, digits and `_`, and no digit first.".into(),
        )
        .await;
    let name = match reply {
        Reply::Given(name) => name,
        Reply::Closed => return Ok(None),
        Reply::CannotAsk => extraction.suggested.clone(),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name || RESERVED.contains(&name.as_str()) {
        let why = "The secret's name must be made of letters, digits and `_`, not begin with a digit, and be neither `env` nor `file`.";
        return Err(refusal(why, None));
    }
    if extraction.taken.contains(&name) {
        return Err(is_taken(&name));
    }
    Ok(Some(name))
}

async fn carry_out(
    client: Client,
    shared: Arc<Shared>,
    uri: lsp::Url,
    plan: Plan,
    name: String,
) -> Result<Value, MachineError> {
    if !is_as_it_was(&shared.workspace.snapshot(), &plan) {
        return Err(changed());
    }
    let (stored, plan) = store(&shared, plan, &name).await?;
    stored?;
    let edit = workspace_edit(&plan, uri, &name, shared.session().encoding);
    let applied = match edit {
        Some(edit) => {
            let label = Some(format!("Move a text into the secret {name}"));
            send::<ApplyWorkspaceEdit>(&client, lsp::ApplyWorkspaceEditParams { label, edit }).await
        }
        None => Ok(not_applied()),
    };
    let done = match applied {
        Ok(answer) if answer.applied => Ok(json!({ "moved": true, "name": name })),
        // The value is in the text still.
        Ok(_) => {
            forget(&shared, &name).await?;
            Err(changed())
        }
        Err(_) => Err(refusal(
            "The editor did not say whether it changed the text.",
            Some(format!(
                "The value is in the vault as {name}: use it, or remove it with `codchi secret rm {name}`."
            )),
        )),
    };
    shared.refresh.notify_one();
    done
}

/// Puts the value into the vault, under a name that has none.
async fn store(
    shared: &Arc<Shared>,
    plan: Plan,
    name: &str,
) -> Result<(Result<(), MachineError>, Plan), MachineError> {
    let (machines, name) = (shared.machines(), name.to_owned());
    let work = tokio::task::spawn_blocking(move || {
        let set = || {
            let vault = machines.vault();
            if vault.names()?.values().flatten().any(|other| *other == name) {
                return Err(is_taken(&name));
            }
            let Some(value) = Secret::new(plan.extraction.value()) else {
                return Err(refusal("The text holds a NUL byte, which no environment variable can.", None));
            };
            Ok(vault.set(&Scope::All, &name, &value)?)
        };
        (set(), plan)
    });
    work.await.map_err(|_| refusal("The vault could not be written.", None))
}

async fn forget(shared: &Arc<Shared>, name: &str) -> Result<(), MachineError> {
    let (machines, name) = (shared.machines(), name.to_owned());
    let work = tokio::task::spawn_blocking(move || machines.vault().remove(&Scope::All, &name));
    work.await.map_err(|_| refusal("The vault could not be written.", None))??;
    Ok(())
}

fn is_as_it_was(now: &Snapshot, plan: &Plan) -> bool {
    now.open_file(&plan.path).is_some_and(|file| file.version == plan.version)
}

fn workspace_edit(
    plan: &Plan,
    uri: lsp::Url,
    name: &str,
    encoding: position::Encoding,
) -> Option<lsp::WorkspaceEdit> {
    let document = plan.files.document(Path::new(&plan.path))?;
    let edits = plan.extraction.edits(name).into_iter().map(|edit| lsp::TextEdit {
        range: position::range(document.lines(), edit.range, encoding),
        new_text: edit.new_text,
    });
    let edit = document_edit(uri, Some(plan.version), edits.collect());
    Some(lsp::WorkspaceEdit {
        document_changes: Some(lsp::DocumentChanges::Edits(vec![edit])),
        ..lsp::WorkspaceEdit::default()
    })
}

fn not_applied() -> lsp::ApplyWorkspaceEditResponse {
    lsp::ApplyWorkspaceEditResponse { applied: false, failure_reason: None, failed_change: None }
}

fn changed() -> MachineError {
    refusal("The text was changed meanwhile, so nothing was moved.", Some("Try it again.".into()))
}

fn is_taken(name: &str) -> MachineError {
    refusal(&format!("There is a secret {name} already."), Some("Choose another name.".into()))
}

fn refusal(message: &str, hint: Option<String>) -> MachineError {
    MachineError::User { message: message.into(), hint }
}
