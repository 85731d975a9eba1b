# Users and groups: Debian's, and over them those of the options.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  text = default: description: mkOption { type = types.str; inherit default description; };
  id = mkOption { type = types.nullOr types.int; default = null; description = "The id; chosen where it is null."; };
  inherit (config) users;

  # Ids that nobody asked for; below what Debian gives to its system users, and the same as long as the names are.
  chosen = set: field: lib.listToAttrs (lib.imap0 (index: name: lib.nameValuePair name (400 + index))
    (lib.filter (name: set.${name}.${field} == null) (lib.attrNames set)));
  uids = chosen users.users "uid";
  gids = chosen users.groups "gid";

  passwd = lib.mapAttrsToList (name: user:
    "${name}:x:${toString (if user.uid == null then uids.${name} else user.uid)}:@${user.group}@:${user.description}:${user.home}:${user.shell}") users.users;
  group = lib.mapAttrsToList (name: group:
    let members = lib.unique (group.members ++ lib.filter (user: lib.elem name users.users.${user}.extraGroups) (lib.attrNames users.users)); in
    "${name}:x:${toString (if group.gid == null then gids.${name} else group.gid)}:${lib.concatStringsSep "," members}") users.groups;
  # Groups of Debian's that users join without declaring them.
  joined = lib.filter (name: !(users.groups ? ${name})) (lib.unique (lib.concatMap (user: user.extraGroups) (lib.attrValues users.users)));

  files = pkgs.runCommand "users" { passwd = lib.concatLines passwd; group = lib.concatLines group; } ''
    mkdir $out
    # Debian's lines, but for those that are given.
    over() {
      printf %s "$1" >given
      awk -F: 'NR == FNR { seen[$1] = 1; next } !($1 in seen)' given ${pkgs.debian}/etc/$2 >rest
      cat given rest
    }
    over "$group" group | awk -F: -v OFS=: ${lib.escapeShellArg ''
      ${lib.concatMapStrings (name: ''
        $1 == "${name}" { $4 = $4 ($4 == "" ? "" : ",") "${lib.concatStringsSep "," (lib.filter (user: lib.elem name users.users.${user}.extraGroups) (lib.attrNames users.users))}" }
      '') joined}
      { print }
    ''} >$out/group
    over "$passwd" passwd >named
    # The group's name to its id.
    awk -F: -v OFS=: 'NR == FNR { id[$1] = $3; next } $4 ~ /^@/ { name = substr($4, 2, length($4) - 2); if (!(name in id)) { print "no group " name > "/dev/stderr"; exit 1 } $4 = id[name] } { print }' \
      $out/group named >$out/passwd
    # Nobody has a password; `*` lets keys in, which `!` does not.
    awk -F: -v OFS=: '{ print $1, "*", 1, "", "", "", "", "", "" }' $out/passwd >$out/shadow
  '';
in
{
  options.users = {
    mutableUsers = mkOption { type = types.bool; default = true; description = "Accepted: users are always those of the options here."; };
    users = mkOption {
      default = { };
      description = "Users.";
      type = types.attrsOf (types.submodule ({ name, config, ... }: {
        options = {
          isNormalUser = mkOption { type = types.bool; default = false; description = "Whether it is a person's."; };
          isSystemUser = mkOption { type = types.bool; default = false; description = "Whether it is a service's."; };
          uid = id;
          group = text "" "Its first group.";
          extraGroups = mkOption { type = types.listOf types.str; default = [ ]; description = "Its other groups."; };
          description = text "" "Its full name.";
          home = text "/var/empty" "Its home folder.";
          createHome = mkOption { type = types.bool; default = false; description = "Whether its home folder is made."; };
          homeMode = text "700" "The home folder's permissions.";
          shell = mkOption { type = types.either types.shellPackage types.str; default = "/usr/sbin/nologin"; apply = shell: if lib.isDerivation shell then shell.shellPath else shell; description = "Its login shell."; };
          linger = mkOption { type = types.bool; default = false; description = "Whether its services run while it is not logged in."; };
          packages = mkOption { type = types.listOf types.package; default = [ ]; description = "Its packages, here in the system's profile."; };
        };
        config = lib.mkIf config.isNormalUser {
          group = lib.mkDefault "users";
          createHome = lib.mkDefault true;
          home = lib.mkDefault "/home/${name}";
          shell = lib.mkDefault "/bin/bash";
        };
      }));
    };
    groups = mkOption {
      default = { };
      description = "Groups.";
      type = types.attrsOf (types.submodule { options = { gid = id; members = mkOption { type = types.listOf types.str; default = [ ]; description = "Its members."; }; }; });
    };
  };

  config = {
    users.users.root = { uid = 0; group = "root"; home = "/root"; shell = "/bin/bash"; };
    users.groups.wheel = { };
    assertions = lib.mapAttrsToList (name: user: {
      assertion = name == "root" || (user.isNormalUser != user.isSystemUser);
      message = "Exactly one of users.users.${name}.isSystemUser and users.users.${name}.isNormalUser must be set.";
    }) users.users ++ lib.mapAttrsToList (name: user: {
      assertion = user.group != "";
      message = "users.users.${name}.group is unset.";
    }) users.users;
    environment.systemPackages = lib.concatMap (user: user.packages) (lib.attrValues users.users);

    system.activationScripts.users = {
      deps = [ "etc" ];
      text = ''
        for file in passwd group shadow; do
          cp ${files}/$file /etc/.$file
          chmod 0644 /etc/.$file
          mv -f /etc/.$file /etc/$file
        done
        chown root:shadow /etc/shadow
        chmod 0640 /etc/shadow
        mkdir -p /var/lib/systemd/linger
        ${lib.concatLines (lib.mapAttrsToList (name: user: ''
          ${lib.optionalString user.createHome ''
            mkdir -p ${user.home}
            chown ${name}:${user.group} ${user.home}
            chmod ${user.homeMode} ${user.home}
          ''}
          ${lib.optionalString user.linger "touch /var/lib/systemd/linger/${name}"}
        '') users.users)}
      '';
    };
  };
}
