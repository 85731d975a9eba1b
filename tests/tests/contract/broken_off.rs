//! What is broken off in the middle: it leaves nothing. Not on LXD: copies that are broken off on a busy disk sometimes stop all of LXD 5.0.2.

use super::{boxed, export, large, nothing_is_left, small};
use codchi_driver::RunState;
use codchi_tests::engine::images_of;
use codchi_tests::instance::{INIT, Machine, SECOND};
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn a_create_that_nobody_waits_for_leaves_nothing() {
    let machine = Machine::planned(INIT).await;
    for delay in [0, 5, 20, 60] {
        let spec = machine.spec();
        let create = machine.driver.create(&machine.name, &spec);
        let finished = timeout(Duration::from_millis(delay), create).await.is_ok();
        let end = Instant::now() + 10 * SECOND;
        tokio::time::sleep(SECOND).await;
        while !finished && machine.state().await.is_some() {
            assert!(Instant::now() < end, "dropped after {delay} ms, the instance stays");
            tokio::time::sleep(SECOND / 10).await;
        }
        machine.driver.delete(&machine.name).await.unwrap();
    }
}

#[tokio::test]
async fn a_copy_that_nobody_waits_for_leaves_nothing() {
    let (machine, copy) = (Machine::running().await, Machine::planned(INIT).await);
    for delay in [0, 5, 20, 60, 150] {
        let spec = copy.spec();
        let copying = machine.driver.copy(&machine.name, &copy.name, &spec);
        if timeout(Duration::from_millis(delay), copying).await.is_ok() {
            machine.driver.delete(&copy.name).await.unwrap();
        }
        // What was begun may not have come so far that it shows.
        sleep(SECOND / 3).await;
        nothing_is_left(&copy).await;
        assert_eq!(machine.state().await, Some(RunState::Running));
    }
}

#[tokio::test]
async fn an_export_that_nobody_waits_for_leaves_no_image() {
    let machine = large().await;
    for delay in [0, 10, 50, 1000] {
        // Nobody reads: it does not end.
        let (mut ours, _theirs) = tokio::io::duplex(1 << 10);
        let export = machine.driver.export(&machine.name, &mut ours);
        assert!(timeout(Duration::from_millis(delay), export).await.is_err());
        sleep(SECOND / 3).await;
        let end = Instant::now() + 10 * SECOND;
        while !images_of(&machine.name).is_empty() {
            assert!(Instant::now() < end, "dropped after {delay} ms, the image stays");
            sleep(SECOND / 10).await;
        }
    }
    export(&machine).await;
}

#[tokio::test]
async fn an_import_that_nobody_waits_for_leaves_nothing() {
    let machine = Machine::planned(INIT).await;
    let (driver, spec) = (machine.driver.clone(), machine.spec());
    let bytes = small(&machine);
    for delay in [0, 5, 20, 60, 150] {
        let size = bytes.len() as u64;
        let import = driver.import(&machine.name, &spec, boxed(&bytes), size);
        if timeout(Duration::from_millis(delay), import).await.is_ok() {
            driver.delete(&machine.name).await.unwrap();
        }
        sleep(SECOND / 3).await;
        nothing_is_left(&machine).await;
    }
    // In the middle of the archive.
    let (ours, mut theirs) = tokio::io::duplex(1 << 10);
    let import = driver.import(&machine.name, &spec, Box::new(ours), bytes.len() as u64);
    let feed = async {
        theirs.write_all(&bytes[..bytes.len() / 2]).await.unwrap();
        sleep(SECOND / 2).await;
    };
    tokio::select! {
        result = import => panic!("{result:?}"),
        () = feed => {}
    }
    nothing_is_left(&machine).await;
    let end = theirs.write_all(&bytes).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::BrokenPipe, "it is read no more");
}
