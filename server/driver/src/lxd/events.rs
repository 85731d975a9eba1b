//! What happens to instances, told by the engine as it happens.

use super::instances::Description;
use super::reply::ApiError;
use super::transport::{Transport, WebSocket};
use crate::types::{Event, EventKind, InstanceName};
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use serde::Deserialize;
use std::collections::HashSet;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::AbortOnDropHandle;

/// Events that may wait for a reader.
const QUEUE: usize = 256;

/// Reads the engine's events about our instances.
struct Listener {
    transport: Transport,
    socket: WebSocket,
    /// Events do not tell whose an instance is, and a deleted one cannot be asked: so those of ours are remembered.
    ours: HashSet<InstanceName>,
}

impl Transport {
    /// `GET /1.0/events?type=lifecycle` as a websocket. The stream ends with an error where the connection breaks.
    pub(super) async fn subscribe(&self) -> Result<BoxStream<'static, Result<Event, ApiError>>, ApiError> {
        // First the events, then who is there already: an instance that comes in between is in both.
        let socket = self.websocket("/1.0/events?type=lifecycle").await?;
        let ours = self.our_instances().await?.into_iter().map(|instance| instance.name).collect();
        let mut listener = Listener { transport: self.clone(), socket, ours };

        // Read as they come, however slow the reader is: a new instance must be asked for its mark while it is there.
        let (sender, mut events) = mpsc::channel(QUEUE);
        let listening = AbortOnDropHandle::new(tokio::spawn(async move {
            while let Some(event) = listener.next().await {
                let failed = event.is_err();
                if sender.send(event).await.is_err() || failed {
                    return;
                }
            }
        }));
        Ok(stream::poll_fn(move |context| {
            let _listening = &listening;
            events.poll_recv(context)
        })
        .boxed())
    }
}

impl Listener {
    /// The next event about an instance of ours; `None` where the engine has ended the connection.
    async fn next(&mut self) -> Option<Result<Event, ApiError>> {
        loop {
            let text = match self.socket.next().await? {
                Ok(Message::Text(text)) => text,
                Ok(Message::Close(_)) => return None,
                Ok(_) => continue,
                Err(error) => return Some(Err(error.into())),
            };
            let Some(event) = decode(&text) else { continue };
            if !self.is_ours(&event).await {
                continue;
            }
            if event.kind == EventKind::Deleted {
                self.ours.remove(&event.name);
            }
            return Some(Ok(event));
        }
    }

    async fn is_ours(&mut self, event: &Event) -> bool {
        if self.ours.contains(&event.name) {
            return true;
        }
        let marked = self.transport.describe(&event.name).await.ok().and_then(Description::ours);
        marked.is_some_and(|instance| self.ours.insert(instance.name))
    }
}

#[derive(Deserialize)]
struct Envelope {
    metadata: Lifecycle,
}

#[derive(Deserialize)]
struct Lifecycle {
    action: String,
    source: String,
}

/// The event in a message, where it is one about an instance's life and its name could be one of ours.
fn decode(text: &str) -> Option<Event> {
    let Envelope { metadata: Lifecycle { action, source } } = serde_json::from_str(text).ok()?;
    let kind = match action.as_str() {
        "instance-created" => EventKind::Created,
        "instance-started" | "instance-restarted" | "instance-resumed" => EventKind::Started,
        "instance-shutdown" | "instance-stopped" => EventKind::Stopped,
        "instance-deleted" => EventKind::Deleted,
        "instance-updated" => EventKind::Updated,
        _ => return None,
    };
    let name = source.strip_prefix("/1.0/instances/")?.split(['/', '?']).next()?;
    Some(Event { name: InstanceName::new(name).ok()?, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(action: &str, source: &str) -> String {
        format!(
            r#"{{"type":"lifecycle","timestamp":"2024-01-01T00:00:00Z","metadata":{{"action":"{action}","source":"{source}"}}}}"#
        )
    }

    #[test]
    fn a_change_of_an_instances_life_is_an_event() {
        let event = decode(&message("instance-shutdown", "/1.0/instances/codchi-x")).unwrap();
        assert_eq!((event.name.as_str(), event.kind), ("codchi-x", EventKind::Stopped));
        let event = decode(&message("instance-created", "/1.0/instances/codchi-x?project=p")).unwrap();
        assert_eq!((event.name.as_str(), event.kind), ("codchi-x", EventKind::Created));
    }

    #[test]
    fn other_messages_are_passed_over() {
        assert_eq!(decode(&message("instance-exec", "/1.0/instances/codchi-x")), None);
        assert_eq!(decode(&message("image-created", "/1.0/images/abc")), None);
        assert_eq!(decode(&message("instance-started", "/1.0/instances/Not_A_Name")), None);
        assert_eq!(decode("{}"), None);
    }
}
