# The user's environment, the same however one gets in.
{ config, lib, pkgs, ... }:
let
  # For programs that the engine starts, which have no environment, and for SSH sessions, whose shell may read no
  # start-up file. Secrets come with the system's environment, below.
  session = pkgs.writeShellScriptBin "codchi-session" ''
    # codchi-session [COMMAND…]: the user's login environment with secrets, then the command, or else a login shell.
    # As root it first becomes the user, with all of the user's groups.
    if [ "$EUID" = 0 ]; then
      exec ${pkgs.util-linux}/bin/setpriv --reuid=codchi --regid=${config.users.users.codchi.group} --init-groups "$0" "$@"
    fi
    IFS=: read -r USER _ uid _ _ HOME SHELL < <(${pkgs.getent}/bin/getent passwd "$EUID")
    if [ -z "$USER" ]; then
      echo "codchi-session: there is no user with the id $EUID in this machine" >&2
      exit 1
    fi
    export USER HOME SHELL LOGNAME=$USER
    : "''${LANG:=C.UTF-8}"
    export LANG
    if [ -d "/run/user/$uid" ]; then
      export XDG_RUNTIME_DIR=/run/user/$uid
      if [ -S "$XDG_RUNTIME_DIR/bus" ]; then
        export DBUS_SESSION_BUS_ADDRESS=unix:path=$XDG_RUNTIME_DIR/bus
      fi
    fi
    unset uid __NIXOS_SET_ENVIRONMENT_DONE
    . /etc/set-environment
    if [ $# = 0 ]; then
      # It stays where it was started: the project's folder, or home by sshd. Home too where the user may not be there.
      [ -x . ] || cd || true
      exec -l "$SHELL"
    fi
    exec "$@"
  '';
in
{
  environment.systemPackages = [ session ];

  # Every login shell, also that of `su -` and `machinectl`. The file belongs to the user, and only its owner reads it.
  environment.extraInit = ''
    if [ -O /run/codchi/env ] && [ -r /run/codchi/env ]; then
      # An agent that came along, as with `ssh -A`, is the one that is meant.
      __codchi_agent=''${SSH_AUTH_SOCK-}
      . /run/codchi/env
      [ -z "$__codchi_agent" ] || export SSH_AUTH_SOCK=$__codchi_agent
      unset __codchi_agent
    fi
  '';
}
