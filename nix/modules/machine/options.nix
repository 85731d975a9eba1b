# Which machine this is; set by lib.nix.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  given = type: description: mkOption {
    inherit type description;
    internal = true;
    visible = false;
  };
in
{
  options.codchi.machine = {
    name = given types.str "The machine's name.";
    driver = given (types.enum [ "lxd" "wsl" ]) "What runs the machine.";
    store = given (types.enum [ "host" "instance" ]) "Whose store the machine shares." // { default = "host"; };
    user = {
      uid = given types.int "The user id of the machine's user: the owner of the project folder as seen in the machine.";
      gid = given types.int "Its group id.";
    };
    onDelivery = given types.lines "What root runs in bash after each delivery, once /run/codchi is the new one." // { default = ""; };
  };
}
