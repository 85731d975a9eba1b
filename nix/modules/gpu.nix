# The host's graphics card.
{ config, lib, options, ... }:
{
  options.codchi.gpu.enable = lib.mkOption {
    type = lib.types.bool;
    default = false;
    example = true;
    description = ''
      Makes the host's graphics card usable in the machine: the device nodes, and the drivers in the machine's system.

      The machine is also created where the host has none; to refuse that, name `gpu` in `codchi.requiredCapabilities`.
    '';
  };

  config = lib.mkIf config.codchi.gpu.enable {
    codchi.optionalCapabilities = [ "gpu" ];
    hardware =
      # Its name before NixOS 24.11.
      if options.hardware ? graphics then { graphics.enable = lib.mkDefault true; }
      else { opengl.enable = lib.mkDefault true; };
    users.users.codchi.extraGroups = [ "video" "render" ];
  };
}
