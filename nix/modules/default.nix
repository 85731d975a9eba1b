# All of codchi's NixOS modules: the options that a codchi module sets, and in machine/ what a code machine is.
{
  imports = [
    ./module-options.nix
    ./machine
  ];
}
