{
  description = "A code machine with secrets in shells, files and services";

  # codchi finds the module by this output. It needs no inputs: nixpkgs is chosen by each machine.
  outputs = _: { nixosModules.default = ./codchi.nix; };
}
