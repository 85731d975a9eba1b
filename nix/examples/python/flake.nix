{
  description = "A code machine for Python, with packages from PyPI";

  # codchi finds the module by this output. It needs no inputs: nixpkgs is chosen by each machine.
  outputs = _: { nixosModules.default = ./codchi.nix; };
}
