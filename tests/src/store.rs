//! The store of a person's machines. On LXD and Incus it is that of this computer's Nix. On WSL it is a distribution, of which each data
//! folder has one of its own: here a copy of one that is made once for all tests of a lab, since filling one takes half a minute.

use crate::binary::codchi;
use crate::engine::{self, Kind};
use crate::program::printed;
use codchi_machine::StoreOptions;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Settings of the Nix in a store's distribution: nothing is fetched, and what is a sandbox on Windows is one container too many here.
const SETTINGS: &str = "substituters =\nsandbox = false";

/// The flake URL of the nixpkgs that builds offline, where the Nix that the data folder `data` uses sees it.
///
/// # Panics
/// Where it is not there.
#[must_use]
pub fn nixpkgs(data: &Path) -> String {
    let original = original_nixpkgs();
    if engine::kind() != Kind::Wsl {
        return format!("path:{}", original.display());
    }
    let copy = data.join("store/standin");
    if !copy.exists() {
        fs::create_dir_all(data.join("store")).unwrap();
        copy_nixpkgs(&copy);
    }
    let url = url::Url::from_directory_path(&copy).unwrap();
    format!("path:{}", url.path().trim_end_matches('/'))
}

/// Copies that nixpkgs to `folder`, where it can be changed.
///
/// # Panics
/// Where it is not there.
pub fn copy_nixpkgs(folder: &Path) {
    let copied = Command::new("cp").arg("-r").arg(original_nixpkgs()).arg(folder).status().unwrap();
    assert!(copied.success());
}

fn original_nixpkgs() -> PathBuf {
    std::env::var_os("CODCHI_TEST_FLAKE_NIXPKGS").expect("`cargo xtask test` sets it").into()
}

/// What a person configures about it.
#[must_use]
pub fn options() -> StoreOptions {
    if engine::kind() != Kind::Wsl {
        return StoreOptions::default();
    }
    StoreOptions { nix: Some(tarball()), settings: SETTINGS.into(), ..StoreOptions::default() }
}

/// The same as lines of `config.toml`.
#[must_use]
pub fn config() -> String {
    if engine::kind() != Kind::Wsl {
        return String::new();
    }
    format!("store-nix = {:?}\nstore-settings = {SETTINGS:?}\n", tarball())
}

/// The whole `config.toml` of somebody with the data folder `data`, whom nobody asks about SSH.
#[must_use]
pub fn whole_config(data: &Path) -> String {
    format!("nixpkgs = {:?}\n{}[ssh]\nconfig = false\n", nixpkgs(data), config())
}

fn tarball() -> String {
    std::env::var("CODCHI_TEST_STORE_NIX").expect("`cargo xtask test` sets it")
}

/// Lays a store that is filled into the data folder `data`, where machines need one of their own; `name` is what codchi calls it.
///
/// # Panics
/// Where it cannot be made.
pub fn lay(data: &Path, name: &str) {
    if engine::kind() != Kind::Wsl {
        return;
    }
    let filled = engine::on_windows(&filled());
    let folder = data.join("wsl").join(name);
    fs::create_dir_all(&folder).unwrap();
    engine::ask_client(&["--import", name, &engine::on_windows(&folder), &filled, "--vhd"]);
    fs::write(folder.join("instance.json"), "{ \"volume\": true }").unwrap();
    // What is in it says which folder is its own.
    let home = engine::disk(&folder).join(codchi_guest::HOME.trim_start_matches('/'));
    assert!(home.is_file(), "{} is gone", home.display());
    fs::write(home, engine::in_distributions(&folder)).unwrap();
}

/// A disk with a store in which a machine of an empty module was once built. Whoever comes first makes it, all others wait.
fn filled() -> PathBuf {
    let folder = engine::drive().join("codchi-test-store");
    fs::create_dir_all(&folder).unwrap();
    // A copy keeps the name of the file.
    let disk = folder.join(engine::DISK);
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    if disk.exists() {
        return disk;
    }
    let (data, project) = (folder.join("data/codchi"), folder.join("project"));
    for made in [&data, &project, &folder.join("config/codchi")] {
        fs::create_dir_all(made).unwrap();
    }
    fs::write(folder.join("config/codchi/config.toml"), whole_config(&data)).unwrap();
    fs::write(project.join("codchi.nix"), "{ }\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(codchi());
        command.args(arguments).current_dir(&project).env("HOME", &folder).envs(variables(&folder));
        printed(&mut command)
    };
    run(&["create", ".", "--name", "store-template", "--yes"]);
    let store: serde_json::Value = serde_json::from_str(&run(&["store", "--json"])).unwrap();
    run(&["delete", "store-template", "--yes"]);
    // By its name it is there only once it is whole.
    let (name, making) = (store["instance"].as_str().unwrap(), folder.join("making.vhdx"));
    engine::ask_client(&["--export", name, &engine::on_windows(&making), "--vhd"]);
    engine::forget_in(&data.join("wsl"));
    fs::rename(making, &disk).unwrap();
    disk
}

/// The variables by which programs find the folders of whoever has theirs below `root`.
#[must_use]
pub fn variables(root: &Path) -> [(&'static str, PathBuf); 4] {
    [
        ("XDG_CONFIG_HOME", root.join("config")),
        ("XDG_DATA_HOME", root.join("data")),
        ("XDG_STATE_HOME", root.join("state")),
        ("XDG_CACHE_HOME", root.join("cache")),
    ]
}
