# The smallest useful code machine: a program, and a greeting.
{ pkgs, ... }:
{
  # Programs in the machine. Search for more on https://search.nixos.org/packages.
  environment.systemPackages = [ pkgs.hello ];

  # Runs once, as you, after the machine was created.
  codchi.initScript = ''
    hello > ~/greeting.txt
  '';
}
