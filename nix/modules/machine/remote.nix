# What the servers of remote editors need: programs that were built for other distributions, and tools to fetch and
# unpack them.
{ lib, pkgs, ... }:
{
  # Its variables are in every session, also one without a terminal: codchi-session reads the system's environment.
  programs.nix-ld.enable = lib.mkDefault true;
  environment.systemPackages = [ pkgs.gnutar pkgs.gzip pkgs.rsync pkgs.wget ];
}
