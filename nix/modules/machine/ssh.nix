# An SSH server that nobody can reach but through the engine: it speaks on standard input and output, nothing listens.
{ lib, pkgs, ... }:
let
  # The environment is the same for a terminal, a command, scp, sftp and rsync.
  forced = pkgs.writeShellScript "codchi-ssh-session" ''
    if [ -z "''${SSH_ORIGINAL_COMMAND-}" ]; then
      exec ${sw}/codchi-session
    fi
    command=$SSH_ORIGINAL_COMMAND
    unset SSH_ORIGINAL_COMMAND
    exec ${sw}/codchi-session "$SHELL" -c "$command"
  '';
  sw = "/run/current-system/sw/bin";

  sshdConfig = pkgs.writeText "codchi-sshd_config" ''
    HostKey /run/codchi/ssh/host_key
    AuthorizedKeysFile /run/codchi/ssh/authorized_keys
    AllowUsers codchi
    AuthenticationMethods publickey
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    UsePAM yes
    PidFile none
    PrintMotd no
    PrintLastLog no
    # Remote editors forward to the ports and sockets of their server in the machine.
    AllowTcpForwarding yes
    AllowStreamLocalForwarding yes
    AllowAgentForwarding yes
    X11Forwarding no
    AcceptEnv LANG LC_* COLORTERM TERM_PROGRAM TERM_PROGRAM_VERSION GIT_AUTHOR_* GIT_COMMITTER_*
    Subsystem sftp ${pkgs.openssh}/libexec/sftp-server
    ForceCommand ${forced}
  '';
  sshd = pkgs.writeShellScriptBin "codchi-sshd" ''
    # codchi-sshd: run as root; one SSH connection on standard input and output.
    if [ ! -e /run/codchi/ssh/host_key ]; then
      echo "codchi-sshd: the machine has not got its keys yet: run 'codchi start' for it on the host" >&2
      exit 1
    fi
    exec ${pkgs.openssh}/bin/sshd -i -f ${sshdConfig}
  '';
in
{
  environment.systemPackages = [ sshd ];

  # What sshd needs of the system, as `services.openssh.enable` would make it, without a server.
  users.users.sshd = {
    isSystemUser = true;
    group = "sshd";
  };
  users.groups.sshd = { };
  security.pam.services.sshd.startSession = lib.mkDefault true;
}
