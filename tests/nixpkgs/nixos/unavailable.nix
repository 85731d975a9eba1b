# What NixOS has and this stand-in has not: may be named, may not be switched on.
{ config, lib, ... }:
let
  switches = [
    [ "hardware" "graphics" "enable" ]
    [ "hardware" "nvidia-container-toolkit" "enable" ]
    [ "services" "gnome" "gnome-keyring" "enable" ]
    [ "services" "openssh" "enable" ]
    [ "virtualisation" "docker" "enable" ]
  ];
in
{
  options = lib.foldl' lib.recursiveUpdate { } (map (path: lib.setAttrByPath path (lib.mkEnableOption "what is not here")) switches);
  config.assertions = map (path: {
    assertion = !(lib.getAttrFromPath path config);
    message = "${lib.showOption path}: this stand-in for nixpkgs has no such thing; use real nixpkgs.";
  }) switches;
}
