# Python with uv, and wheels from PyPI that just work.
{ pkgs, ... }:
{
  environment.systemPackages = [
    pkgs.python3
    pkgs.uv
  ];

  # uv takes the Python that is here instead of downloading one.
  environment.variables.UV_PYTHON_DOWNLOADS = "never";

  # Wheels hold programs and libraries built for other distributions: this is where they find theirs.
  programs.nix-ld.libraries = [
    pkgs.stdenv.cc.cc.lib
    pkgs.zlib
  ];
}
