//! Rebuilds this crate when something in `nix/`, which it embeds, is added, changed or removed.

fn main() {
    println!("cargo::rerun-if-changed=../../nix");
}
