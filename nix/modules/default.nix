# All of codchi's NixOS modules: the options that a codchi module sets, and in machine/ what a code machine is.
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
    ./machine
  ];
}
