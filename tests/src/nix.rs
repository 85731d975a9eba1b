//! The two Nix that tests with a real one run on: the distribution's and a current one. They differ in what they print.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The folder of the `nix` that is on `PATH`.
#[must_use]
pub fn distributions() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let folder = std::env::split_paths(&path).find(|folder| folder.join("nix").is_file());
    folder.expect("nix is on PATH: `cargo xtask test` brings it")
}

/// The folder of a current `nix`.
#[must_use]
pub fn current() -> PathBuf {
    std::env::var_os("CODCHI_TEST_CURRENT_NIX").expect("`cargo xtask test` sets it").into()
}

/// What makes a Nix keep its store, state, log and configuration below `folder`, and build there without a sandbox and without
/// asking anybody.
#[must_use]
pub fn own_store(folder: &Path) -> Vec<(String, OsString)> {
    let folders = ["STORE", "STATE", "LOG", "CONF"];
    let folders = folders.map(|name| (format!("NIX_{name}_DIR"), folder.join(name).into_os_string()));
    let others = [
        ("XDG_CACHE_HOME".to_owned(), folder.join("cache").into_os_string()),
        ("NIX_CONFIG".to_owned(), "sandbox = false\nbuild-users-group =\nsubstituters =\n".into()),
    ];
    folders.into_iter().chain(others).collect()
}

/// Makes a test of each function for each Nix; it gets what the expression makes of the folder with the programs.
///
/// `with_each_nix! { async |folder| Nix::at(folder.join("nix")).await.unwrap(); one_thing_is_so another_is_so }`
#[macro_export]
macro_rules! with_each_nix {
    (async |$folder:ident| $made:expr; $($name:ident)*) => {
        $crate::with_each_nix! { @ distributions [tokio::test] [async] [.await] $folder $made; $($name)* }
        $crate::with_each_nix! { @ current [tokio::test] [async] [.await] $folder $made; $($name)* }
    };
    (|$folder:ident| $made:expr; $($name:ident)*) => {
        $crate::with_each_nix! { @ distributions [test] [] [] $folder $made; $($name)* }
        $crate::with_each_nix! { @ current [test] [] [] $folder $made; $($name)* }
    };
    (@ $which:ident [$test:meta] $async:tt $await:tt $folder:ident $made:expr; $($name:ident)*) => {
        mod $which {
            use super::*;
            $($crate::with_each_nix! { @@ $which [$test] $async $await $folder $made; $name })*
        }
    };
    (@@ $which:ident [$test:meta] [$($async:tt)?] [$($await:tt)*] $folder:ident $made:expr; $name:ident) => {
        #[$test]
        $($async)? fn $name() {
            let $folder = $crate::nix::$which();
            super::$name($made)$($await)*;
        }
    };
}
