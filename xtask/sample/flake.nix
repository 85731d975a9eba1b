{
  description = "A project with a codchi module";

  outputs = _: { nixosModules.default = ./codchi.nix; };
}
