//! Standard input and output that notice when the client is gone.
//!
//! The server's transport waits for its handlers when input ends, and is at a loss when output breaks. So the ends of
//! both are told to a [`Lifetime`], which then ends the session; what is written after a break is dropped.

use super::lifetime::{End, Lifetime};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Input that tells its end.
pub(crate) struct Input<R> {
    inner: R,
    lifetime: Lifetime,
}

/// Output that tells when nobody reads it any more.
pub(crate) struct Output<W> {
    inner: W,
    lifetime: Lifetime,
    broken: bool,
}

impl<R> Input<R> {
    pub(crate) fn new(inner: R, lifetime: Lifetime) -> Self {
        Self { inner, lifetime }
    }
}

impl<W> Output<W> {
    pub(crate) fn new(inner: W, lifetime: Lifetime) -> Self {
        Self { inner, lifetime, broken: false }
    }

    /// Turns a failure into success, and ends the session.
    fn told(&mut self, result: io::Result<()>) -> io::Result<()> {
        if let Err(error) = result {
            tracing::warn!("nobody reads the answers: {error}");
            self.broken = true;
            self.lifetime.end(End::OutputBroken);
        }
        Ok(())
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Input<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
        if result.is_err() || buf.filled().len() == before {
            self.lifetime.end(End::InputEnded);
        }
        Poll::Ready(result)
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Output<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Ready(Ok(buf.len()));
        }
        match ready!(Pin::new(&mut self.inner).poll_write(cx, buf)) {
            Ok(written) => Poll::Ready(Ok(written)),
            Err(error) => Poll::Ready(self.told(Err(error)).map(|()| buf.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(Pin::new(&mut self.inner).poll_flush(cx));
        Poll::Ready(self.told(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        let result = ready!(Pin::new(&mut self.inner).poll_shutdown(cx));
        Poll::Ready(self.told(result))
    }
}
