# The machine's user: owner of the project, administrator, with no password to type.
{ config, lib, ... }:
let
  inherit (config.codchi.machine.user) uid gid;
  # On NixOS 100 is the group `users`; a group of one's own may have no id that is taken.
  group = if gid == 100 then "users" else "codchi";
in
{
  users.users.codchi = {
    isNormalUser = true;
    inherit uid group;
    home = "/home/codchi";
    extraGroups = [ "wheel" ];
    # Its services run, and XDG_RUNTIME_DIR exists, from the start and not only while somebody is logged in over SSH.
    linger = true;
  };
  users.groups = lib.mkIf (group == "codchi") { codchi.gid = gid; };

  security.sudo.wheelNeedsPassword = lib.mkDefault false;

  # The engine makes the folder as root when it mounts the project below it.
  systemd.tmpfiles.rules = [ "d /home/codchi 0700 codchi ${group} -" ];
}
