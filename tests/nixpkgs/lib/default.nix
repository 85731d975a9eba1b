# nixpkgs' `lib`, as far as modules of the tests use it.
let
  lib = import ./basics.nix
    // import ./options.nix lib
    // import ./modules.nix lib
    // { types = import ./types.nix lib; inherit (lib.types) isType mkOptionType; };
in
lib
