//! Where this program writes down what it does: a file of bounded size, and the client's output channel.
//!
//! `CODCHI_LOG` (`error`, `warn`, `info`, `debug`, `trace`; `info` where it is unset) says how much. It is about our own
//! crates only: others tell no more than warnings, because the protocol's library would write whole messages, and
//! with them secrets that a person typed.

use codchi_machine::Paths;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::mpsc;
use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// A full file becomes the only old one, so that both together take at most twice this, in bytes.
const LARGEST: u64 = 1 << 20;

/// A line for the client's output channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) level: Level,
    pub(crate) text: String,
}

/// The log file of this user.
pub(crate) fn path(paths: &Paths) -> PathBuf {
    paths.state.join("logs").join("codchi.log")
}

/// Starts writing to the log file, and to `client` where there is one. Panics are written down as well.
pub(crate) fn start(paths: &Paths, client: Option<mpsc::UnboundedSender<Line>>) {
    let level: LevelFilter =
        std::env::var("CODCHI_LOG").ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let ours = |level| Targets::new().with_default(LevelFilter::WARN.min(level)).with_target("codchi", level);
    let file = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(BoundedFile::new(path(paths)))
        .with_filter(ours(level));
    let client = client.map(|lines| {
        tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_level(false)
            .with_target(false)
            .with_writer(Lines(lines))
            .with_filter(ours(level.min(LevelFilter::INFO)))
    });
    // A second start, which only tests could do, keeps the first.
    let _ = tracing_subscriber::registry().with(file).with(client).try_init();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("internal error, please report it: {panic}");
        before(panic);
    }));
}

/// A file that begins anew when it is full. What cannot be written is lost: a full disk must not stop the work.
struct BoundedFile {
    path: PathBuf,
    open: Mutex<Option<(File, u64)>>,
}

impl BoundedFile {
    fn new(path: PathBuf) -> Self {
        Self { path, open: Mutex::new(None) }
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|(_, size)| *size > LARGEST) {
            *open = None;
        }
        let (file, size) = match &mut *open {
            Some(open) => open,
            none => none.insert(open_below_limit(&self.path)?),
        };
        file.write_all(line)?;
        *size += line.len() as u64;
        Ok(())
    }
}

fn open_below_limit(path: &Path) -> io::Result<(File, u64)> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > LARGEST) {
        std::fs::rename(path, path.with_extension("log.old"))?;
    }
    let file = File::options().append(true).create(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

impl Write for &BoundedFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = self.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for BoundedFile {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// Sends each event as a line.
struct Lines(mpsc::UnboundedSender<Line>);

/// Sends one event.
struct LineWriter<'a> {
    lines: &'a mpsc::UnboundedSender<Line>,
    level: Level,
}

impl Write for LineWriter<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let line = Line { level: self.level, text: String::from_utf8_lossy(text).trim_end().to_owned() };
        // After the session's end nobody listens, which is fine.
        let _ = self.lines.send(line);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter { lines: &self.0, level: Level::INFO }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter { lines: &self.0, level: *metadata.level() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_takes_bounded_space() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/codchi.log");
        let mut log = &BoundedFile::new(path.clone());
        let line = [b'x'; 1 << 16];
        for _ in 0..64 {
            log.write_all(&line).unwrap();
        }
        let sizes: Vec<_> = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(sizes.len(), 2);
        assert!(sizes.iter().all(|size| *size <= LARGEST + line.len() as u64), "{sizes:?}");
    }

    #[test]
    fn events_become_lines_for_the_client() {
        let (sender, mut lines) = mpsc::unbounded_channel();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .without_time()
            .with_level(false)
            .with_target(false)
            .with_writer(Lines(sender));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || tracing::warn!("two\nlines"));
        assert_eq!(lines.try_recv().unwrap(), Line { level: Level::WARN, text: "two\nlines".into() });
        assert!(lines.try_recv().is_err());
    }
}
