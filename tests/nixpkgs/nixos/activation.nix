# What makes a root file system this system's: at boot from an empty one, at a switch from that of an earlier system.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  scripts = config.system.activationScripts;

  # Each after those that it names.
  ordered = lib.foldl' (done: name: add done name) [ ] (lib.attrNames scripts);
  add = done: name:
    if lib.elem name done then done
    else lib.foldl' add done scripts.${name}.deps ++ [ name ];

  files = lib.filter (file: file.enable) (lib.attrValues config.environment.etc);
  etc = pkgs.runCommand "etc" { } (
    "mkdir $out\n"
    + lib.concatMapStrings (file: ''
      mkdir -p "$out/$(dirname ${lib.escapeShellArg file.target})"
      ln -s ${file.source} $out/${lib.escapeShellArg file.target}
    '') files
  );
  managed = pkgs.writeText "etc-files" (lib.concatMapStrings (file: "${file.mode} ${file.user} ${file.group} ${file.target}\n") files);
in
{
  options.system.activationScripts = mkOption {
    default = { };
    description = "Scripts that run at boot, before systemd, and at every switch. They may run any number of times.";
    type = types.attrsOf (types.coercedTo types.str (text: { inherit text; deps = [ ]; }) (types.submodule {
      options = {
        text = mkOption { type = types.lines; description = "The script."; };
        deps = mkOption { type = types.listOf types.str; default = [ ]; description = "Scripts that come before."; };
      };
    }));
  };

  config.system.activationScripts = {
    # The places where Debian's programs look for each other, and what they expect in /etc and /var.
    debian = ''
      for folder in usr bin lib lib64; do
        if [ -L /$folder ] || rmdir /$folder 2>/dev/null || ! [ -e /$folder ]; then
          ln -sfn ${pkgs.debian}/$folder /$folder
        else
          # The engine has something of its own there, as WSL has in /bin.
          ln -s ${pkgs.debian}/$folder/* /$folder/ 2>/dev/null || true
        fi
      done
      ${lib.optionalString (config.environment.binsh != null) "[ -L /bin ] || ln -sfn ${config.environment.binsh} /bin/sh"}
      mkdir -p /proc /sys /dev /run /etc /var/lib /var/log /var/cache /var/tmp /sbin /home /root /srv /mnt /opt /tmp
      chmod 1777 /tmp /var/tmp
      chmod 0700 /root
      if [ "$(cat /var/lib/debian 2>/dev/null)" != ${pkgs.debian} ]; then
        # Without their owners, which are nobody's: sudo and others refuse such files.
        cp -dRf ${pkgs.debian}/etc/. /etc/
        cp -dRn ${pkgs.debian}/var/. /var/
        chmod -R u+w /etc /var
        for program in ${pkgs.debian}/usr/sbin/*; do
          # /sbin/init is the engine's way in.
          [ "''${program##*/}" = init ] || ln -sf "/usr/sbin/''${program##*/}" /sbin/
        done
        echo ${pkgs.debian} >/var/lib/debian
      fi
      # Without one systemd takes this for a first boot and asks questions on the console.
      [ -s /etc/machine-id ] || tr -d - </proc/sys/kernel/random/uuid >/etc/machine-id
    '';
    etc = {
      deps = [ "debian" ];
      text = ''
        ln -sfn ${etc} /etc/.static
        mv -fT /etc/.static /etc/static
        while read -r mode user group target; do
          mkdir -p "/etc/$(dirname "$target")"
          # A link cannot take a folder's place.
          [ -L "/etc/$target" ] || [ ! -d "/etc/$target" ] || rm -rf "/etc/$target"
          if [ "$mode" = symlink ]; then
            ln -sfn "/etc/static/$target" "/etc/$target.new"
          else
            cp "/etc/static/$target" "/etc/$target.new"
            chown "$user:$group" "/etc/$target.new"
            chmod "$mode" "/etc/$target.new"
          fi
          mv -fT "/etc/$target.new" "/etc/$target"
        done <${managed}
        # What an earlier system made and this one does not.
        if [ -e /var/lib/etc-files ]; then
          while read -r _ _ _ target; do
            [ -e "/etc/static/$target" ] || [ -L "/etc/static/$target" ] || rm -rf "/etc/$target"
          done </var/lib/etc-files
        fi
        cp ${managed} /var/lib/etc-files
      '';
    };
  };

  config.system.build = {
    inherit etc;
    activate = pkgs.writeScript "activate" ''
      #!${pkgs.debian}/usr/bin/busybox sh
      # $1: the system, a path of the store
      # All commands here are those of the static busybox, which need no loader and no /usr.
      PATH=${pkgs.debian}/usr/bin:${pkgs.debian}/usr/sbin
      export PATH
      failed=0
      ${lib.concatMapStrings (name: ''
        # ${name}
        (
        set -e
        ${scripts.${name}.text}
        )
        [ $? = 0 ] || { echo "activation script ${name} failed" >&2; failed=1; }
      '') ordered}
      ln -sfn "$1" /run/current-system.new
      mv -fT /run/current-system.new /run/current-system
      exit $failed
    '';
  };
}
