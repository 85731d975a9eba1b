# What already is on the host and is handed in on request, once its user has agreed. Only declared here: the controller reads the
# manifest, and machine/host.nix is the machine's side.
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
    sshKeys = ask "Makes the host user's SSH keys and configuration readable in the machine's `~/.ssh`, as links to files in memory. Prefer `codchi.hostSecrets.sshAgent`, which leaves them where they are.";
    gitCredentials = ask "Gives `git` in the machine the name and address of the host's user, and lets it ask the host's credential helper, so that HTTPS remotes work without logging in again.";
    tokens = ask "Hands access tokens to tools in the machine, as `$GH_TOKEN`, `$GITHUB_TOKEN`, `$GITLAB_TOKEN`, `$NPM_TOKEN` and `$CARGO_REGISTRY_TOKEN`: those that are set with `codchi secret set`, else those of the host's `gh` and `glab`.";
  };
}
