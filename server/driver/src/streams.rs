//! The ends of a command's streams that a caller gets, with channels of bytes behind them.

use bytes::Bytes;
use futures_util::StreamExt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::io::StreamReader;
use tokio_util::sync::PollSender;

/// The most bytes that are passed on at once.
const PIECE: usize = 32 * 1024;

/// What a command prints.
pub(crate) type Output = Box<dyn AsyncRead + Send + Unpin>;

/// What comes out of `bytes`, to its end.
pub(crate) fn reader(mut bytes: mpsc::Receiver<Bytes>) -> Output {
    let stream = futures_util::stream::poll_fn(move |context| bytes.poll_recv(context));
    Box::new(StreamReader::new(stream.map(Ok::<_, io::Error>)))
}

/// A writer into `input`; a broken pipe where nobody takes anything out any more.
pub(crate) fn writer(input: mpsc::Sender<Bytes>) -> Box<dyn AsyncWrite + Send + Unpin> {
    Box::new(Input(PollSender::new(input)))
}

struct Input(PollSender<Bytes>);

impl AsyncWrite for Input {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let broken = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        ready!(self.0.poll_reserve(context)).map_err(broken)?;
        let data = &data[..data.len().min(PIECE)];
        if !data.is_empty() {
            self.0.send_item(Bytes::copy_from_slice(data)).map_err(broken)?;
        }
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.close();
        Poll::Ready(Ok(()))
    }
}
