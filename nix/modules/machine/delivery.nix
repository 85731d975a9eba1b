# How secrets and keys get in: one archive on standard input, never an argument or a file on disk.
{ config, pkgs, lib, ... }:
let
  inherit (config.users.users.codchi) group;
  receive = pkgs.writeShellScriptBin "codchi-receive" ''
    # codchi-receive: run as root; makes /run/codchi equal to the tar archive on standard input.
    set -euo pipefail
    export PATH=${lib.makeBinPath [ pkgs.coreutils pkgs.gnutar pkgs.systemd ]}
    umask 077

    # Until the system has made this, /run is not the one that it will use, and users are not known.
    for ((waited = 0; ; waited++)); do
      [ ! -p /run/codchi.wait ] || break
      if ((waited >= 1200)); then
        echo "codchi-receive: the machine's system did not come up within 60 seconds; see journalctl -b in it" >&2
        exit 1
      fi
      sleep 0.05
    done

    # A folder of its own for each delivery, and a link that is switched: nobody ever sees half of one.
    new=$(mktemp -d /run/codchi.XXXXXX)
    trap 'rm -rf "$new"' EXIT
    tar --extract --same-owner --same-permissions --no-overwrite-dir --file - --directory "$new"
    mkdir -p "$new/secrets" "$new/units" "$new/ssh"
    chmod 0755 "$new" "$new/secrets" "$new/ssh"
    chmod 0700 "$new/units"
    if [ -e "$new/env" ]; then
      chown codchi:${group} "$new/env"
      chmod 0400 "$new/env"
    fi
    # sshd reads the keys that may log in as the user who does.
    [ ! -e "$new/ssh/authorized_keys" ] || chmod 0644 "$new/ssh/authorized_keys"
    [ ! -e "$new/ssh/host_key" ] || chmod 0600 "$new/ssh/host_key"

    old=$(readlink -f /run/codchi || true)
    [ -d "$old" ] || old=
    ln -s "$new" "$new.link"
    mv -T "$new.link" /run/codchi
    trap - EXIT
    ${config.codchi.machine.onDelivery}
    # Opened for writing as well, so that it does not wait where nobody reads.
    echo 1<>/run/codchi.wait

    # Clients look for the host's X server where display 0 of this machine is.
    display=/tmp/.X11-unix/X0
    if [ -S /dev/codchi-x11 ]; then
      mkdir -p -m 1777 /tmp/.X11-unix
      [ -S "$display" ] || ln -sfT /dev/codchi-x11 "$display"
    elif [ "$(readlink "$display" || true)" = /dev/codchi-x11 ]; then
      rm -f "$display"
    fi

    # Services run with the values that they were started with: give them the new ones.
    if [ -n "$old" ]; then
      changed=()
      for file in "$old"/units/*.env "$new"/units/*.env; do
        [ -e "$file" ] || continue
        unit=''${file##*/}
        # One that does not run, or comes only with the next generation, reads its values when it starts.
        systemctl --quiet is-active "''${unit%.env}.service" || continue
        if [ "$(cat "$old/units/$unit" 2>/dev/null || true)" != "$(cat "$new/units/$unit" 2>/dev/null || true)" ]; then
          changed+=("''${unit%.env}.service")
        fi
      done
      rm -rf "$old"
      if ((''${#changed[@]})); then
        systemctl --no-block try-restart "''${changed[@]}"
      fi
    fi
  '';
in
{
  environment.systemPackages = [ receive ];
}
