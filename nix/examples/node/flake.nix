{
  description = "A code machine for Node.js, with a token for a private registry";

  # codchi finds the module by this output. It needs no inputs: nixpkgs is chosen by each machine.
  outputs = _: { nixosModules.default = ./codchi.nix; };
}
