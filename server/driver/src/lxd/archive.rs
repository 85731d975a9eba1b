//! The archive of a root file system on its way to the engine: read piece by piece, and checked meanwhile.
//!
//! The engine takes an archive that was cut off between two files for a whole one. So it does not get the last piece
//! before the archive has been read as one to its end. That piece is a block after the archive's end, which nobody
//! reads and which no other upload has: so the engine never takes an image for one that it already has, and whoever
//! uploaded an image may delete it.

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use std::io::{self, Error, ErrorKind, Read};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How much is read at once.
const PIECE: usize = 256 << 10;
/// What archives are made of.
const BLOCK: usize = 512;

/// An archive that is being sent.
pub(super) struct Upload {
    archive: Box<dyn AsyncRead + Send + Unpin>,
    size: u64,
    sent: u64,
    check: Option<Check>,
    cancel: CancellationToken,
}

impl Upload {
    /// The next `size` bytes of `archive`, until `cancel`.
    pub(super) fn new(
        archive: Box<dyn AsyncRead + Send + Unpin>,
        size: u64,
        cancel: CancellationToken,
    ) -> Self {
        Self { archive, size, sent: 0, check: Some(Check::start()), cancel }
    }

    /// How many bytes all pieces have.
    pub(super) fn length(&self) -> u64 {
        self.size + BLOCK as u64
    }

    /// The pieces. Ends with an error where the archive cannot be read, is none, or is not whole.
    pub(super) fn pieces(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        futures_util::stream::try_unfold(self, |mut upload| async move {
            let cancel = upload.cancel.clone();
            match cancel.run_until_cancelled(upload.next()).await {
                Some(piece) => Ok(piece?.map(|piece| (piece, upload))),
                None => Err(Error::other("it was cancelled")),
            }
        })
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let left = self.size - self.sent;
        if left == 0 {
            let Some(check) = self.check.take() else { return Ok(None) };
            check.verdict().await?;
            return Ok(Some(mark()));
        }
        let mut piece = BytesMut::with_capacity(PIECE);
        if (&mut self.archive).take(left).read_buf(&mut piece).await? == 0 {
            let message = format!("it ends after {} of {} bytes", self.sent, self.size);
            return Err(Error::new(ErrorKind::UnexpectedEof, message));
        }
        self.sent += piece.len() as u64;
        let piece = piece.freeze();
        let goes_on = match &self.check {
            Some(check) => check.feed.send(piece.clone()).await.is_ok(),
            None => true,
        };
        if !goes_on && let Some(check) = self.check.take() {
            check.verdict().await?;
        }
        Ok(Some(piece))
    }
}

/// A block that no other process, and no other moment, makes.
fn mark() -> Bytes {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut block = format!("codchi {}", unique(&NEXT)).into_bytes();
    block.resize(BLOCK, 0);
    block.into()
}

/// A text that is given out once on this computer.
pub(super) fn unique(counter: &AtomicU32) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{now}-{}-{}", std::process::id(), counter.fetch_add(1, Ordering::Relaxed))
}

/// Reads an archive in a thread of its own.
struct Check {
    feed: mpsc::Sender<Bytes>,
    verdict: JoinHandle<io::Result<()>>,
}

impl Check {
    fn start() -> Self {
        let (feed, pieces) = mpsc::channel(4);
        let verdict = tokio::task::spawn_blocking(move || check(Pieces { pieces, piece: Bytes::new() }));
        Self { feed, verdict }
    }

    /// What the archive is, once nothing more comes of it.
    async fn verdict(self) -> io::Result<()> {
        drop(self.feed);
        self.verdict.await?
    }
}

/// What comes through a channel, as a reader.
struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.piece.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

/// Reads an archive to its end.
///
/// # Errors
/// Where it is none, has no root file system in it, or lacks the two empty blocks that are its end.
fn check(mut archive: impl Read) -> io::Result<()> {
    let bad = |message: &str| Error::new(ErrorKind::InvalidData, message);
    let (mut metadata, mut root) = (false, false);
    for entry in tar::Archive::new(&mut archive).entries()? {
        let entry = entry?;
        let path = entry.path_bytes();
        let path = path.strip_prefix(b"./").unwrap_or(&path);
        metadata |= path == b"metadata.yaml";
        root |= path == b"rootfs" || path.starts_with(b"rootfs/");
    }
    // The first empty block has been read, if there was one.
    let mut last = [0; BLOCK];
    archive.read_exact(&mut last).map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => Error::new(ErrorKind::UnexpectedEof, "it is cut off"),
        _ => error,
    })?;
    if last != [0; BLOCK] {
        return Err(bad("it has a single empty block in it"));
    }
    if !metadata || !root {
        return Err(bad("it holds no machine's root file system"));
    }
    io::copy(&mut archive, &mut io::sink()).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::TryStreamExt as _;

    fn archive(paths: &[&str]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for path in paths {
            let mut header = tar::Header::new_gnu();
            // Zeros, such as are also at an archive's end.
            header.set_size(2048);
            archive.append_data(&mut header, path, [0; 2048].as_slice()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    async fn sent(bytes: &[u8], size: usize) -> io::Result<Vec<u8>> {
        let bytes = io::Cursor::new(bytes.to_vec());
        let upload = Upload::new(Box::new(bytes), size as u64, CancellationToken::new());
        let length = upload.length();
        let pieces: Vec<Bytes> = upload.pieces().try_collect().await?;
        assert_eq!(pieces.iter().map(Bytes::len).sum::<usize>() as u64, length);
        Ok(pieces.concat())
    }

    #[tokio::test]
    async fn a_whole_archive_is_sent_with_a_block_that_no_other_has() {
        let archive = archive(&["metadata.yaml", "rootfs/file"]);
        let first = sent(&archive, archive.len()).await.unwrap();
        let second = sent(&archive, archive.len()).await.unwrap();
        assert!(first.starts_with(&archive) && second.starts_with(&archive));
        assert_ne!(first, second);
    }

    #[tokio::test]
    async fn an_archive_that_is_cut_off_anywhere_is_an_error() {
        let whole = archive(&["metadata.yaml", "rootfs/file"]);
        for length in (0..whole.len() - 1).step_by(256) {
            let error = sent(&whole[..length], whole.len()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{length}: {error}");
            assert!(sent(&whole[..length], length).await.is_err(), "{length}");
        }
    }

    #[tokio::test]
    async fn what_is_no_machine_is_an_error() {
        let error = sent(&[b'x'; 20_000], 20_000).await.unwrap_err();
        assert!(!error.to_string().is_empty());
        for paths in [&["metadata.yaml"][..], &["rootfs/file"], &["other"]] {
            let archive = archive(paths);
            let error = sent(&archive, archive.len()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{paths:?}: {error}");
        }
    }

    #[tokio::test]
    async fn a_cancelled_upload_ends_with_an_error_though_the_archive_does_not() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        let (ours, _theirs) = tokio::io::duplex(1);
        let pieces: io::Result<Vec<Bytes>> =
            Upload::new(Box::new(ours), 1 << 20, cancel).pieces().try_collect().await;
        assert!(pieces.is_err());
    }
}
