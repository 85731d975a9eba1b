//! The command that frees disk space.

use super::{Failure, Run, cannot_ask};
use crate::cli::gc::KEPT;
use codchi_machine::{Answer, Discard, Front as _, Question};
use serde::Deserialize;
use serde_json::{Value, json};
use tower_lsp::jsonrpc::Result;

#[derive(Deserialize)]
pub(super) struct Free {
    keep: Option<usize>,
    #[serde(default)]
    store: bool,
}

impl Run<'_> {
    pub(super) async fn free(self, Free { keep, store }: Free) -> Result<Value> {
        let paths = self.shared.context.paths.clone();
        self.operation("Freeing disk space".into(), move |machines, front, cancel| async move {
            let known = tokio::task::spawn_blocking(move || crate::gc::leftovers(&paths)).await;
            let which = Discard::AllBut(keep.unwrap_or(KEPT));
            // A panic is logged by the hook.
            let garbage = machines.garbage(&which, store, known.unwrap_or_default(), &cancel).await?;
            if garbage.is_empty() {
                return Ok(json!({ "found": false, "lines": garbage.lines(), "freed": null }));
            }
            let question = Question::Confirm {
                prompt: "Free this disk space?".into(),
                detail: garbage.lines().join("\n"),
                yes: "Free".into(),
                no: None,
            };
            match front.ask(question).await {
                Answer::Yes => {}
                Answer::CannotAsk => {
                    let store = if store { " --store" } else { "" };
                    let hint = format!("Run `codchi gc{store}` in a terminal.");
                    return Err(Failure::from(cannot_ask("free disk space without asking", hint)));
                }
                _ => return Ok(json!({ "found": true, "lines": garbage.lines(), "freed": null })),
            }
            let freed = machines.free(garbage, &front, &cancel).await?;
            Ok(json!({ "found": true, "lines": freed.lines(), "freed": freed }))
        })
        .await
    }
}
