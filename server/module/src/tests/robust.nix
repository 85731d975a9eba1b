# A module with all that facts are made of, é included.
{ config, lib, pkgs, ... }@args:
let
  inherit (lib) mkIf mkMerge optional;
  port = 8080;
  token = rec { description = "A tökén"; required = flag; flag = true; };
in
{
  imports = [ ./base.nix (import ./called.nix { inherit pkgs; }) ] ++ optional config.x (./dir + "/file.nix");

  options.codchi.mine = lib.mkOption { };

  config = mkMerge [
    {
      codchi.secrets = {
        TOKEN = token;
        env.OLD.description = ''
          Several lines with ''${escapes}
            and ${toString port}
        '';
        file."KEY" = { inherit (token) description; mode = "0440"; } // { owner = "me"; };
        ${config.name}.required = if config.z then true else -1 != 2;
      };
      codchi.mine = 1;
    }
    (mkIf config.y { codchi = { gpu.enable = true; docker = { enable = lib.mkDefault false; }; }; })
    {
      codchi.requiredCapabilities = [ "gpu" "kvm" ] ++ lib.optionals config.z [ "tun" ];
      codchi.initScript = with pkgs; assert true; "${hello}/bin/hello \"quoted\" \${x}";
      codchi.keyring.enable = (let yes = true; in yes);
      systemd.services.x = { script = "exec ${pkgs.hello}"; environment = { A = "b"; }; };
    }
  ];
}
