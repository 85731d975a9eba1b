# JDKs where development tools look for them.
{ config, lib, ... }:
let
  inherit (lib) types;
  given = config.codchi.java.jdks;
  jdks =
    if lib.isList given then
      map (jdk: { name = "${jdk.pname or "jdk"}-${jdk.version or "unknown"}"; value = jdk; }) given
    else lib.mapAttrsToList lib.nameValuePair given;
  # nixpkgs' JDKs say where their JAVA_HOME is.
  home = jdk: jdk.home or "${jdk}";
  inherit (config.users.users) codchi;
in
{
  options.codchi.java.jdks = lib.mkOption {
    type = types.either (types.listOf types.package) (types.attrsOf types.package);
    default = [ ];
    example = lib.literalExpression "[ pkgs.jdk17 pkgs.jdk21 ]";
    description = ''
      JDKs to link into `~/.jdks`, where IntelliJ IDEA, Gradle and others look for them: a list of packages, or a set of packages whose names become those of the links.

      The first one is also `$JAVA_HOME`, and its programs are on the `PATH`.
    '';
  };

  config = lib.mkIf (jdks != [ ]) {
    environment.systemPackages = [ (lib.head jdks).value ];
    environment.variables.JAVA_HOME = lib.mkDefault (home (lib.head jdks).value);
    systemd.tmpfiles.rules =
      [ "d ${codchi.home}/.jdks 0755 codchi ${codchi.group} -" ]
      ++ map (jdk: "L+ ${codchi.home}/.jdks/${jdk.name} - - - - ${home jdk.value}") jdks;
  };
}
