//! Commands about a machine's generations: list, roll back, delete, and what the next one would change.

use super::{Failure, Named, Run, cannot_ask, with_log};
use crate::lsp::front::title;
use codchi_machine::{Answer, Discard, Front as _, MachineName, Operation, Question};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_lsp::jsonrpc::Result;

#[derive(Deserialize)]
pub(super) struct Rollback {
    name: MachineName,
    generation: Option<u32>,
}

#[derive(Deserialize)]
pub(super) struct Remove {
    name: MachineName,
    generations: Vec<u32>,
}

#[derive(Deserialize)]
pub(super) struct Preview {
    name: MachineName,
    #[serde(default)]
    build: bool,
}

impl Run<'_> {
    pub(super) async fn generations(self, Named { name }: Named) -> Result<Value> {
        // Only reads; a request that is cancelled is dropped, and Nix ends with it.
        let cancel = codchi_machine::CancellationToken::new();
        let _ended = cancel.clone().drop_guard();
        let list = self.shared.machines().generations(&name, &cancel).await.map_err(Failure::from)?;
        let one = |generation: &codchi_machine::GenerationStatus| {
            let mut value = json!(generation);
            value["summary"] = json!(generation.changes());
            value
        };
        Ok(json!({ "generations": list.iter().map(one).collect::<Vec<_>>() }))
    }

    pub(super) async fn rollback(self, Rollback { name, generation }: Rollback) -> Result<Value> {
        let title = title(Operation::Rollback, name.as_str());
        self.operation(title, move |machines, front, cancel| async move {
            let done = machines.rollback(&name, generation, &front, &cancel).await;
            with_log(&machines, &name, done)?;
            Ok(json!({ "name": name }))
        })
        .await
    }

    pub(super) async fn discard(self, Remove { name, generations }: Remove) -> Result<Value> {
        let title = format!("Deleting generations of {name}");
        self.operation(title, move |machines, front, _cancel| async move {
            let listed: Vec<String> = generations.iter().map(ToString::to_string).collect();
            let listed = listed.join(", ");
            let question = Question::Confirm {
                prompt: format!("Delete generation {listed} of {name}?"),
                detail:
                    "The machine cannot be rolled back to it any more; Nix may collect what only it needs."
                        .into(),
                yes: "Delete".into(),
                no: None,
            };
            let gone = match front.ask(question).await {
                Answer::Yes => machines.discard(&name, &Discard::Numbers(generations)).await?,
                Answer::CannotAsk => {
                    let hint = format!("Run `codchi generations {name} --delete {listed}` in a terminal.");
                    return Err(cannot_ask("delete a generation without asking", hint).into());
                }
                _ => Vec::new(),
            };
            Ok(json!({ "deleted": gone }))
        })
        .await
    }

    pub(super) async fn preview(self, Preview { name, build }: Preview) -> Result<Value> {
        let title = format!("Previewing a rebuild of {name}");
        self.operation(title, move |machines, front, cancel| async move {
            let preview = machines.preview(&name, build, &front, &cancel).await?;
            Ok(json!({ "markdown": preview.markdown(), "preview": preview }))
        })
        .await
    }
}
