//! The images that other versions have left in a real engine.

#![cfg(feature = "lab")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test code")]

use codchi_driver::{Driver, Image, Lxd};
use std::path::Path;
use std::process::Command;

fn lxc(arguments: &[&str]) {
    let output = Command::new("lxc").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Imports an empty image that says this of itself, under an alias.
fn import(folder: &Path, alias: &str, description: &str) {
    let root = folder.join(alias);
    std::fs::create_dir_all(root.join("rootfs")).unwrap();
    let metadata = format!(
        "architecture: x86_64\ncreation_date: 1\nproperties:\n  os: codchi\n  description: {description}\n  serial: {alias}\n"
    );
    std::fs::write(root.join("metadata.yaml"), metadata).unwrap();
    let archive = folder.join(format!("{alias}.tar"));
    let packed = Command::new("tar")
        .arg("-C")
        .arg(&root)
        .arg("-cf")
        .arg(&archive)
        .args(["metadata.yaml", "rootfs"])
        .status();
    assert!(packed.unwrap().success());
    lxc(&["image", "import", archive.to_str().unwrap(), "--alias", alias]);
}

#[tokio::test]
async fn skeletons_of_other_versions_are_found_and_deleted_and_nothing_else_is() {
    let driver = Lxd::connect(None).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let number = std::process::id();
    let (old, own) = (format!("codchi-skeleton-old-{number}"), format!("codchi-my-own-{number}"));
    import(folder.path(), &old, "codchi, empty root file system");
    import(folder.path(), &own, "a person's own");
    let found = driver.unused_images().await.unwrap();
    let image = found.iter().find(|image| image.name == old).unwrap().clone();
    assert!(image.size > 0 && !found.iter().any(|image| image.name == own), "{found:?}");
    driver.delete_image(&image).await.unwrap();
    driver.delete_image(&image).await.unwrap();
    assert!(!driver.unused_images().await.unwrap().contains(&image));
    // Not even where somebody takes another image for one of ours.
    let text = Command::new("lxc").args(["image", "info", &own]).output().unwrap().stdout;
    let text = String::from_utf8(text).unwrap();
    let fingerprint = text.lines().find_map(|line| line.strip_prefix("Fingerprint: ")).unwrap().to_owned();
    driver.delete_image(&Image { fingerprint, name: own.clone(), size: 1 }).await.unwrap();
    lxc(&["image", "delete", &own]);
}
