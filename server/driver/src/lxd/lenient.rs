//! A connection that takes writes even after the other side has closed it.
//!
//! The engine sends what a command has printed and closes at once. The websocket's own answer to a ping then fails, and
//! that error would come instead of the data that is still to be read. So the end of a connection shows on reading only.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

/// See the module.
#[derive(Debug)]
pub(super) struct Lenient(pub(super) UnixStream);

fn forgive(result: io::Result<usize>, length: usize) -> io::Result<usize> {
    match result {
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
            Ok(length)
        }
        result => result,
    }
}

impl AsyncRead for Lenient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Lenient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, data).map(|result| forgive(result, data.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_was_sent_before_the_close_can_be_read_after_a_write() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut ours = Lenient(ours);
        theirs.write_all(b"last words").await.unwrap();
        drop(theirs);
        ours.write_all(b"to nobody").await.unwrap();
        let mut text = String::new();
        ours.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "last words");
    }
}
