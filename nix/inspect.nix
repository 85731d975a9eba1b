# What a module says: its manifest, and which of its options do not evaluate. Called by server/nix, which reads what this
# gives, and from the log what is told with `note`; nothing is built.
#
# One request:
#   nixpkgs, module   absolute paths: a folder; { file } or { folder, output } (a module output of a flake)
#   depth             "lenient" (codchi's options alone) or "full" (all of NixOS)
#   reads             { packages, config, inputs }: attribute paths that the module's files read of their arguments
#   known             what a lenient evaluation takes from there: "values" that the module itself sets; or "nothing", where
#                     an error must not come from what is not known; with "no-modules" not even the modules of inputs are, nor which options NixOS has
#   skip              paths that ended an earlier process: they are not touched
#   only              null, or the one path whose error is wanted
request:
let
  inherit (builtins) concatMap elem foldl' head isAttrs isList length mapAttrs tail toJSON tryEval;
  note = what: value: builtins.trace "codchi-inspect ${toJSON what}" value;

  path = text: /. + text;
  world = import ./inspect/world.nix {
    inherit note lib;
    inherit (request) reads known;
    nixpkgs = path request.nixpkgs;
  };
  lib = import (path request.nixpkgs + "/lib");
  inherit (import ./lib.nix) codeMachine module;
  given =
    if request.module ? file then
      { input.outPath = builtins.dirOf request.module.file; file = baseNameOf request.module.file; }
    else {
      input = import ./inspect/flake.nix { inherit world; folder = path request.module.folder; };
      inherit (request.module) output;
    };

  # Definitions of options that nobody declares, as { path, file }, come out of the evaluation below this name.
  unmatched = "codchi inspect: unmatched";
  # `declared` is the tree of options.
  recorder = declared: type: type // {
    merge = location: definitions:
      let
        sorted = builtins.partition (definition: isFull || definition.value ? codchi) definitions;
      in
      type.merge location sorted.wrong // {
        ${unmatched} = map (definition: { inherit (definition) file; path = unknown declared definition.value; }) sorted.right;
      };
  };
  # The first part of a definition's path that is no option; around it are sets of one attribute.
  unknown = declared: value:
    let name = head (builtins.attrNames value); in
    [ name ] ++ (if declared ? ${name} && !lib.isOption declared.${name} then unknown declared.${name} value.${name} else [ ]);

  # Takes what no option is declared for.
  freeform = { options, ... }: {
    config._module.freeformType = recorder options (lib.types.lazyAttrsOf lib.types.anything);
  };
  isFull = request.depth == "full";
  nixos =
    if isFull then
      (codeMachine {
        inherit (world) system;
        nixpkgs = world.flake;
        name = "inspected";
        driver = "lxd";
        user = { uid = 1000; gid = 1000; };
        modules = [ { input = { outPath = "codchi"; nixosModules.freeform = freeform; }; output = "freeform"; } given ];
      }).nixos
    else world.evaluate [ ./modules/module-options.nix freeform (module lib given) ];
  inherit (nixos) config options;
  isOpaque = value: lib.isDerivation value || value ? _type;

  # Everything that a value consists of, but for packages, which are as large as nixpkgs.
  force = value:
    if isList value then foldl' (done: inner: builtins.seq (force inner) done) true value
    else if isAttrs value && !isOpaque value then force (builtins.attrValues value)
    else builtins.seq value true;

  isSkipped = at: elem at request.skip;
  # `value` if it evaluates as far as `evaluated` does.
  attempt = at: evaluated: value: failed:
    if isSkipped at then failed
    else note { begin = at; } (if (tryEval evaluated).success then value else failed);

  # The paths below `at` that do not evaluate; the deepest that are known.
  failures = depth: at: value:
    attempt at (if isAttrs value && !isOpaque value then true else force value) (
      if isAttrs value && !isOpaque value && depth > 0 then
        concatMap (name: failures (depth - 1) (at ++ [ name ]) value.${name}) (builtins.attrNames value)
      else if isAttrs value then attempt at (force value) [ ] [ at ]
      else [ ]
    ) [ at ];
  ofOptions = at: node: value:
    if lib.isOption node then
      (if node.readOnly or false then [ ] else failures 4 at value)
    else concatMap (name: ofOptions (at ++ [ name ]) node.${name} value.${name}) (builtins.attrNames node);
  failed =
    ofOptions [ "codchi" ] (removeAttrs options.codchi [ "machine" "manifest" ]) config.codchi
    ++ (if isFull then attempt toplevel config.system.build.toplevel.drvPath [ ] [ toplevel ] else [ ]);
  toplevel = [ "system" "build" "toplevel" ];

  begins = prefix: at: prefix == [ ] || at != [ ] && head prefix == head at && begins (tail prefix) (tail at);
  # Whether something at, above or below a path does not evaluate.
  isBroken = found: at: lib.any (other: begins other at || begins at other) found;

  # The manifest as far as it evaluates; what needs options that do not is left out.
  manifest =
    let
      part = at: needs:
        let
          from = [ "codchi" "manifest" ] ++ at;
          value = lib.getAttrFromPath at config.codchi.manifest;
        in
        if lib.any (isBroken failed) needs then [ { failed = null; } ]
        else attempt from (force value) [ { inherit at value; } ] [ { failed = from; } ];
      option = name: part [ name ] [ [ "codchi" name ] ];
      spellings = name: [ [ "codchi" "secrets" name ] [ "codchi" "secrets" "env" name ] [ "codchi" "secrets" "file" name ] ];
      names =
        # Sets whose names are not known; what fails in them is not in the way.
        if lib.any (at: elem at failed) [ [ "codchi" "secrets" ] [ "codchi" "secrets" "env" ] [ "codchi" "secrets" "file" ] ] then null
        else builtins.attrNames config.codchi.manifest.secrets;
      parts =
        (
          if names == null then [ { failed = null; } ]
          else concatMap (name: part [ "secrets" name ] (spellings name)) names
        )
        ++ option "requiredCapabilities"
        ++ part [ "optionalCapabilities" ] [ [ "codchi" "requiredCapabilities" ] [ "codchi" "optionalCapabilities" ] ]
        ++ concatMap (name: part [ "hostSecrets" name ] [ [ "codchi" "hostSecrets" name ] ])
          (builtins.attrNames options.codchi.hostSecrets)
        ++ option "initScript"
        ++ part [ "warnings" ] [ [ "codchi" "welcome" ] ];
    in
    {
      value = foldl' (all: part: if part ? failed then all else lib.recursiveUpdate all (lib.setAttrByPath part.at part.value))
        { secrets = { }; hostSecrets = { }; }
        parts;
      failed = concatMap (part: if part.failed or null != null then [ part.failed ] else [ ]) parts;
      complete = !lib.any (part: part ? failed) parts;
    };

  isThere = tryEval (builtins.seq options.codchi (builtins.seq config true));
  survey =
    # Without modules there are no options; why is asked of the next process.
    if !(note { begin = [ ]; } isThere).success then { broken = true; }
    else
      builtins.seq (force failed) (builtins.seq (force manifest.value) {
        failed = failed ++ manifest.failed;
        manifest = manifest.value;
        inherit (manifest) complete;
        unmatched = attempt [ ] (force (config.${unmatched} or [ ])) (config.${unmatched} or [ ]) [ ];
      });
in
if request.only == null then survey
else if request.only == [ ] then builtins.seq options.codchi (builtins.seq config true)
else force (foldl' (value: name: value.${name}) config request.only)
