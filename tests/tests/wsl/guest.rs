//! A distribution of another codchi.

use codchi_driver::{FileKind, FileSpec};
use codchi_tests::instance::{Machine, SECOND, file, shell};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

/// The program of a codchi that spoke version 0, which was the same but for the number. Nothing is mounted yet when it is the first process.
const OLD: &str = "#!/codchi/busybox sh
[ $$ = 1 ] && exec /codchi/init
/codchi/new | {
  printf '\\020\\000\\000\\000\\001\\000'
  /codchi/busybox dd bs=1 count=6 of=/dev/null 2>/dev/null
  /codchi/busybox cat
}
";

#[tokio::test]
async fn a_distribution_of_another_codchi_gets_the_program_of_this_one_when_it_starts() {
    let machine = Machine::running().await;
    let new = fs::read(std::env::var_os("CODCHI_GUEST").unwrap()).unwrap();
    let put = async |path: &str, kind| {
        let spec = FileSpec { mode: 0o755, ..file(path, kind) };
        machine.driver.put_file(&machine.name, &spec).await.unwrap();
    };
    put("/codchi/busybox", FileKind::File(fs::read("/bin/busybox").unwrap().into())).await;
    put("/codchi/new", FileKind::File(new.into())).await;
    put("/codchi/init", FileKind::Symlink("new".into())).await;
    put("/codchi/guest", FileKind::File(OLD.into())).await;

    let error = machine.driver.exec(&machine.name, &shell("true")).await.err().unwrap().to_string();
    assert!(error.contains("it speaks 0, not 1") && error.contains("stopped and started"), "{error}");

    machine.driver.stop(&machine.name, SECOND).await.unwrap();
    let distributions = PathBuf::from(std::env::var_os("CODCHI_WSL_DRIVES").unwrap()).join("c/codchi-test");
    let mark = distributions.join(machine.name.as_str()).join("instance.json");
    let mut known: Value = serde_json::from_slice(&fs::read(&mark).unwrap()).unwrap();
    known["guest"] = "of another one".into();
    fs::write(&mark, known.to_string()).unwrap();
    machine.boot().await;
    assert_eq!(machine.sh("cmp /codchi/guest /codchi/new && echo same").await, "same");
    let again: Value = serde_json::from_slice(&fs::read(&mark).unwrap()).unwrap();
    assert_ne!(again["guest"], known["guest"], "it is known to be new");
}
