# Network: systemd-networkd and resolved.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  on = default: mkOption { type = types.bool; inherit default; description = "A switch."; };
  section = mkOption { type = types.attrsOf types.unspecified; default = { }; description = "A section of the file."; };
  cfg = config.networking;
in
{
  options = {
    networking = {
      hostName = mkOption { type = types.strMatching "|[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?"; default = "nixos"; description = "The host's name."; };
      useNetworkd = on false;
      useDHCP = on true;
      useHostResolvConf = on false;
      firewall.enable = on true;
      dhcpcd.enable = on true;
      resolvconf.enable = on true;
    };
    systemd.network = {
      enable = on cfg.useNetworkd;
      wait-online.enable = on true;
      networks = mkOption {
        default = { };
        description = "Network files of systemd-networkd.";
        type = types.attrsOf (types.submodule { options = { matchConfig = section; networkConfig = section; linkConfig = section; }; });
      };
    };
    services.resolved.enable = on false;
    services.resolved.settings.Resolve = section;
    services.timesyncd.enable = on true;
    services.udev.enable = on true;
  };

  config = {
    assertions = [
      { assertion = !cfg.firewall.enable; message = "networking.firewall.enable: this stand-in for nixpkgs has no firewall."; }
      { assertion = !cfg.useDHCP; message = "networking.useDHCP: this stand-in for nixpkgs has no dhcpcd; use systemd.network."; }
      { assertion = !config.services.udev.enable; message = "services.udev.enable: this stand-in for nixpkgs has no udev."; }
      { assertion = !(cfg.useHostResolvConf && config.services.resolved.enable); message = "Using host resolv.conf is not supported with systemd-resolved"; }
    ];
    environment.etc = {
      hostname.text = cfg.hostName + "\n";
      hosts.text = "127.0.0.1 localhost\n127.0.1.1 ${cfg.hostName}\n::1 localhost\n";
    } // lib.optionalAttrs config.services.resolved.enable {
      "resolv.conf".source = "/run/systemd/resolve/stub-resolv.conf";
      "systemd/resolved.conf".text = config.lib.systemd.sections { inherit (config.services.resolved.settings) Resolve; };
    } // lib.mapAttrs' (name: network: lib.nameValuePair "systemd/network/${name}.network" {
      text = config.lib.systemd.sections { Match = network.matchConfig; Network = network.networkConfig; Link = network.linkConfig; };
    }) config.systemd.network.networks;
    systemd.distribution.enabled =
      lib.optional config.systemd.network.enable "systemd-networkd.service"
      ++ lib.optional (config.systemd.network.enable && config.systemd.network.wait-online.enable) "systemd-networkd-wait-online.service"
      ++ lib.optional config.services.resolved.enable "systemd-resolved.service";
  };
}
