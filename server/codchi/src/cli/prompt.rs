//! Questions on the terminal. They block, so they run on a thread that may; a cancelled one is left to the process's
//! end, and the terminal is brought back.

use super::terminal::{Restored, can_ask};
use codchi_machine::{Choice, Secret, matches_pattern};
use dialoguer::{Confirm, Input, Password, Select};
use std::io::Read as _;
use zeroize::Zeroizing;

/// What came of a question.
pub(crate) enum Reply<T> {
    /// An answer.
    Given(T),
    /// The person closed the question, or the operation was cancelled.
    Closed,
    /// There is no terminal.
    CannotAsk,
}

/// Asks on a thread that may block.
async fn ask<T: Send + 'static>(question: impl FnOnce() -> Option<T> + Send + 'static) -> Reply<T> {
    if !can_ask() {
        return Reply::CannotAsk;
    }
    let _restored = Restored::remember();
    match tokio::task::spawn_blocking(question).await {
        Ok(Some(answer)) => Reply::Given(answer),
        _ => Reply::Closed,
    }
}

/// A text, with a suggestion.
pub(crate) async fn text(
    prompt: String,
    suggested: String,
    check: fn(&str) -> Result<(), String>,
) -> Reply<String> {
    ask(move || {
        Input::<String>::new()
            .with_prompt(prompt)
            .default(suggested)
            .validate_with(|text: &String| check(text))
            .interact_text()
            .ok()
    })
    .await
}

/// Yes or no; no where the person only presses Enter.
pub(crate) async fn confirm(prompt: String, detail: String) -> Reply<bool> {
    ask(move || {
        let prompt = if detail.is_empty() { prompt } else { format!("{detail}\n{prompt}") };
        Confirm::new().with_prompt(prompt).default(false).interact_opt().ok().flatten()
    })
    .await
}

/// One of several, by index.
pub(crate) async fn choose(prompt: String, choices: Vec<Choice>) -> Reply<usize> {
    ask(move || {
        let items: Vec<_> = choices
            .into_iter()
            .map(|choice| match choice.detail.as_str() {
                "" => choice.label,
                detail => format!("{}  ({detail})", choice.label),
            })
            .collect();
        Select::new().with_prompt(prompt).items(&items).default(0).interact_opt().ok().flatten()
    })
    .await
}

/// A secret's value, which is not shown. Asked again until there is one that matches `pattern`.
pub(crate) async fn secret(prompt: String, pattern: Option<String>, multiline: bool) -> Reply<Secret> {
    ask(move || {
        loop {
            let value = if multiline { lines(&prompt)? } else { line(&prompt)? };
            match Secret::new(value.to_vec()) {
                None => eprintln!("A value cannot hold a NUL byte."),
                Some(secret) if secret.expose().is_empty() => {
                    eprintln!("A value is needed. Ctrl-C cancels.");
                }
                Some(secret) => match &pattern {
                    Some(pattern) if !matches_pattern(&secret, pattern) => {
                        eprintln!("The value must match {pattern}.");
                    }
                    _ => return Some(secret),
                },
            }
        }
    })
    .await
}

fn line(prompt: &str) -> Option<Zeroizing<Vec<u8>>> {
    let value = Password::new().with_prompt(prompt).allow_empty_password(true).interact().ok()?;
    Some(Zeroizing::new(value.into_bytes()))
}

/// The key that ends what is typed into a terminal.
const END: &str = if cfg!(windows) { "Ctrl-Z and Enter" } else { "Ctrl-D" };

fn lines(prompt: &str) -> Option<Zeroizing<Vec<u8>>> {
    eprintln!("{prompt} (not shown; end with {END} on a line of its own):");
    let _silent = Restored::silent();
    let mut value = Zeroizing::new(Vec::new());
    std::io::stdin().lock().read_to_end(&mut value).ok()?;
    Some(value)
}
