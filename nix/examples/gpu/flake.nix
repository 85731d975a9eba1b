{
  description = "A code machine that computes on the host's graphics card";

  # codchi finds the module by this output. It needs no inputs: nixpkgs is chosen by each machine.
  outputs = _: { nixosModules.default = ./codchi.nix; };
}
