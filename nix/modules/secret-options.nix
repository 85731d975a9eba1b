# The options of one user secret. `secret parts` is the type with those beside the common ones that a spelling has.
lib:
let
  inherit (lib) mkOption types;
  # Several modules may declare a secret; the user is told what each of them says of it.
  texts = types.str // {
    merge = _: definitions:
      lib.concatStringsSep "; " (lib.unique (lib.filter (text: text != "") (map (definition: definition.value) definitions)));
  };
in
{
  secret = parts: types.submodule ({ name, config, ... }: {
    options = {
      description = mkOption {
        type = texts;
        default = "";
        example = "A token for https://example.org, with read access";
        description = "What the secret is and where to get it: shown to the user who is asked for the value. Where several modules declare the secret, the user is shown what each says.";
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
        description = "How the secret reaches the machine: `env` as the environment variable `$CODCHI_NAME`, `file` as a file on a tmpfs (never on a disk). A value of 128 KiB or more fits no variable: it is delivered as a file only.";
      };
    }
    // lib.optionalAttrs (lib.elem "units" parts) {
      units = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "backend" ];
        description = "Names of systemd services, without `.service`, that use the secret: they start once it is delivered, are restarted when it changes, and get it as the environment variable `$CODCHI_NAME` where it is delivered as `env`.";
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
