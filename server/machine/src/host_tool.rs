//! Asking programs of this computer, such as `git` and `gh`, for something that may be secret.

use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

/// No more is read of what a program prints, in bytes.
const LARGEST: u64 = 1 << 20;

/// What `program` prints, given `input`; `None` where it is not there, fails, prints too much, or takes longer than `limit`. It has
/// no terminal to ask on, and what it says of errors is not kept: it may hold what was asked for.
pub(crate) async fn ask(
    program: &str,
    arguments: &[&str],
    input: &[u8],
    limit: Duration,
) -> Option<Zeroizing<Vec<u8>>> {
    let mut command = Command::new(program);
    codchi_nix::without_window(&mut command);
    let mut child = command
        .args(arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GH_PROMPT_DISABLED", "1")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .ok()?;
    let (mut stdin, stdout) = (child.stdin.take()?, child.stdout.take()?);
    let work = async {
        let written = async {
            // A program that needs no input may be gone by now.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        // Never grows, so that no copy of a value stays behind.
        let mut output = Zeroizing::new(Vec::with_capacity(64 << 10));
        let mut limited = stdout.take(LARGEST);
        let ((), read) = tokio::join!(written, limited.read_to_end(&mut output));
        read.ok()?;
        let is_whole = u64::try_from(output.len()).is_ok_and(|length| length < LARGEST);
        let status = child.wait().await.ok()?;
        (status.success() && is_whole).then_some(output)
    };
    match tokio::time::timeout(limit, work).await {
        Ok(output) => output,
        Err(_) => {
            tracing::warn!("{program} did not answer within {} seconds", limit.as_secs());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_asked_and_one_that_fails_or_takes_too_long_has_nothing_to_say() {
        let long = Duration::from_secs(10);
        assert_eq!(ask("cat", &[], b"value", long).await.unwrap().as_slice(), b"value");
        assert!(ask("false", &[], b"value", long).await.is_none());
        assert!(ask("/nowhere/tool", &[], b"", long).await.is_none());
        assert!(ask("sleep", &["60"], b"", Duration::from_millis(50)).await.is_none());
    }
}
