# What this project's development machine is. Open it in VS Code and press "Open in Code Machine".
{ pkgs, ... }:
{
  # Asked for once, kept in your vault, and $CODCHI_DEMO_TOKEN in the machine.
  codchi.secrets.DEMO_TOKEN = {
    description = "The token of the demo's imaginary service (any text will do)";
  };

  # Used where this computer has it.
  codchi.optionalCapabilities = [ "audio" ];

  codchi.initScript = ''
    echo "Hello from your new machine." > ~/welcome.txt
  '';

  environment.systemPackages = [ pkgs.hello ];
}
