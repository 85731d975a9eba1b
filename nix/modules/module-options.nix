# The options that a codchi module sets, with what follows from them. That much evaluates without NixOS: inspect.nix.
{
  imports = [
    ./capabilities.nix
    ./docker.nix
    ./gpu.nix
    ./host-secrets.nix
    ./init-script.nix
    ./java.nix
    ./keyring.nix
    ./manifest.nix
    ./recommended.nix
    ./secrets.nix
    ./welcome.nix
    ./machine/options.nix
  ];
}
