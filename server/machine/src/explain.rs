//! Nix's errors in the user's words: copies in the store become the user's files, and known causes get a next step.

use crate::flake::Copied;
use crate::locate;
use codchi_nix::{NixError, Position};
use std::path::{Path, PathBuf};

/// Replaces paths into copies of local modules by the files that they were copied from.
pub(crate) fn localise(error: NixError, copies: &[Copied]) -> NixError {
    let NixError::Failed { message, position, trace, build } = error else { return error };
    let at = |position: Option<Position>| {
        position.map(|p| Position { file: original(&p.file, copies).unwrap_or(p.file), ..p })
    };
    let message = localise_text(&message, copies);
    let trace: Vec<_> = trace.into_iter().map(|(text, p)| (localise_text(&text, copies), at(p))).collect();
    let is_users = |place: &Position| !place.file.starts_with(STORE);
    // An error that a library throws is about what the user wrote last on the way there.
    let position = at(position);
    let position = if position.as_ref().is_some_and(is_users) {
        position
    } else {
        locate::definition(&message)
            .or_else(|| trace.iter().filter_map(|(_, place)| place.clone()).find(is_users))
            .or(position)
    };
    NixError::Failed { message, position, trace, build }
}

/// What to do about a known cause that Nix or an engine names in `message`.
pub(crate) fn hint(message: &str) -> Option<&'static str> {
    let has = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    if has(&["No space left on device", "disk is full", "Disk quota exceeded"]) {
        return Some(
            "The disk is full: free some space (`nix store gc`, or `codchi store gc` for the store instance, removes what nothing uses), then try again.",
        );
    }
    if has(&[
        "Couldn't resolve host",
        "Could not resolve host",
        "Couldn't connect to server",
        "Could not connect to server",
        "unable to download",
        "Failed to connect to",
        // ssh's words.
        "connect to host",
        "Could not resolve hostname",
        "Network is unreachable",
        "Temporary failure in name resolution",
    ]) {
        return Some("Check the network connection, then try again; what was already fetched is kept.");
    }
    if has(&["circular import of flake"]) {
        return Some(
            "The flakes are inputs of each other: remove the input from one of them, or let it follow \
             (`inputs.X.follows`) what the other has.",
        );
    }
    if has(&[
        "does not appear to be a git repository",
        "Could not read from remote repository",
        "could not read Username",
        "Authentication failed",
        "Repository not found",
    ]) {
        return Some(
            "Check the URL, and that git can read it from here: `git ls-remote URL` must work without asking for a password.",
        );
    }
    if has(&["unknown revision or path not in the working tree", "couldn't find remote ref", "not found"])
        && has(&["git failed", "Git reference", "revspec", "remote ref"])
    {
        return Some(
            "The repository has no such branch, tag or commit (any more): look with `git ls-remote URL` which there are, and \
             name one of them after `?ref=`.",
        );
    }
    if has(&["access to absolute path"]) && has(&["is forbidden in pure eval"]) {
        return Some(
            "A module can only use files of its own git repository, or of its own folder where it is in none: move the \
             file there, or make it a flake input.",
        );
    }
    // An option that does not exist is no file.
    if has(&["No such file or directory", "does not exist", "there is no file"])
        && has(&["'", "/"])
        && !has(&["The option `"])
    {
        return Some(
            "If the file is there, git ignores it: ignored files are no part of a module. `git check-ignore -v FILE` \
             says why.",
        );
    }
    None
}

/// The user's file behind a file in the store, where it is a copy of one.
fn original(stored: &Path, copies: &[Copied]) -> Option<PathBuf> {
    let text = stored.to_str()?;
    let (store, relative) = split(text)?;
    let relative = relative.trim_start_matches('/');
    let source = copies.iter().find(|copied| is_copy(&store, relative, copied))?;
    Some(if relative.is_empty() { source.root.clone() } else { source.root.join(relative) })
}

/// Whether `relative` below `store` is that of `copied`: the same text, or for a folder the same names.
fn is_copy(store: &str, relative: &str, copied: &Copied) -> bool {
    let (stored, copy) = (Path::new(store).join(relative), copied.copy.join(relative));
    // What lies in the store instance cannot be read here: then the name has to do.
    if !Path::new(store).exists() {
        return !relative.is_empty() && copy.exists();
    }
    if copy.is_file() {
        return std::fs::read(stored).ok() == std::fs::read(copy).ok();
    }
    // Of a file that is in neither, the folders tell.
    let names = |folder: &Path| -> Option<Vec<_>> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).ok()?.filter_map(|e| Some(e.ok()?.file_name())).collect();
        names.sort();
        Some(names)
    };
    names(Path::new(store)).is_some_and(|stored| Some(stored) == names(&copied.copy))
}

/// `/nix/store/HASH-source/REL` -> (`/nix/store/HASH-source`, `/REL`).
fn split(path: &str) -> Option<(String, &str)> {
    let rest = path.strip_prefix(STORE)?;
    let (name, relative) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    name.ends_with("-source").then(|| (format!("{STORE}{name}"), relative))
}

const STORE: &str = "/nix/store/";

fn localise_text(text: &str, copies: &[Copied]) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(begin) = rest.find(STORE) {
        let (before, from) = rest.split_at(begin);
        result.push_str(before);
        let is_end = |c: char| c.is_whitespace() || "'\"`:;,()[]{}«»’".contains(c);
        let end = from.find(is_end).unwrap_or(from.len());
        // A full stop at the end belongs to the sentence.
        let path = from[..end].trim_end_matches('.');
        match original(Path::new(path), copies) {
            Some(file) => result.push_str(&file.display().to_string()),
            None => result.push_str(path),
        }
        rest = &from[path.len()..];
    }
    result.push_str(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_copy_of_a_module_stays_as_it_is() {
        let text =
            "at /nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-source/a.nix:1:2, see /nix/store/x-hello.drv.";
        assert_eq!(localise_text(text, &[]), text);
    }

    #[test]
    fn known_causes_have_a_next_step() {
        assert!(hint("writing to file: No space left on device").unwrap().contains("disk is full"));
        assert!(
            hint("unable to download 'https://x': Couldn't resolve host name").unwrap().contains("network")
        );
        assert!(
            hint("getting status of '/home/me/a.nix': No such file or directory").unwrap().contains("git")
        );
        for (message, expected) in [
            (
                "git failed: ambiguous argument 'x': unknown revision or path not in the working tree.",
                "?ref=",
            ),
            ("resolving Git reference 'gone': revspec 'gone' not found", "?ref="),
            ("git failed: fatal: couldn't find remote ref gone", "?ref="),
            ("git failed: '/x' does not appear to be a git repository", "ls-remote URL` must"),
            ("git failed: could not read Username for 'https://h': terminal prompts disabled", "password"),
            ("git failed: ssh: connect to host h port 22: Connection refused", "network"),
            ("git failed: ERROR: Repository not found.", "ls-remote URL` must"),
            ("found circular import of flake 'git+file:///x'", "follows"),
        ] {
            assert!(hint(message).unwrap().contains(expected), "{message}");
        }
        for mode in ["eval mode", "evaluation mode"] {
            let message =
                format!("access to absolute path '/nix/store/x.nix' is forbidden in pure {mode} (use …)");
            assert!(hint(&message).unwrap().contains("own git repository"), "{message}");
        }
        assert_eq!(hint("undefined variable 'x'"), None);
        assert_eq!(hint("The option `services.x' does not exist. Definition values:\n- In `/a.nix'"), None);
    }
}
