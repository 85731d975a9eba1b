# /etc, variables, packages and what shells read.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  lines = description: mkOption { type = types.lines; default = ""; inherit description; };
  variables = mkOption {
    default = { };
    description = "Environment variables; lists are joined with colons.";
    type = types.attrsOf (types.oneOf [ (types.listOf (types.oneOf [ types.int types.str types.path ])) types.int types.str types.path ]);
    apply = lib.mapAttrs (_: value: lib.concatMapStringsSep ":" toString (lib.toList value));
  };
  cfg = config.environment;

  setEnvironment = pkgs.writeText "set-environment" ''
    export __NIXOS_SET_ENVIRONMENT_DONE=1
    export PATH="/run/wrappers/bin:$HOME/.nix-profile/bin:/run/current-system/sw/bin"
    ${lib.concatLines (lib.mapAttrsToList (name: value: ''export ${name}="${value}"'') (cfg.sessionVariables // cfg.variables))}
    ${cfg.extraInit}
  '';
  loadEnvironment = ''
    if [ -z "''${__NIXOS_SET_ENVIRONMENT_DONE-}" ]; then
      . /etc/set-environment
    fi
  '';

  # What Debian has of its own: everything but what packages bring, so that a machine has those only when it says so.
  systemPath = pkgs.runCommand "system-path" { } ''
    mkdir -p $out/bin
    ln -s ${pkgs.debian}/usr/bin/* $out/bin/
    ln -sf ${pkgs.debian}/usr/sbin/* $out/bin/
    cd $out/bin
    rm -f curl direnv git git-* less pactl rsync socat wget xsel sudo su tar gzip init busybox
    ln -sf ${wanted}/bin/* $out/bin/
    for part in share lib libexec etc; do
      if [ -d ${wanted}/$part ]; then ln -s ${wanted}/$part $out/$part; fi
    done
  '';
  wanted = pkgs.buildEnv { name = "system-packages"; paths = cfg.systemPackages; };
in
{
  options.environment = {
    etc = mkOption {
      default = { };
      description = "Files in /etc.";
      type = types.attrsOf (types.submodule ({ name, config, ... }: {
        options = {
          enable = mkOption { type = types.bool; default = true; description = "Whether it is made."; };
          target = mkOption { type = types.str; default = name; description = "Its path below /etc."; };
          text = mkOption { type = types.nullOr types.lines; default = null; description = "What it holds."; };
          source = mkOption { type = types.path; description = "What it is a link to."; };
          mode = mkOption { type = types.str; default = "symlink"; description = "The permissions of a copy, instead of a link."; };
          user = mkOption { type = types.str; default = "root"; description = "The owner of a copy."; };
          group = mkOption { type = types.str; default = "root"; description = "The group of a copy."; };
        };
        config.source = lib.mkIf (config.text != null) (lib.mkDefault (pkgs.writeText (builtins.replaceStrings [ "/" "@" ] [ "-" "-" ] name) config.text));
      }));
    };
    inherit variables;
    binsh = mkOption { type = types.nullOr types.path; default = null; description = "What /bin/sh is where the engine has a /bin of its own; else it is Debian's."; };
    sessionVariables = variables;
    systemPackages = mkOption { type = types.listOf types.package; default = [ ]; description = "Packages on everybody's PATH."; };
    pathsToLink = mkOption { type = types.listOf types.str; default = [ ]; description = "Accepted: everything is linked."; };
    shellAliases = mkOption { type = types.attrsOf types.str; default = { }; description = "Aliases of interactive shells."; };
    extraInit = lines "What sets the environment of every session, after the variables.";
    shellInit = lines "What every login or interactive shell runs.";
    loginShellInit = lines "What login shells run.";
    interactiveShellInit = lines "What interactive shells run.";
  };

  config = {
    environment.systemPackages = [ pkgs.gnutar pkgs.gzip ];
    environment.etc = {
      "set-environment".source = setEnvironment;
      profile.text = ''
        ${loadEnvironment}
        ${cfg.shellInit}
        ${cfg.loginShellInit}
        if [ -n "''${PS1-}" ]; then . /etc/bashrc; fi
      '';
      bashrc.text = ''
        ${loadEnvironment}
        if [ -n "''${PS1-}" ]; then
          PS1='\u@\h:\w\$ '
          ${lib.concatLines (lib.mapAttrsToList (name: value: "alias ${name}=${lib.escapeShellArg value}") cfg.shellAliases)}
          ${cfg.interactiveShellInit}
        fi
      '';
      "bash.bashrc".source = "/etc/bashrc";
      motd.text = "";
      NIXOS.text = "";
    };
    system.path = systemPath;
  };
}
