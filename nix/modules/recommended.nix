# What most development environments want.
{ config, lib, pkgs, options, ... }:
{
  options.codchi.enableRecommendedConfig = lib.mkOption {
    type = lib.types.bool;
    default = true;
    example = false;
    description = ''
      Settings that most development environments want: git, direnv, bash completion, `curl`, `less` and flakes for the `nix` command.

      Set it to `false` to begin with a bare NixOS.
    '';
  };

  config = lib.mkIf config.codchi.enableRecommendedConfig {
    programs = {
      bash =
        # Its name before NixOS 24.11.
        if options.programs.bash ? completion then { completion.enable = lib.mkDefault true; }
        else { enableCompletion = lib.mkDefault true; };
      git.enable = lib.mkDefault true;
      direnv = {
        enable = lib.mkDefault true;
        # It builds with the machine's own Nix, which NixOS knows of only where it runs the daemon.
        nix-direnv.enable = lib.mkDefault config.nix.enable;
      };
    };
    environment.systemPackages = [ pkgs.curl pkgs.less ];
    nix.settings.experimental-features = [ "nix-command" "flakes" ];
  };
}
