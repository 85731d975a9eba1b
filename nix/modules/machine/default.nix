# What a code machine is, whatever its modules say.
{
  imports = [
    ./capabilities.nix
    ./delivery.nix
    ./guest.nix
    ./host.nix
    ./lxd.nix
    ./remote.nix
    ./session.nix
    ./ssh.nix
    ./store.nix
    ./units.nix
    ./user.nix
    ./wsl.nix
  ];
}
