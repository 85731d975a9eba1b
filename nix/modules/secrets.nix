# User secrets: three spellings for the user, one list (`codchi.manifest.secrets`) for everybody else.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  inherit (import ./secret-options.nix lib) secret;
in
{
  options.codchi.secrets = mkOption {
    default = { };
    example = lib.literalExpression ''
      {
        API_TOKEN.description = "A token for https://example.org, with read access";
      }
    '';
    description = ''
      User secrets: values that each user is asked for when the machine is created. They are kept encrypted, outside the Nix store.

      `codchi.secrets.NAME` is delivered as the environment variable `$CODCHI_NAME` and as a file; `codchi.secrets.env.NAME` only as the variable, `codchi.secrets.file.NAME` only as the file. A name holds letters, digits and `_`, and does not begin with a digit; `env` and `file` are no secrets' names.
    '';
    type = types.submodule {
      freeformType = types.attrsOf (secret [ "deliver" "file" "units" ]);
      options = {
        env = mkOption {
          type = types.attrsOf (secret [ "units" ]);
          default = { };
          example = lib.literalExpression ''
            {
              API_TOKEN.description = "A token for https://example.org, with read access";
            }
          '';
          description = "User secrets that are delivered as the environment variable `$CODCHI_NAME` only.";
        };
        file = mkOption {
          type = types.attrsOf (secret [ "file" "units" ]);
          default = { };
          example = lib.literalExpression ''
            {
              DEPLOY_KEY = {
                description = "The private key that deploys";
                multiline = true;
              };
            }
          '';
          description = "User secrets that are delivered as a file on a tmpfs only.";
        };
      };
    };
  };
}
