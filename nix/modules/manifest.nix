# What the modules ask of the host, as plain data: the `Manifest` type in server/machine/src/manifest.rs.
#
# Nothing here may need more of the system than `codchi.*`: it is evaluated before anything is built.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.codchi;

  spelled = prefix: deliver: lib.mapAttrsToList (name: secret: {
    inherit name;
    option = "${prefix}.${name}";
    inherit (secret) description required pattern multiline;
    deliver = secret.deliver or deliver;
    units = map (lib.removeSuffix ".service") (secret.units or [ ]);
    owner = secret.owner or "codchi";
    mode = secret.mode or "0400";
  });
  declared =
    spelled "codchi.secrets" null (removeAttrs cfg.secrets [ "env" "file" ])
    ++ spelled "codchi.secrets.env" [ "env" ] cfg.secrets.env
    ++ spelled "codchi.secrets.file" [ "file" ] cfg.secrets.file;

  # Refused where its value is needed, so that the others are known all the same.
  checked = secret:
    if builtins.match "[A-Za-z_][A-Za-z0-9_]*" secret.name == null then
      throw "`${secret.option}' cannot be a secret's name: it becomes an environment variable, so use letters, digits and `_', beginning with no digit."
    else secret;

  # A secret may be declared in several spellings, e.g. by a team's module and a personal one: it then has all of them.
  merged = name: given:
    let
      spellings = map checked given;
      all = field: map (secret: secret.${field}) spellings;
      first = default: values: if values == [ ] then default else lib.head values;
      patterns = lib.unique (lib.filter (pattern: pattern != null) (all "pattern"));
      deliver = lib.concatLists (all "deliver");
      # The spelling that the file's owner and mode come from.
      file = first (lib.head spellings) (lib.filter (secret: lib.elem "file" secret.deliver) spellings);
    in
    {
      description = lib.concatStringsSep "; " (lib.unique (lib.filter (text: text != "") (all "description")));
      required = lib.any lib.id (all "required");
      env = lib.elem "env" deliver;
      file = lib.elem "file" deliver;
      pattern =
        if lib.length patterns <= 1 then first null patterns
        else throw "The secret ${name} has different patterns in ${lib.concatStringsSep " and " (all "option")}: ${lib.concatStringsSep " and " patterns}.";
      multiline = lib.any lib.id (all "multiline");
      units = lib.unique (lib.concatLists (all "units"));
      inherit (file) owner mode;
    };
in
{
  options.codchi.manifest = mkOption {
    # Lazy: a part that does not evaluate is not in the way of the others.
    type = types.lazyAttrsOf types.anything;
    readOnly = true;
    internal = true;
    visible = false;
    description = "What the modules ask of the host, as plain data.";
  };

  config.codchi.manifest = {
    secrets = lib.mapAttrs merged (lib.groupBy (secret: secret.name) declared);
    requiredCapabilities = lib.unique cfg.requiredCapabilities;
    # What is required need not be wished for as well.
    optionalCapabilities = lib.subtractLists cfg.requiredCapabilities (lib.unique cfg.optionalCapabilities);
    hostSecrets = { inherit (cfg.hostSecrets) caCertificates sshAgent sshKeys gitCredentials tokens; };
    inherit (cfg) initScript;
    warnings = lib.optional (cfg.welcome != { })
      "`codchi.welcome` has no effect any more: use `codchi.initScript` for what should happen after the machine was created.";
  };
}
