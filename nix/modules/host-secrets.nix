# What already is on the host and is handed in on request. Only declared here: the controller reads the manifest.
{ lib, ... }:
let
  ask = description: lib.mkOption {
    type = lib.types.bool;
    default = false;
    example = true;
    inherit description;
  };
in
{
  options.codchi.hostSecrets = {
    caCertificates = ask "Makes the machine trust the certificate authorities that the host trusts, e.g. those of a company's proxy.";
    sshAgent = ask ''
      Makes the host's SSH agent reachable in the machine as `$SSH_AUTH_SOCK`. Keys stay on the host; the machine can use them while it runs.

      Has an effect only where an agent runs on the host; to refuse hosts without one, name `ssh-agent` in `codchi.requiredCapabilities`.
    '';
    sshKeys = ask "Copies the host user's SSH keys into the machine's `~/.ssh`. Prefer `codchi.hostSecrets.sshAgent`, which leaves them where they are.";
    gitCredentials = ask "Lets `git` in the machine ask the host's credential helper, so that HTTPS remotes work without logging in again.";
    tokens = ask "Hands the access tokens of the host's tools (`gh`, `glab`, Nix's `access-tokens`, …) to the same tools in the machine.";
  };
}
