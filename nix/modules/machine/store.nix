# Nix in machines that share the store of a store instance: its daemon's socket is in the store that they have.
{ config, lib, pkgs, ... }:
let
  profile = "/nix/var/nix/profiles/default";

  # The programs of the store's own Nix, which is always the one that the daemon is of, and is there already.
  nix = pkgs.runCommand "codchi-nix" { meta.mainProgram = "nix"; } ''
    mkdir -p $out/bin
    for program in nix nix-build nix-channel nix-copy-closure nix-env nix-hash nix-instantiate nix-prefetch-url nix-shell nix-store; do
      ln -s ${profile}/bin/$program $out/bin/
    done
  '';

  # The daemon cannot see this machine's files, and takes the links that keep what was built for broken ones. So what they
  # lead to is written down in a folder of the host that the daemon does see, each with the place of the link.
  roots = pkgs.writeShellScriptBin "codchi-roots" ''
    # codchi-roots [--running]: run as root; writes down what this machine uses of the store, with --running also what its
    # processes use at this moment.
    set -euo pipefail
    shopt -s nullglob
    export PATH=${lib.makeBinPath [ pkgs.coreutils pkgs.findutils pkgs.gnugrep pkgs.util-linux ]}
    cd /var/lib/codchi/roots
    exec 9>.lock
    flock 9

    put() { # NAME TARGET
      [ "$(readlink "$1" || true)" = "$2" ] || ln -sfnT "$2" "$1"
    }
    # Those that the daemon knows of, and those that are written down: one that the daemon has forgotten may still be there.
    for link in /nix/var/nix/gcroots/auto/* *.from; do
      name=''${link##*/}
      name=''${name%.from}
      place=$(readlink "$link") || continue
      target=$(readlink "$place") || target=
      case $target in
        /nix/store/*)
          put "$name" "$target"
          put "$name.from" "$place"
          ;;
        *) rm -f "$name" "$name.from" ;;
      esac
    done

    [ "''${1-}" = --running ] || exit 0
    used() {
      # Processes come and go.
      readlink /proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/root || true
      cat /proc/[0-9]*/maps || true
      cat /proc/[0-9]*/environ | tr '\0' '\n' || true
    }
    rm -f running-*
    used 2>/dev/null | { grep -aoE '/nix/store/[0-9a-z]{32}-[0-9a-zA-Z+._?=-]+' || true; } | sort -u | while read -r path; do
      [ ! -e "$path" ] || ln -sT "$path" "running-''${path##*/}"
    done
  '';
in
lib.mkIf (config.codchi.machine.store == "instance") {
  environment.systemPackages = [ nix roots ];
  environment.variables.NIX_REMOTE = "daemon";
  environment.etc."nix/nix.conf".text = ''
    experimental-features = nix-command flakes
  '';

  systemd.paths.codchi-roots = {
    description = "Something was built that is to be kept";
    wantedBy = [ "multi-user.target" ];
    pathConfig.PathChanged = "/nix/var/nix/gcroots/auto";
  };
  systemd.services.codchi-roots = {
    description = "Writes down what this machine uses of the store";
    # Also at the start: a copy of a machine has the same links.
    wantedBy = [ "multi-user.target" ];
    unitConfig.StartLimitIntervalSec = 0;
    serviceConfig = {
      Type = "oneshot";
      ExecStart = "${roots}/bin/codchi-roots";
    };
  };
}
