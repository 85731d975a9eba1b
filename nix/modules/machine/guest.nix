# NixOS in an instance that an engine has booted, on a store that it shares with others.
{ config, lib, options, ... }:
let
  inherit (lib) mkDefault mkForce;
in
{
  # No kernel, no initial ramdisk, no boot loader, no device management: the engine has done all that.
  boot = { isContainer = true; } // (
    # The store is mounted read-only from outside, by somebody else's root: leave the mount as it is.
    if options.boot ? nixStoreMountOpts then { nixStoreMountOpts = mkForce [ ]; }
    else { readOnlyNixStore = mkForce false; }
  );

  # The store's database and daemon are not the machine's: no `nix` of its own could build or register anything. A rebuild on
  # the host is how a machine's system changes; what else there is of Nix is in store.nix.
  nix.enable = false;

  networking = {
    hostName = config.codchi.machine.name;
    useDHCP = false;
    # Nothing listens but what the user starts, and that should be reachable from the host.
    firewall.enable = mkDefault false;
  };
  services.udev.enable = mkDefault false;
  # The clock is the host's.
  services.timesyncd.enable = mkDefault false;

  # Whoever reaches the console commands the engine, and with it everything inside.
  services.getty.autologinUser = mkDefault "codchi";

  documentation.nixos.enable = mkDefault false;
  # A machine's state is made new by its modules: it follows the nixpkgs that it is built from.
  system.stateVersion = mkDefault config.system.nixos.release;
}
