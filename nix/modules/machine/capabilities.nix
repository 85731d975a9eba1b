# Whether what the host hands in works here, tried as the machine's user.
{ config, lib, pkgs, ... }:
let
  check = pkgs.writeShellScriptBin "codchi-capabilities" ''
    # codchi-capabilities NAME|NAME:SOCKET…: tries each capability, all at once; for each prints a line with the argument as it was
    # given, and after a space what does not work, where something does not.
    if [ "$EUID" = 0 ]; then
      exec ${pkgs.util-linux}/bin/setpriv --reuid=codchi --regid=${config.users.users.codchi.group} --init-groups "$0" "$@"
    fi
    export PATH=${lib.makeBinPath [ pkgs.coreutils pkgs.socat pkgs.util-linux ]}

    # The shell's own message begins with the script's name and line.
    opens() {
      local said
      said=$( { : <>"$1"; } 2>&1 ) || echo "$1 cannot be opened: ''${said##*: }"
    }
    any_opens() { # WHAT PATH…
      local what=$1 path
      shift
      for path; do
        if [ -z "$(opens "$path")" ]; then return; fi
      done
      if [ -e "$1" ]; then opens "$1"; else echo "there is no $what"; fi
    }
    # The engine takes every connection, and ends it at once where nobody answers on the host. Who does answer waits for a question.
    answers() {
      local code=0
      [ -S "$1" ] || { echo "there is no socket $1"; return; }
      timeout 0.5 socat -u "UNIX-CONNECT:$1" - >/dev/null 2>&1 || code=$?
      case $code in
        124) ;;
        0) echo "nobody on the host answers at $1" ;;
        *) echo "$1 cannot be connected to" ;;
      esac
    }
    nests() {
      local said
      # As containers in here do: a process tree of their own.
      said=$(unshare --user --map-root-user --mount --pid --fork --mount-proc true 2>&1) \
        || echo "no user namespace with a /proc of its own can be made: ''${said##*: }"
    }
    cuda() {
      local device library
      for device in /dev/nvidiactl /dev/nvidia0 /dev/nvidia-uvm; do
        opens "$device"
      done
      for library in /run/opengl-driver/lib /usr/lib /usr/lib64 /usr/lib/*; do
        if [ -e "$library/libcuda.so.1" ]; then return; fi
      done
      echo "there is no libcuda.so.1"
    }
    check() {
      case $1 in
        *:/*) answers "''${1#*:}" ;;
        gpu) any_opens "render node in /dev/dri" /dev/dri/renderD* ;;
        cuda) cuda ;;
        kvm) opens /dev/kvm ;;
        fuse) opens /dev/fuse ;;
        tun) opens /dev/net/tun ;;
        usb) any_opens "USB device in /dev/bus/usb" /dev/bus/usb/*/* ;;
        nesting) nests ;;
      esac
    }

    for capability; do
      {
        read -r said < <(check "$capability") || true
        # In one write, so that lines stay whole.
        echo "$capability''${said:+ $said}"
      } &
    done
    wait
  '';
in
{
  environment.systemPackages = [ check ];

  # The engine passes the host's sound server on, but descriptors of shared memory may come with other bytes than PulseAudio's own
  # protocol demands.
  environment.etc = lib.mkIf (lib.elem "audio" (config.codchi.requiredCapabilities ++ config.codchi.optionalCapabilities)) {
    "pulse/client.conf".text = lib.mkDefault ''
      autospawn = no
      enable-shm = no
    '';
  };

  # The link to the host's X server, which codchi-receive makes, is not to be cleaned away for its age.
  systemd.tmpfiles.rules = [ "x /tmp/.X11-unix/X0" ];
}
