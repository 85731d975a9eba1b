# The host's graphics card in the machine.
{ pkgs, ... }:
{
  # No machine on a host without a card. Leave it out for a machine that uses a card only where there is one.
  codchi.requiredCapabilities = [ "gpu" ];
  codchi.gpu.enable = true;

  # OpenCL, Vulkan and OpenGL, and programs that show what they find.
  environment.systemPackages = [
    pkgs.clinfo
    pkgs.mesa-demos
    pkgs.vulkan-tools
  ];
}
