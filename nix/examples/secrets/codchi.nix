# Secrets, in each of the ways that a machine can get them.
#
# Values are typed by each developer, kept encrypted on the host and never written to the Nix store or to a disk in the
# machine. `codchi secret set NAME` changes one later.
{ config, pkgs, ... }:
{
  codchi.secrets = {
    # The variable $CODCHI_API_TOKEN in every shell, and the file /run/codchi/secrets/API_TOKEN.
    API_TOKEN = {
      description = "A token for https://api.example.org, with read access";
      # Only this service gets it too, as the same variable.
      units = [ "report" ];
    };

    # Only the variable. Nobody is asked for it, but who has one can set it.
    env.SENTRY_DSN = {
      description = "Where errors are reported to, if you want that";
      required = false;
    };

    # Only the file, for another user than you.
    file.TLS_KEY = {
      description = "The private key of dev.example.org, as PEM";
      multiline = true;
      owner = "report";
      mode = "0400";
    };
  };

  users.users.report = {
    isSystemUser = true;
    group = "report";
  };
  users.groups.report = { };

  # Waits for the secrets at boot, and is restarted when one that it gets has changed.
  systemd.services.report = {
    description = "An example of a service that uses secrets";
    wantedBy = [ "multi-user.target" ];
    path = [ pkgs.coreutils ];
    serviceConfig.User = "report";
    script = ''
      echo "The token has ''${#CODCHI_API_TOKEN} characters, the key $(wc -l < ${config.codchi.secrets.file.TLS_KEY.path}) lines."
      exec sleep infinity
    '';
  };
}
