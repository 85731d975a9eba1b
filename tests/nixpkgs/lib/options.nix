# Declaring options.
lib:
let
  inherit (lib) types;
in
rec {
  mkOption = attributes: attributes // { _type = "option"; };
  isOption = x: x._type or null == "option";
  mkEnableOption = what: mkOption {
    type = types.bool;
    default = false;
    example = true;
    description = "Whether to enable ${what}.";
  };
  mkPackageOption = pkgs: name: { default ? name, ... }: mkOption {
    type = types.package;
    default = lib.getAttrFromPath (lib.toList default) pkgs;
    description = "The ${lib.concatStringsSep "." (lib.toList name)} package to use.";
  };
  # The option `from` sets and reads the option `to`. Priorities are lost.
  mkRenamedOptionModule = from: to: { config, options, ... }: {
    options = lib.setAttrByPath from (mkOption {
      inherit (lib.getAttrFromPath to options) type;
      apply = _: lib.getAttrFromPath to config;
      visible = false;
      description = "Alias of `${lib.showOption to}'.";
    });
    config = lib.setAttrByPath to (lib.mkMerge (lib.getAttrFromPath from options).definitions);
  };
  literalExpression = text: { _type = "literalExpression"; inherit text; };
  literalMD = text: { _type = "literalMD"; inherit text; };
  mdDoc = lib.id;
  showFiles = lib.concatMapStringsSep " and " (file: "`${file}'");
  getValues = map (definition: definition.value);
  getFiles = map (definition: definition.file);
}
