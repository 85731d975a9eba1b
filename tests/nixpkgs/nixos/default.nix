# NixOS, as far as code machines of the tests need it.
{
  imports = [
    ./activation.nix
    ./assertions.nix
    ./environment.nix
    ./networking.nix
    ./programs.nix
    ./security.nix
    ./system.nix
    ./systemd.nix
    ./unavailable.nix
    ./users.nix
  ];
}
