//! What the tests of this crate share.

mod fake;

pub(crate) use fake::Fake;
mod operations;

use crate::{Answer, Event, Front, Paths, Question, SecretSpec};
use async_trait::async_trait;
use std::path::Path;
use std::sync::Mutex;

/// Paths below one folder.
pub(crate) fn paths(root: &Path) -> Paths {
    Paths {
        data: root.join("data"),
        config: root.join("config"),
        state: root.join("state"),
        cache: root.join("cache"),
        home: root.join("home"),
    }
}

/// A secret that is asked for as a variable and as a file.
pub(crate) fn secret_spec() -> SecretSpec {
    SecretSpec {
        description: String::new(),
        declared_by: Vec::new(),
        required: true,
        env: true,
        file: true,
        pattern: None,
        multiline: false,
        units: Vec::new(),
        owner: "codchi".into(),
        mode: "0400".into(),
    }
}

/// A front that remembers what it hears and cannot be asked.
#[derive(Default)]
pub(crate) struct Ears {
    heard: Mutex<Vec<Event>>,
}

impl Ears {
    /// What it has heard.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.heard.lock().unwrap().clone()
    }
}

#[async_trait]
impl Front for Ears {
    fn event(&self, event: Event) {
        self.heard.lock().unwrap().push(event);
    }

    async fn ask(&self, _question: Question) -> Answer {
        Answer::CannotAsk
    }
}
