{
  description = "A stand-in for nixpkgs in tests and the offline demo: its face, on Debian's own packages";

  # debian.json names the unpacked Debian in the store; `cargo xtask` writes it beside a copy of this folder.
  outputs = _:
    let
      system = "x86_64-linux";
      pure = import ./lib;
      pkgs = import ./pkgs { inherit lib system; debian = builtins.fromJSON (builtins.readFile ./debian.json); };
      lib = pure // {
        nixosSystem = { modules, system ? "x86_64-linux", specialArgs ? { } }:
          let
            evaluation = lib.evalModules {
              modules = [ ./nixos { _module.args.pkgs = lib.mkDefault pkgs; } ] ++ modules;
              inherit specialArgs;
            };
          in
          evaluation // { inherit pkgs; };
      };
    in
    {
      inherit lib;
      legacyPackages.${system} = pkgs;
    };
}
