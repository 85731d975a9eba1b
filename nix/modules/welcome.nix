# Deprecated: the texts of a window that codchi no longer has.
{ lib, ... }:
{
  options.codchi.welcome = lib.mkOption {
    type = lib.types.anything;
    default = { };
    description = "Texts of the window that earlier versions of codchi opened after a machine was created. Accepted so that existing modules keep working; it has no effect.";
  };
}
