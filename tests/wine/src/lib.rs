//! Runs programs of Linux for programs of Windows that run in Wine, which itself can start them, but not with pipes for streams.
//!
//! A small program of Windows ([`run`]) connects to a thread of the test ([`serve`]), says its arguments and passes its streams on. What is
//! said are *pieces*: a kind, a length, and as many bytes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The folder that the program is to run in, as Windows writes it.
const FOLDER: u8 = 0;
/// An argument.
const ARGUMENT: u8 = 1;
/// `NAME=VALUE`, for its environment.
const VARIABLE: u8 = 2;
/// All is said that it takes to start.
const START: u8 = 3;
/// Bytes of its standard input.
const INPUT: u8 = 4;
/// The end of that.
const END_OF_INPUT: u8 = 5;
/// Bytes of its standard output.
const OUTPUT: u8 = 6;
/// Bytes of its standard error.
const ERRORS: u8 = 7;
/// Its exit code, one byte.
const EXIT: u8 = 8;

/// What the program reads of the environment.
const VARIABLES: [&str; 3] = ["WSL_UTF8", "WSL_DISABLE_WARNINGS", "WSLENV"];
/// How much is read at a time.
const MOST: usize = 64 << 10;

fn say(to: &mut impl Write, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    to.write_all(&[&[kind], &length.to_le_bytes()[..], bytes].concat())
}

fn hear(from: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let (mut kind, mut length) = ([0], [0; 4]);
    from.read_exact(&mut kind)?;
    from.read_exact(&mut length)?;
    let mut bytes = Vec::new();
    from.take(u32::from_le_bytes(length).into()).read_to_end(&mut bytes)?;
    Ok((kind[0], bytes))
}

/// Passes on what there is to read, until its end.
fn pass(from: &mut impl Read, kind: u8, to: &Mutex<TcpStream>) -> io::Result<()> {
    let mut bytes = vec![0; MOST];
    loop {
        match from.read(&mut bytes)? {
            0 => return Ok(()),
            read => say(&mut *locked(to), kind, &bytes[..read])?,
        }
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the program run by who listens at `address`, with this process's arguments, folder and streams; gives its exit code.
///
/// # Errors
/// Where nobody does, or they go away.
pub fn run(address: &str) -> io::Result<u8> {
    let mut stream = TcpStream::connect(address)?;
    say(&mut stream, FOLDER, std::env::current_dir()?.to_string_lossy().as_bytes())?;
    for argument in std::env::args().skip(1) {
        say(&mut stream, ARGUMENT, argument.as_bytes())?;
    }
    for name in VARIABLES {
        if let Ok(value) = std::env::var(name) {
            say(&mut stream, VARIABLE, format!("{name}={value}").as_bytes())?;
        }
    }
    say(&mut stream, START, &[])?;
    let to = Arc::new(Mutex::new(stream.try_clone()?));
    // Ends with the process: nobody can interrupt a read of standard input.
    thread::spawn(move || {
        let _ = pass(&mut io::stdin().lock(), INPUT, &to);
        say(&mut *locked(&to), END_OF_INPUT, &[])
    });
    let (mut output, mut errors) = (io::stdout().lock(), io::stderr().lock());
    loop {
        let (kind, bytes) = hear(&mut stream)?;
        match kind {
            // Whoever reads may have gone away, which is the program's to notice.
            OUTPUT => {
                if output.write_all(&bytes).and_then(|()| output.flush()).is_err() {
                    stream.shutdown(Shutdown::Both)?;
                }
            }
            ERRORS => errors.write_all(&bytes)?,
            EXIT => return Ok(bytes.first().copied().unwrap_or(u8::MAX)),
            _ => return Err(io::Error::other(format!("nobody says a piece of kind {kind}"))),
        }
    }
}

/// What is run for who connects.
#[derive(Debug, Clone)]
pub struct Program {
    /// It.
    pub path: PathBuf,
    /// Its environment, beside this process's and what [`run`] says.
    pub environment: Vec<(String, PathBuf)>,
    /// The folder with the drives of Windows, by their letters.
    pub drives: PathBuf,
}

/// Runs `program` for each who connects to `listener`, in threads that end with this process.
pub fn serve(listener: TcpListener, program: Program) {
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let program = program.clone();
            thread::spawn(move || program.answer(&stream));
        }
    });
}

impl Program {
    fn answer(&self, stream: &TcpStream) -> io::Result<()> {
        let mut from = stream;
        let mut command = Command::new(&self.path);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        for name in VARIABLES {
            command.env_remove(name);
        }
        loop {
            let (kind, bytes) = hear(&mut from)?;
            let text = String::from_utf8(bytes).map_err(io::Error::other)?;
            match kind {
                // Wine has drives that are not of this Windows.
                FOLDER => {
                    _ = Some(self.folder(&text)).filter(|it| it.is_dir()).map(|it| command.current_dir(it))
                }
                ARGUMENT => _ = command.arg(text),
                VARIABLE => _ = text.split_once('=').map(|(name, value)| command.env(name, value)),
                _ => break,
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let to = Arc::new(Mutex::new(stream.try_clone()?));
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => {
                let mut to = locked(&to);
                say(&mut *to, ERRORS, format!("{command:?}: {error}").as_bytes())?;
                return say(&mut *to, EXIT, &[u8::MAX]);
            }
        };
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let child = Arc::new(Mutex::new(child));
        let of_input = (child.clone(), stream.try_clone()?);
        thread::spawn(move || feed(input, of_input.1, &of_input.0));
        let to_errors = to.clone();
        let told = thread::spawn(move || pass(&mut errors?, ERRORS, &to_errors).ok());
        if let Some(mut output) = output
            && pass(&mut output, OUTPUT, &to).is_err()
        {
            let _ = locked(&child).kill();
        }
        let _ = told.join();
        let status = ended(&child)?;
        say(&mut *locked(&to), EXIT, &[status])
    }

    /// A folder that Windows calls `path`.
    fn folder(&self, path: &str) -> PathBuf {
        let (drive, rest) = path.split_once(':').unwrap_or(("c", ""));
        let names = rest.split('\\').filter(|name| !name.is_empty());
        names.fold(self.drives.join(drive.to_lowercase()), |folder, name| folder.join(name))
    }
}

/// The exit code of a program that has closed its streams.
fn ended(child: &Mutex<Child>) -> io::Result<u8> {
    loop {
        // The lock is not held meanwhile: who is to kill it needs it.
        if let Some(status) = locked(child).try_wait()? {
            return Ok(status.code().map_or(u8::MAX, |code| code.to_le_bytes()[0]));
        }
        thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Gives the program its standard input; ends it when who it runs for is gone.
fn feed(mut input: Option<std::process::ChildStdin>, mut from: TcpStream, child: &Mutex<Child>) {
    loop {
        match hear(&mut from) {
            Ok((INPUT, bytes)) => {
                if input.as_mut().is_some_and(|input| input.write_all(&bytes).is_err()) {
                    input = None;
                }
            }
            Ok(_) => input = None,
            Err(_) => {
                let _ = locked(child).kill();
                return;
            }
        }
    }
}
