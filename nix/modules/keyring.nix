# A Secret Service that is unlocked without anybody typing a password: the machine's user has none.
{ config, lib, pkgs, ... }:
let
  # Its place before NixOS 24.11.
  gnome-keyring = pkgs.gnome-keyring or pkgs.gnome.gnome-keyring;
in
{
  options.codchi.keyring.enable = lib.mkOption {
    type = lib.types.bool;
    default = false;
    example = true;
    description = "Runs a keyring (the Secret Service) in the machine, unlocked at login, for programs that keep passwords in one.";
  };

  config = lib.mkIf config.codchi.keyring.enable {
    services.gnome.gnome-keyring.enable = true;
    environment.systemPackages = [ pkgs.libsecret ];
    systemd.user.services.codchi-keyring = {
      description = "Unlocked keyring";
      wantedBy = [ "default.target" ];
      unitConfig.ConditionUser = "codchi";
      # An empty password makes, and later opens, a keyring that is as private as the home folder it lies in.
      script = "echo | ${gnome-keyring}/bin/gnome-keyring-daemon --foreground --unlock --components=secrets";
      serviceConfig.Restart = "on-failure";
    };
  };
}
