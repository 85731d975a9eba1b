# The network of an unprivileged container of LXD or Incus.
{ config, lib, options, ... }:
let
  inherit (lib) mkDefault;
in
lib.mkIf (config.codchi.machine.driver == "lxd") {
  networking = {
    useNetworkd = true;
    useHostResolvConf = false;
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
  # There is no udev, whose word networkd waits for before it touches an interface: the engine's is ready from the start.
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
  # It writes resolv.conf, and serves nobody: neither a port on the loopback interface nor the neighbours.
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
}
