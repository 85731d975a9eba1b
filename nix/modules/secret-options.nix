# The options of one user secret. `secret parts` is the type with those beside the common ones that a spelling has.
lib:
let
  inherit (lib) mkOption types;
in
{
  secret = parts: types.submodule ({ name, config, ... }: {
    options = {
      description = mkOption {
        type = types.str;
        default = "";
        example = "A token for https://example.org, with read access";
        description = "What the secret is and where to get it: shown to the user who is asked for the value.";
      };
      required = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether the machine is refused without the value. A secret that is not required is asked for only on demand.";
      };
      pattern = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "sk-[0-9a-f]{32}";
        description = "A POSIX extended regular expression that the whole value must match; `null` for any value. It is checked while the value is typed.";
      };
      multiline = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether the value may have several lines, as a private key has.";
      };
    }
    // lib.optionalAttrs (lib.elem "deliver" parts) {
      deliver = mkOption {
        type = types.listOf (types.enum [ "env" "file" ]);
        default = [ "env" "file" ];
        example = [ "file" ];
        description = "How the secret reaches the machine: `env` as the environment variable `$CODCHI_NAME`, `file` as a file on a tmpfs (never on a disk).";
      };
    }
    // lib.optionalAttrs (lib.elem "units" parts) {
      units = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "backend" ];
        description = "Names of systemd services, without `.service`, that get the secret as the environment variable `$CODCHI_NAME`.";
      };
    }
    // lib.optionalAttrs (lib.elem "file" parts) {
      owner = mkOption {
        type = types.str;
        default = "codchi";
        example = "postgres";
        description = "The user who owns the secret's file in the machine.";
      };
      mode = mkOption {
        type = types.strMatching "0?[0-7]{3}";
        default = "0400";
        example = "0440";
        description = "The permissions of the secret's file, in octal.";
      };
      path = mkOption {
        type = types.str;
        default = "/run/codchi/secrets/${name}";
        defaultText = lib.literalExpression ''"/run/codchi/secrets/NAME"'';
        readOnly = true;
        description = "Where the secret's file is in the machine, for use in other options. Cannot be set.";
      };
    };
  });
}
