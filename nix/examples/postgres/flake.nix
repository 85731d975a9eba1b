{
  description = "A code machine with a PostgreSQL database";

  # codchi finds the module by this output. It needs no inputs: nixpkgs is chosen by each machine.
  outputs = _: { nixosModules.default = ./codchi.nix; };
}
