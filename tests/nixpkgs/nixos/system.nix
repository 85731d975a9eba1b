# The whole: `system.build.toplevel`, and the ways into it (`init`) and to it (`switch-to-configuration`).
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  on = default: mkOption { type = types.bool; inherit default; description = "A switch."; };

  init = pkgs.writeScript "init" ''
    #!${pkgs.debian}/usr/bin/busybox sh
    # Started by the engine as the first process, in a root file system that holds no more than mount points.
    system=$(${pkgs.debian}/usr/bin/busybox dirname "$(${pkgs.debian}/usr/bin/busybox readlink -f "$0")")
    ${pkgs.debian}/usr/bin/busybox mkdir -p /run
    ${pkgs.debian}/usr/bin/busybox mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs /run
    ${pkgs.debian}/usr/bin/busybox mkdir -p /run/wrappers
    ${pkgs.debian}/usr/bin/busybox mount -t tmpfs -o mode=0755,nodev tmpfs /run/wrappers
    "$system/activate" "$system" </dev/null
    ln -sfn "$system" /run/booted-system
    exec /lib/systemd/systemd
  '';

  switch = pkgs.writeScript "switch-to-configuration" ''
    #!/bin/bash
    # switch-to-configuration switch|test|boot|dry-activate
    set -euo pipefail
    system=@out@
    dry=
    case ''${1-} in
      switch | test) ;;
      boot) exit 0 ;;
      dry-activate) dry=1 ;;
      *) echo "Usage: switch-to-configuration switch|test|boot|dry-activate" >&2; exit 1 ;;
    esac
    exec 9>/run/switch-to-configuration.lock
    flock -n 9 || { echo "Could not acquire the lock of another switch" >&2; exit 1; }

    units=etc/systemd/system
    old=$(readlink -f /run/current-system)
    active() { systemctl is-active --quiet -- "$1"; }
    # A unit's own text and what is added to it.
    text() { cat "$1/$units/$2" "$1/$units/$2.d/"* 2>/dev/null || true; }
    # Instances and wants are folders; units are what is left.
    names() { (cd "$1/$units" && find -L . -maxdepth 2 -type f | sed -e 's|^\./||' -e 's|\.d/.*||' -e '/\//d' | sort -u); }

    stop=() restart=() start=()
    while read -r unit; do
      active "$unit" || continue
      if [ ! -e "$system/$units/$unit" ] && [ ! -e "$system/$units/$unit.d" ]; then
        stop+=("$unit")
      elif [ "$(text "$old" "$unit")" != "$(text "$system" "$unit")" ] && ! grep -qx 'X-RestartIfChanged=false' "$system/$units/$unit" 2>/dev/null; then
        restart+=("$unit")
      fi
    done < <(names "$old")
    # What the targets want in the new system and did not before.
    wanted() {
      cd "$system/$units" && for wants in *.target.wants; do
        active "''${wants%.wants}" || continue
        for unit in "$wants"/*; do [ -e "$old/$units/$unit" ] || echo "''${unit##*/}"; done
      done
    }
    if [ "$dry" ]; then
      would() {
        local what=$1 units
        shift
        (($#)) || return 0
        units=$(printf ', %s' "$@")
        echo "would $what the following units: ''${units#, }" >&2
      }
      would stop "''${stop[@]}"
      echo "would activate the configuration..." >&2
      would restart "''${restart[@]}"
      while read -r unit; do active "$unit" || start+=("$unit"); done < <(wanted)
      would start "''${start[@]}"
      exit 0
    fi
    if ((''${#stop[@]})); then
      echo "stopping: ''${stop[*]}"
      systemctl stop -- "''${stop[@]}"
    fi

    code=0
    echo "activating the configuration..."
    "$system/activate" "$system" || code=2
    systemctl daemon-reload
    systemd-tmpfiles --create --remove --exclude-prefix=/dev 2>/dev/null || true
    if ((''${#restart[@]})); then
      echo "restarting: ''${restart[*]}"
      systemctl restart -- "''${restart[@]}" || code=4
    fi
    systemctl start --no-block default.target
    while read -r unit; do active "$unit" || start+=("$unit"); done < <(wanted)
    if ((''${#start[@]})); then
      echo "starting: ''${start[*]}"
      systemctl start -- "''${start[@]}" || code=4
    fi
    exit $code
  '';

  failed = map (assertion: assertion.message) (lib.filter (assertion: !assertion.assertion) config.assertions);
  checked = system:
    if failed != [ ] then throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (message: "- ${message}") failed}"
    else lib.foldl' (result: warning: lib.warn warning result) system config.warnings;
in
{
  options = {
    system = {
      build = mkOption { type = types.lazyAttrsOf types.unspecified; default = { }; description = "What the system is made of."; };
      path = mkOption { type = types.package; internal = true; description = "The packages of the system as one."; };
      stateVersion = mkOption { type = types.str; default = config.system.nixos.release; description = "Accepted."; };
      nixos.release = mkOption { type = types.str; default = "25.11"; readOnly = true; description = "The release that this stands in for."; };
    };
    boot.isContainer = on false;
    boot.nixStoreMountOpts = mkOption { type = types.listOf types.str; default = [ "ro" "nodev" "nosuid" ]; description = "How the store is mounted."; };
    nix.enable = on true;
    nix.settings = mkOption { type = types.attrsOf types.anything; default = { }; description = "nix.conf."; };
    documentation.nixos.enable = on true;
    # A place where modules put functions for others.
    lib = mkOption { type = types.attrsOf types.raw; default = { }; internal = true; description = "Functions."; };
  };

  config = {
    assertions = [
      { assertion = config.boot.isContainer; message = "boot.isContainer: this stand-in for nixpkgs makes containers only."; }
      { assertion = !config.nix.enable; message = "nix.enable: this stand-in for nixpkgs has no Nix."; }
      { assertion = config.boot.nixStoreMountOpts == [ ]; message = "boot.nixStoreMountOpts: a container of this stand-in does not mount its store."; }
    ];
    system.build.toplevel = checked (pkgs.runCommand "nixos-system-${config.networking.hostName}" { } ''
      mkdir -p $out/bin
      cp ${init} $out/init
      cp ${config.system.build.activate} $out/activate
      ln -s ${config.system.path} $out/sw
      ln -s ${config.system.build.etc}  $out/etc
      sed "s|@out@|$out|" ${switch} >$out/bin/switch-to-configuration
      chmod +x $out/bin/switch-to-configuration
      printf %s ${config.system.nixos.release} >$out/nixos-version
    '');
  };
}
