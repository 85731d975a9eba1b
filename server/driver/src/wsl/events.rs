//! What happens to our distributions. WSL tells nobody, so it is looked at every few seconds, and what this process does is told at once.

use super::Wsl;
use crate::DriverError;
use crate::types::{Event, EventKind, Instance, RunState};
use futures_util::stream::{BoxStream, StreamExt as _};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

/// How often it is looked.
const PERIOD: Duration = Duration::from_secs(4);

/// Whether each instance runs.
type Known = BTreeMap<crate::InstanceName, bool>;

/// Events from now on.
pub(super) async fn of(wsl: Wsl) -> BoxStream<'static, Result<Event, DriverError>> {
    let told = wsl.events.subscribe();
    let known = wsl.known().await.unwrap_or_default();
    let watch = Watch { wsl, told, known, waiting: VecDeque::new() };
    futures_util::stream::unfold(watch, |mut watch| async move { Some((Ok(watch.next().await), watch)) })
        .boxed()
}

struct Watch {
    wsl: Wsl,
    told: Receiver<Event>,
    known: Known,
    waiting: VecDeque<Event>,
}

impl Watch {
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return event;
            }
            match tokio::time::timeout(PERIOD, self.told.recv()).await {
                Ok(Ok(event)) => {
                    self.note(&event);
                    return event;
                }
                // This process ends, or so much happened that some of it was lost.
                Ok(Err(RecvError::Closed)) => std::future::pending().await,
                Ok(Err(RecvError::Lagged(_))) | Err(_) => self.look().await,
            }
        }
    }

    fn note(&mut self, event: &Event) {
        match event.kind {
            EventKind::Created | EventKind::Stopped => drop(self.known.insert(event.name.clone(), false)),
            EventKind::Started => drop(self.known.insert(event.name.clone(), true)),
            EventKind::Deleted => drop(self.known.remove(&event.name)),
            EventKind::Updated => {}
        }
    }

    /// Compares what is with what is known.
    async fn look(&mut self) {
        // What cannot be seen now is seen next time.
        let Ok(now) = self.wsl.known().await else { return };
        // Something was done meanwhile: this may be how it was before.
        match self.told.try_recv() {
            Err(TryRecvError::Empty) => {}
            Ok(event) => {
                self.note(&event);
                self.waiting.push_back(event);
                return;
            }
            Err(_) => return,
        }
        self.waiting.extend(changes(&self.known, &now));
        self.known = now;
    }
}

impl Wsl {
    async fn known(&self) -> Result<Known, DriverError> {
        let runs = |instance: Instance| (instance.name, instance.state == RunState::Running);
        Ok(crate::Driver::instances(self).await?.into_iter().map(runs).collect())
    }
}

/// What has happened between two looks.
fn changes(before: &Known, now: &Known) -> Vec<Event> {
    let event = |name: &crate::InstanceName, kind| Event { name: name.clone(), kind };
    let gone = before.keys().filter(|name| !now.contains_key(*name));
    let mut all: Vec<Event> = gone.map(|name| event(name, EventKind::Deleted)).collect();
    for (name, runs) in now {
        let ran = before.get(name).copied();
        if ran.is_none() {
            all.push(event(name, EventKind::Created));
        }
        match (ran.unwrap_or_default(), runs) {
            (false, true) => all.push(event(name, EventKind::Started)),
            (true, false) => all.push(event(name, EventKind::Stopped)),
            _ => {}
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_happened_shows_in_what_is_other() {
        let known = |names: &[(&str, bool)]| -> Known {
            names.iter().map(|(name, runs)| (crate::InstanceName::new(*name).unwrap(), *runs)).collect()
        };
        let before = known(&[("codchi-a", true), ("codchi-b", false), ("codchi-c", true)]);
        let now = known(&[("codchi-b", true), ("codchi-c", false), ("codchi-d", true)]);
        let told: Vec<String> = changes(&before, &now)
            .into_iter()
            .map(|event| format!("{} {:?}", event.name, event.kind))
            .collect();
        assert_eq!(
            told,
            [
                "codchi-a Deleted",
                "codchi-b Started",
                "codchi-c Stopped",
                "codchi-d Created",
                "codchi-d Started"
            ]
        );
        assert!(changes(&now, &now).is_empty());
    }
}
