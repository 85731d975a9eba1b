# Programs with options of their own.
{ config, lib, pkgs, ... }:
let
  on = default: lib.mkOption { type = lib.types.bool; inherit default; description = "A switch."; };
  inherit (config) programs;
in
{
  options.programs = {
    bash.completion.enable = on true;
    direnv.enable = on false;
    direnv.nix-direnv.enable = on true;
    git.enable = on false;
    nix-ld.enable = on false;
    nix-ld.libraries = lib.mkOption { type = lib.types.listOf lib.types.package; default = [ ]; description = "Libraries that downloaded programs find."; };
  };
  config = {
    environment.systemPackages =
      lib.optional programs.bash.completion.enable pkgs.bash-completion
      ++ lib.optional programs.direnv.enable pkgs.direnv
      ++ lib.optional programs.git.enable pkgs.git;
    environment.interactiveShellInit = lib.mkMerge [
      (lib.mkIf programs.bash.completion.enable ''
        [ -z "''${BASH_VERSION-}" ] || . ${pkgs.bash-completion}/share/bash-completion/bash_completion
      '')
      (lib.mkIf programs.direnv.enable ''
        [ -z "''${BASH_VERSION-}" ] || eval "$(direnv hook bash)"
      '')
    ];
    # Debian's loader is where downloaded programs look for it: the variables are all that is needed.
    environment.variables = lib.mkIf programs.nix-ld.enable {
      NIX_LD = "/lib64/ld-linux-x86-64.so.2";
      NIX_LD_LIBRARY_PATH = lib.makeLibraryPath programs.nix-ld.libraries;
    };
  };
}
