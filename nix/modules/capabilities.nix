# What the host must, or may, offer. The names are those of the `Capability` type in server/host.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  capabilities = types.enum [ "gpu" "cuda" "audio" "display" "usb" "ssh-agent" "kvm" "nesting" "fuse" "tun" ];
in
{
  options.codchi = {
    requiredCapabilities = mkOption {
      type = types.listOf capabilities;
      default = [ ];
      example = [ "gpu" "kvm" ];
      description = ''
        What the host must offer: a machine is not created without it.

        - `gpu`: a graphics card with a render node
        - `cuda`: an NVIDIA card with its driver
        - `audio`: a PipeWire or PulseAudio socket
        - `display`: a Wayland or X11 display
        - `usb`: USB devices
        - `ssh-agent`: a running SSH agent
        - `kvm`: hardware virtualisation
        - `nesting`: containers inside the machine
        - `fuse`: file systems in user space
        - `tun`: virtual network interfaces
      '';
    };
    optionalCapabilities = mkOption {
      type = types.listOf capabilities;
      default = [ ];
      example = [ "audio" "display" ];
      description = "What the machine uses where the host offers it. A machine is also created where the host does not.";
    };
  };
}
