# NixOS as an unprivileged container of LXD or Incus, on a store that it shares with the host.
{ config, lib, options, ... }:
let
  inherit (lib) mkDefault mkForce;
in
lib.mkIf (config.codchi.machine.driver == "lxd") {
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
    useNetworkd = true;
    useDHCP = false;
    useHostResolvConf = false;
    # Nothing listens but what the user starts, and that should be reachable from the host.
    firewall.enable = mkDefault false;
  };
  systemd.network = {
    networks."50-eth0" = {
      matchConfig.Name = "eth0";
      networkConfig = { DHCP = "yes"; IPv6AcceptRA = true; };
      linkConfig.RequiredForOnline = "no";
    };
    # A machine without any network interface is a good machine.
    wait-online.enable = false;
  };
  # It writes resolv.conf, and serves nobody: neither a port on the loopback interface nor the neighbours.
  # There is no udev, whose word networkd waits for before it touches an interface: the engine's is ready from the start.
  services.udev.enable = mkDefault false;
  systemd.services.codchi-eth0 = {
    description = "The engine's network interface is ready";
    wantedBy = [ "systemd-networkd.service" ];
    before = [ "systemd-networkd.service" ];
    unitConfig = {
      DefaultDependencies = false;
      ConditionPathExists = [ "/sys/class/net/eth0/ifindex" "!/run/udev/control" ];
    };
    serviceConfig.Type = "oneshot";
    script = ''
      mkdir -p /run/udev/data
      echo I:1 >"/run/udev/data/n$(cat /sys/class/net/eth0/ifindex)"
    '';
  };
  services.resolved = { enable = mkDefault true; } // (
    if options.services.resolved ? settings then {
      settings.Resolve = { DNSStubListener = "no"; LLMNR = "no"; MulticastDNS = "no"; };
    } else {
      # Its form before NixOS 26.05.
      llmnr = "false";
      extraConfig = ''
        DNSStubListener=no
        MulticastDNS=no
      '';
    }
  );
  # The clock is the host's.
  services.timesyncd.enable = mkDefault false;

  # Whoever reaches the console commands the engine, and with it everything inside.
  services.getty.autologinUser = mkDefault "codchi";

  documentation.nixos.enable = mkDefault false;
  # A machine's state is made new by its modules: it follows the nixpkgs that it is built from.
  system.stateVersion = mkDefault config.system.nixos.release;
}
