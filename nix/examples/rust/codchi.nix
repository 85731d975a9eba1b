# Rust from nixpkgs, with what rust-analyzer and crates with C parts need.
{ pkgs, ... }:
{
  environment.systemPackages = [
    pkgs.cargo
    pkgs.clippy
    pkgs.rust-analyzer
    pkgs.rustc
    pkgs.rustfmt

    # Build scripts compile C and look for libraries.
    pkgs.gcc
    pkgs.openssl.dev
    pkgs.pkg-config
  ];

  environment.variables = {
    # The standard library's sources, for "go to definition".
    RUST_SRC_PATH = "${pkgs.rustPlatform.rustLibSrc}";
    PKG_CONFIG_PATH = "${pkgs.openssl.dev}/lib/pkgconfig";
  };
}
