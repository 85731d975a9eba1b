# Deprecated: the texts of a window that codchi no longer has.
{ lib, ... }:
{
  options.codchi.welcome = lib.mkOption {
    type = lib.types.anything;
    default = { };
    description = "Texts of the window that earlier versions of codchi opened after a machine was created. Accepted so that existing modules keep working; it has no effect.";
  } // {
    # For the editor; nixpkgs has no such attribute of its own.
    deprecated = "Use `codchi.initScript` for what the user should see or do after the machine was created.";
  };
}
