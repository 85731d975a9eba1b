# Assertions and warnings, checked when the system is built.
{ lib, ... }:
{
  options = {
    assertions = lib.mkOption {
      type = lib.types.listOf lib.types.unspecified;
      default = [ ];
      description = "Conditions that must hold: { assertion, message }.";
    };
    warnings = lib.mkOption {
      type = lib.types.listOf lib.types.str;
      default = [ ];
      description = "What the user is told when the system is built.";
    };
  };
}
