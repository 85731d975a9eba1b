# A distribution of WSL 2. WSL itself writes /etc/resolv.conf and /etc/hosts, and /etc/wsl.conf is codchi's: WSL reads it before there is a
# store that a link could lead to.
{ config, lib, options, pkgs, ... }:
let
  inherit (lib) mkDefault mkForce;
  asked = config.codchi.requiredCapabilities ++ config.codchi.optionalCapabilities;
  sw = "/run/current-system/sw/bin";

  # Opens a link, or a file on a drive, as Windows does.
  open = pkgs.writeShellScriptBin "codchi-open" ''
    # codchi-open URL|FILE: opens it with the program that Windows has for it.
    target=''${1?codchi-open: a link or a file is missing}
    if [ -e "$target" ] && [ -x ${wslpath} ]; then
      target=$(${wslpath} -w "$target")
    fi
    for root in /mnt/c /mnt/d; do
      if [ -x "$root/Windows/System32/rundll32.exe" ]; then
        exec "$root/Windows/System32/rundll32.exe" url.dll,FileProtocolHandler "$target"
      fi
    done
    echo "codchi-open: Windows' programs cannot be reached from this machine (interop is off)" >&2
    exit 1
  '';
  wslpath = "/usr/bin/wslpath";

  # What the host's graphics driver has for Linux programs; WSL mounts it, and no loader of NixOS looks there.
  libraries = pkgs.runCommand "wsl-graphics" { } ''
    mkdir -p $out/lib
    for library in libcuda.so libcuda.so.1 libcuda.so.1.1 libd3d12.so libd3d12core.so libdxcore.so libnvcuvid.so libnvcuvid.so.1 \
      libnvidia-encode.so libnvidia-encode.so.1 libnvidia-ml.so.1 libnvidia-opticalflow.so libnvidia-opticalflow.so.1 libnvdxdlkernels.so; do
      ln -s "/usr/lib/wsl/lib/$library" $out/lib/
    done
  '';
in
lib.mkIf (config.codchi.machine.driver == "wsl") (lib.mkMerge [
  {
    networking.dhcpcd.enable = false;
    networking.resolvconf.enable = false;
    services.resolved.enable = mkForce false;
    environment.etc = {
      hosts.enable = false;
      "resolv.conf".enable = false;
    };

    # WSL starts programs with a search path of its own, which has no folder of NixOS: sessions of `wsl.exe`, the servers of remote
    # editors, and what it asks systemd for itself.
    systemd.tmpfiles.rules = [
      "L+- /usr/local/bin - - - - ${sw}"
      "L+- /usr/local/sbin - - - - /run/wrappers/bin"
      "L+- /bin/bash - - - - ${sw}/bash"
      "L+- /bin/login - - - - ${sw}/login"
      "L+- /bin/mount - - - - ${sw}/mount"
      "L+ ${wslpath} - - - - /init"
    ];
    # Non-interactive shells of such sessions read no file: secrets and variables come with this one.
    environment.binsh = "${pkgs.writeShellScript "sh" ''
      if [ -n "''${WSL_DISTRO_NAME-}" ] && [ -z "''${__NIXOS_SET_ENVIRONMENT_DONE-}" ] && [ -r /etc/set-environment ]; then
        . /etc/set-environment
      fi
      exec ${pkgs.bashInteractive}/bin/sh "$@"
    ''}";
    # Without it WSL says that it cannot log root in.
    users.users.root.extraGroups = [ "root" ];

    environment.systemPackages = [ open ];
    environment.sessionVariables.BROWSER = mkDefault "codchi-open";

    # What WSLg offers is in every distribution; sessions that do not come from `wsl.exe` are not told.
    environment.extraInit = ''
      if [ -S /mnt/wslg/.X11-unix/X0 ]; then
        export DISPLAY=''${DISPLAY:-:0}
      fi
      if [ -S /mnt/wslg/runtime-dir/wayland-0 ]; then
        export WAYLAND_DISPLAY=''${WAYLAND_DISPLAY:-/mnt/wslg/runtime-dir/wayland-0}
      fi
      if [ -S /mnt/wslg/PulseServer ]; then
        export PULSE_SERVER=''${PULSE_SERVER:-unix:/mnt/wslg/PulseServer}
      fi
    '';
  }
  (lib.mkIf (config.codchi.gpu.enable || lib.elem "gpu" asked || lib.elem "cuda" asked) {
    hardware =
      if options.hardware ? graphics && options.hardware.graphics ? extraPackages then { graphics = { enable = mkDefault true; extraPackages = [ libraries ]; }; }
      # Its name before NixOS 24.11.
      else if options.hardware ? opengl then { opengl = { enable = mkDefault true; extraPackages = [ libraries ]; }; }
      else { };
  })
])
