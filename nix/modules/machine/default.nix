# What a code machine is, whatever its modules say.
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
  imports = [
    ./delivery.nix
    ./lxd.nix
    ./remote.nix
    ./session.nix
    ./ssh.nix
    ./units.nix
    ./user.nix
  ];

  # Set by lib.nix.
  options.codchi.machine = {
    name = given types.str "The machine's name.";
    driver = given (types.enum [ "lxd" ]) "What runs the machine.";
    user = {
      uid = given types.int "The user id of the machine's user: the owner of the project folder as seen in the machine.";
      gid = given types.int "Its group id.";
    };
  };
}
