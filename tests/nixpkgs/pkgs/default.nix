# The packages of the stand-in.
{ lib, system, debian }:
let
  builders = import ./builders.nix { inherit lib system tree; };

  # The output is in the store before anybody asks; only where it was collected does the builder run, and says so.
  tree = derivation {
    name = "debian";
    inherit system;
    outputHash = debian.hash;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
    builder = "/bin/sh";
    args = [ "-c" "echo 'The unpacked Debian is no longer in the store: run `cargo xtask lab up`, which puts it there.' >&2; exit 1" ];
  };

  # A package whose programs are Debian's.
  fromDebian = name: { programs ? [ name ], links ? { }, mainProgram ? name }:
    builders.runCommand name { meta.mainProgram = mainProgram; } (
      "mkdir -p $out/bin\n"
      + lib.concatMapStrings (program: "ln -s ${tree}/usr/bin/${program} $out/bin/\n") programs
      + lib.concatLines (lib.mapAttrsToList (to: from: "mkdir -p $out/${dirOf to}; ln -s ${tree}/${from} $out/${to}") links)
    );
  simple = lib.genAttrs [ "curl" "direnv" "git" "gzip" "less" "rsync" "socat" "sudo" "wget" "xsel" ] (name: fromDebian name { });

  pkgs = simple // builders // {
    inherit lib system pkgs;
    debian = tree;
    stdenv = { hostPlatform = { inherit system; isLinux = true; }; };
    runtimeShell = "${pkgs.bash}/bin/bash";
    bash = fromDebian "bash" { programs = [ "bash" "sh" ]; } // { shellPath = "/bin/bash"; };
    bashInteractive = pkgs.bash;
    bash-completion = fromDebian "bash-completion" { programs = [ ]; links."share/bash-completion" = "usr/share/bash-completion"; };
    cacert = fromDebian "cacert" { programs = [ ]; links."etc/ssl/certs/ca-bundle.crt" = "etc/ssl/certs/ca-certificates.crt"; };
    coreutils = fromDebian "coreutils" {
      programs = [
        "base64" "basename" "cat" "chgrp" "chmod" "chown" "comm" "cp" "cut" "date" "dd" "df" "dirname" "du" "echo" "env"
        "expr" "false" "head" "id" "install" "join" "kill" "ln" "ls" "md5sum" "mkdir" "mkfifo" "mktemp" "mv" "nproc" "od"
        "paste" "printenv" "printf" "pwd" "readlink" "realpath" "rm" "rmdir" "seq" "sha256sum" "sleep" "sort" "split"
        "stat" "stty" "sync" "tac" "tail" "tee" "test" "timeout" "touch" "tr" "true" "tty" "uname" "uniq" "wc" "whoami"
      ];
      mainProgram = "env";
    };
    findutils = fromDebian "findutils" { programs = [ "find" "xargs" ]; mainProgram = "find"; };
    # Runs where nothing of Debian is in its place: what it starts of its own is found in the folder that it is told.
    gitMinimal = builders.runCommand "git-minimal" { meta.mainProgram = "git"; } ''
      mkdir -p $out/bin $out/libexec
      ln -s ${tree}/usr/bin/busybox $out/bin/sh
      cat >$out/libexec/git <<END
      #!${tree}/usr/bin/busybox sh
      case \''${0##*/} in git-*) set -- "\''${0##*/git-}" "\$@" ;; esac
      export PATH=$out/bin:$out/libexec:\$PATH
      exec ${tree}/lib64/ld-linux-x86-64.so.2 --library-path ${tree}/usr/lib/x86_64-linux-gnu ${tree}/usr/bin/git --exec-path=$out/libexec "\$@"
      END
      chmod +x $out/libexec/git
      ln -s git $out/libexec/git-upload-pack
      ln -s $out/libexec/git $out/bin/git
    '';
    getent = fromDebian "getent" { };
    gnugrep = fromDebian "gnugrep" { programs = [ "grep" ]; mainProgram = "grep"; };
    gnused = fromDebian "gnused" { programs = [ "sed" ]; mainProgram = "sed"; };
    gnutar = fromDebian "gnutar" { programs = [ "tar" ]; mainProgram = "tar"; };
    iproute2 = fromDebian "iproute2" { programs = [ "ip" "ss" ]; mainProgram = "ip"; };
    openssh = fromDebian "openssh" {
      programs = [ "ssh" "scp" "sftp" "ssh-add" "ssh-agent" "ssh-keygen" ];
      links = { "bin/sshd" = "usr/sbin/sshd"; "libexec/sftp-server" = "usr/lib/openssh/sftp-server"; };
      mainProgram = "ssh";
    };
    procps = fromDebian "procps" { programs = [ "free" "pgrep" "pkill" "ps" "top" "uptime" "w" "watch" ]; mainProgram = "ps"; };
    pulseaudio = fromDebian "pulseaudio" { programs = [ "pactl" ]; mainProgram = "pactl"; };
    systemd = fromDebian "systemd" { programs = [ "busctl" "journalctl" "loginctl" "networkctl" "systemctl" "systemd-run" "systemd-tmpfiles" ]; mainProgram = "systemctl"; };
    util-linux = fromDebian "util-linux" { programs = [ "findmnt" "flock" "mount" "mountpoint" "setpriv" "umount" "unshare" ]; mainProgram = "mount"; };

    hello = builders.writeShellScriptBin "hello" "echo 'Hello, world!'";
  };
in
pkgs
