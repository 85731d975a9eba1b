//! What we ask the client and tell it, beyond what the library offers.

use super::session::Session;
use codchi_machine::MachineStatus;
use serde::{Deserialize, Serialize};
use tower_lsp::Client;
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::notification::Notification;
use tower_lsp::lsp_types::request::{Request, ShowMessageRequest};
use tower_lsp::lsp_types::{MessageActionItem, MessageType, ShowMessageRequestParams};

/// `codchi/machinesChanged`.
pub(crate) enum MachinesChanged {}

/// Its parameters.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct MachinesChangedParams {
    /// `MachineStatus[]`, as JSON.
    machines: serde_json::Value,
}

impl MachinesChangedParams {
    pub(crate) fn new(machines: &[MachineStatus]) -> Self {
        Self { machines: serde_json::to_value(machines).unwrap_or_default() }
    }
}

impl Notification for MachinesChanged {
    type Params = MachinesChangedParams;
    const METHOD: &'static str = "codchi/machinesChanged";
}

/// `codchi/input`.
enum Input {}

impl Request for Input {
    type Params = InputParams;
    type Result = Option<InputAnswer>;
    const METHOD: &'static str = "codchi/input";
}

/// A question, as PROTOCOL.md has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(crate) enum InputParams {
    /// A text.
    Text {
        title: String,
        prompt: String,
        value: Option<String>,
        pattern: Option<String>,
        pattern_message: Option<String>,
    },
    /// A secret's value.
    Secret { title: String, prompt: String, pattern: Option<String>, multiline: bool },
    /// One of several.
    Pick { title: String, items: Vec<Item> },
    /// Yes or no.
    Confirm {
        title: String,
        detail: String,
        yes: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        no: Option<String>,
    },
}

/// Something to choose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Item {
    pub(crate) label: String,
    pub(crate) detail: String,
}

/// An answer; the field that belongs to the question's kind is there. Never printed: it may be a secret.
#[derive(Deserialize, Serialize)]
struct InputAnswer {
    value: Option<String>,
    index: Option<usize>,
    yes: Option<bool>,
}

/// What came of a question.
pub(crate) enum Reply<T> {
    /// An answer.
    Given(T),
    /// The person closed the question.
    Closed,
    /// This client cannot be asked such a thing.
    CannotAsk,
}

/// Sends a request and waits for its answer. The library must not lose the receiver of an answer that comes after
/// all, so that a caller who gives up leaves the wait to a task of its own.
pub(crate) async fn send<R>(client: &Client, params: R::Params) -> Result<R::Result>
where
    R: Request + 'static,
    R::Params: Send,
    R::Result: Send,
{
    let client = client.clone();
    match tokio::spawn(async move { client.send_request::<R>(params).await }).await {
        Ok(result) => result,
        Err(_) => Err(tower_lsp::jsonrpc::Error::internal_error()),
    }
}

/// Asks the person at the client.
#[derive(Clone)]
pub(crate) struct Person {
    client: Client,
    input: bool,
}

impl Person {
    pub(crate) fn new(client: &Client, session: &Session) -> Self {
        Self { client: client.clone(), input: session.input }
    }

    /// For a text.
    pub(crate) async fn text(
        &self,
        title: String,
        prompt: String,
        value: String,
        pattern: &str,
        pattern_message: String,
    ) -> Reply<String> {
        let (value, pattern) = (Some(value), Some(pattern.to_owned()));
        let question =
            InputParams::Text { title, prompt, value, pattern, pattern_message: Some(pattern_message) };
        self.input(question, |answer| answer.value).await
    }

    /// For a secret's value.
    pub(crate) async fn secret(
        &self,
        title: String,
        prompt: String,
        pattern: Option<String>,
        multiline: bool,
    ) -> Reply<String> {
        self.input(InputParams::Secret { title, prompt, pattern, multiline }, |answer| answer.value).await
    }

    /// For one of several, by index.
    pub(crate) async fn pick(&self, title: String, items: Vec<Item>) -> Reply<usize> {
        let count = items.len();
        if !self.input {
            let labels: Vec<_> = items.into_iter().map(|item| item.label).collect();
            return match self.choose(title, &labels).await {
                Some(label) => labels.iter().position(|it| *it == label).map_or(Reply::Closed, Reply::Given),
                None => Reply::Closed,
            };
        }
        let question = InputParams::Pick { title, items };
        self.input(question, |answer| answer.index.filter(|index| *index < count)).await
    }

    /// For yes or no.
    pub(crate) async fn confirm(
        &self,
        title: String,
        detail: String,
        yes: String,
        no: Option<String>,
    ) -> Reply<bool> {
        if !self.input {
            let text = if detail.is_empty() { title } else { format!("{title}\n\n{detail}") };
            return match self.choose(text, &[yes.clone(), no.unwrap_or_else(|| "No".into())]).await {
                Some(label) => Reply::Given(label == yes),
                None => Reply::Closed,
            };
        }
        self.input(InputParams::Confirm { title, detail, yes, no }, |answer| answer.yes).await
    }

    async fn input<T>(&self, question: InputParams, read: impl FnOnce(InputAnswer) -> Option<T>) -> Reply<T> {
        if !self.input {
            return Reply::CannotAsk;
        }
        match send::<Input>(&self.client, question).await {
            Ok(Some(answer)) => match read(answer) {
                Some(answer) => Reply::Given(answer),
                None => {
                    tracing::warn!("the client's answer does not fit the question");
                    Reply::Closed
                }
            },
            Ok(None) => Reply::Closed,
            Err(error) => {
                tracing::warn!("the client could not ask: {}", error.message);
                Reply::CannotAsk
            }
        }
    }

    /// With what every client has: a message with buttons.
    async fn choose(&self, message: String, labels: &[String]) -> Option<String> {
        let actions = labels
            .iter()
            .map(|label| MessageActionItem { title: label.clone(), properties: Default::default() })
            .collect();
        let params = ShowMessageRequestParams { typ: MessageType::INFO, message, actions: Some(actions) };
        let chosen = send::<ShowMessageRequest>(&self.client, params).await.ok().flatten()?;
        Some(chosen.title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn questions_have_the_fields_that_the_protocol_names() {
        let text = InputParams::Text {
            title: "t".into(),
            prompt: "p".into(),
            value: Some("v".into()),
            pattern: Some("[a-z]+".into()),
            pattern_message: Some("m".into()),
        };
        assert_eq!(
            serde_json::to_value(text).unwrap(),
            json!({ "kind": "text", "title": "t", "prompt": "p", "value": "v", "pattern": "[a-z]+", "patternMessage": "m" })
        );
        let pick = InputParams::Pick {
            title: "t".into(),
            items: vec![Item { label: "l".into(), detail: "d".into() }],
        };
        assert_eq!(
            serde_json::to_value(pick).unwrap(),
            json!({ "kind": "pick", "title": "t", "items": [{ "label": "l", "detail": "d" }] })
        );
    }
}
