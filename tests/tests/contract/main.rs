//! What every driver promises in [`codchi_driver::Driver`], one sentence a test: the same for LXD, Incus and WSL, on the engine that
//! the environment names.
//!
//! Each test has instances of its own ([`codchi_tests::instance`]), looks only for what is left of those, and deletes them: so the tests may
//! run side by side, and beside others on the same engine.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

mod archives;
mod broken_off;
mod copies;
mod exec;
mod files;
mod life;
mod listen;
mod settings;
mod volumes;

use codchi_driver::{DriverError, FileKind, Process};
use codchi_tests::archive;
use codchi_tests::engine::left_of;
use codchi_tests::instance::{Machine, SECOND, file};
use std::io::Cursor;
use std::time::Instant;
use tar::EntryType;
use tokio::io::AsyncReadExt;
use tokio::time::{sleep, timeout};

async fn read_until(process: &mut Process, text: &str) -> String {
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(text) {
        let mut bytes = [0; 4096];
        let read = timeout(10 * SECOND, process.stdout.read(&mut bytes)).await;
        let read =
            read.unwrap_or_else(|_| panic!("no `{text}` in {:?}", String::from_utf8_lossy(&seen))).unwrap();
        assert_ne!(read, 0, "the output ends without `{text}`: {:?}", String::from_utf8_lossy(&seen));
        seen.extend_from_slice(&bytes[..read]);
    }
    String::from_utf8(seen).unwrap()
}

/// Waits until the engine has nothing of `machine`, and is making nothing of it.
async fn nothing_is_left(machine: &Machine) {
    let end = Instant::now() + 15 * SECOND;
    loop {
        let (state, left) = (machine.state().await, left_of(&machine.name));
        if state.is_none() && left.is_empty() {
            return;
        }
        assert!(Instant::now() < end, "left: {state:?} {left:?}");
        sleep(SECOND / 10).await;
    }
}

fn is_taken(error: &DriverError, machine: &Machine) {
    assert!(matches!(error, DriverError::NameTaken { name } if name == machine.name.as_str()), "{error:?}");
}

fn is_missing(error: &DriverError, machine: &Machine) {
    assert!(matches!(error, DriverError::NotFound { name } if name == machine.name.as_str()), "{error:?}");
}

fn is_running(error: &DriverError, machine: &Machine) {
    assert!(
        matches!(error, DriverError::StillRunning { name } if name == machine.name.as_str()),
        "{error:?}"
    );
}

fn is_archive_error(error: &DriverError) {
    assert!(matches!(error, DriverError::Archive { .. }), "{error:?}");
}

fn boxed(bytes: &[u8]) -> Box<Cursor<Vec<u8>>> {
    Box::new(Cursor::new(bytes.to_vec()))
}

async fn import(machine: &Machine, bytes: &[u8]) -> Result<(), DriverError> {
    machine.driver.import(&machine.name, &machine.spec(), boxed(bytes), bytes.len() as u64).await
}

async fn export(machine: &Machine) -> Vec<u8> {
    let mut bytes = Vec::new();
    machine.driver.export(&machine.name, &mut bytes).await.unwrap();
    bytes
}

async fn stop(machine: &Machine) {
    machine.driver.stop(&machine.name, 20 * SECOND).await.unwrap();
}

/// An archive of a root file system that boots and has nothing but a file in it.
fn small(machine: &Machine) -> Vec<u8> {
    let mut made = archive::begin(Vec::new(), &format!("made for {}", machine.name));
    archive::add(&mut made, "rootfs/opt/file", EntryType::Regular, (0, 0), 0o644, b"what is in it\n");
    made.into_inner().unwrap()
}

/// A stopped instance with a megabyte in it.
async fn large() -> Machine {
    let machine = Machine::stopped().await;
    let contents = FileKind::File(vec![b'x'; 1 << 20].into());
    machine.driver.put_file(&machine.name, &file("/opt/large", contents)).await.unwrap();
    machine
}
