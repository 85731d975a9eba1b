# Secrets in systemd services that ask for them.
{ config, lib, pkgs, ... }:
let
  units = lib.unique (lib.concatMap (secret: secret.units) (lib.attrValues config.codchi.manifest.secrets));
in
{
  systemd.services = {
    # Waits for the delivery, together with those who ask for secrets; everything else boots on.
    codchi-secrets = {
      description = "Delivery of secrets";
      restartIfChanged = false;
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
        TimeoutStartSec = "infinity";
      };
      script = ''
        # Open for reading and writing: a delivery between the look and the wait is then not missed.
        exec 3<>/run/codchi.wait
        [ -e /run/codchi ] || read -r _ <&3
      '';
    };
  } // lib.genAttrs units (unit: {
    requires = [ "codchi-secrets.service" ];
    after = [ "codchi-secrets.service" ];
    # A secret that is not required may have no value; one that is a file only is named there, so that its change is noticed.
    serviceConfig.EnvironmentFile = [ "-/run/codchi/units/${unit}.env" ];
  });

  systemd.tmpfiles.rules = [ "p /run/codchi.wait 0600 root root -" ];
}
