# Docker inside the machine.
{ config, lib, options, ... }:
let
  inherit (lib) mkIf mkMerge mkOption types;
  cfg = config.codchi.docker;
in
{
  options.codchi.docker = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Runs a Docker daemon in the machine, and lets the machine's user use it without `sudo`.

        Containers inside the machine need a host that permits them: the capability `nesting`.
      '';
    };
    enableNvidia = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = ''
        Hands the host's NVIDIA graphics card on to Docker containers (`docker run --device nvidia.com/gpu=all …`).

        Has an effect only with `codchi.docker.enable`; needs the capability `cuda`.
      '';
    };
  };

  config = mkMerge [
    (mkIf cfg.enable {
      codchi.requiredCapabilities = [ "nesting" ];
      virtualisation.docker.enable = true;
      users.users.codchi.extraGroups = [ "docker" ];
    })
    (mkIf (cfg.enable && cfg.enableNvidia) {
      codchi.requiredCapabilities = [ "cuda" ];
      hardware.nvidia-container-toolkit = { enable = true; }
        # The driver is the host's: the machine's own system has none, and need not.
        // lib.optionalAttrs (options.hardware.nvidia-container-toolkit ? suppressNvidiaDriverAssertion) {
          suppressNvidiaDriverAssertion = true;
        };
    })
  ];
}
