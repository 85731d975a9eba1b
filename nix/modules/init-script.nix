# What runs once after creation.
{ config, lib, ... }:
{
  options.codchi.initScript = lib.mkOption {
    type = lib.types.lines;
    default = "";
    example = lib.literalExpression ''
      '''
        git clone https://example.org/project.git
      '''
    '';
    description = ''
      A shell script that runs once, as the machine's user in the home folder, after the machine was created and before it is opened. Secrets are in its environment.

      Use it to clone repositories or to fill a database; what should be the same after each rebuild belongs into the module instead.
    '';
  };

  # Puts the packages that the script names into the machine's system, so that they are built with it.
  config.environment.etc."codchi/init-script" = lib.mkIf (config.codchi.initScript != "") {
    text = config.codchi.initScript;
  };
}
