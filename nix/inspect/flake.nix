# A flake as it lies in a folder, evaluated without being copied or locked: its outputs, and what `self` has besides. Inputs
# are real where flake.lock names one that is in the store already.
{ folder, world }:
let
  inherit (builtins) attrNames foldl' functionArgs isList listToAttrs mapAttrs pathExists;
  named = names: value: listToAttrs (map (name: { inherit name; value = value name; }) names);

  call = path: inputs: extra:
    let
      flake = import (path + "/flake.nix");
      declared = attrNames (removeAttrs ((flake.inputs or { }) // functionArgs flake.outputs) [ "self" ]);
      arguments = named declared (name: inputs.${name} or (world.input name)) // inputs // { inherit self; };
      outputs = flake.outputs arguments;
      self = outputs // extra // {
        _type = "flake";
        outPath = toString path;
        inputs = removeAttrs arguments [ "self" ];
        inherit outputs;
      };
    in
    self;

  lock =
    let file = folder + "/flake.lock"; in
    if pathExists file then builtins.fromJSON (builtins.readFile file) else { nodes.root = { }; root = "root"; };
  # The node that an input is: named, or found by following inputs from the root.
  node = reference:
    if isList reference then foldl' (from: name: node (lock.nodes.${from}.inputs or { }).${name}) lock.root reference
    else reference;

  # Where an input with this hash is in the store, without asking the store.
  place = hash: /. + builtins.unsafeDiscardStringContext (derivation {
    name = "source";
    system = "-";
    builder = "-";
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
    outputHash = hash;
  }).outPath;

  locked = name: entry:
    let
      source = place entry.locked.narHash;
      path = if entry.locked ? dir then source + "/${entry.locked.dir}" else source;
      isHere = (entry.locked or { }) ? narHash && pathExists source;
    in
    if !isHere then world.input name
    else if !(entry.flake or true) then { outPath = toString path; }
    else call path (inputsOf entry) (removeAttrs entry.locked [ "dir" "type" ]);
  inputsOf = entry: mapAttrs (input: reference: locked input lock.nodes.${node reference}) (entry.inputs or { });
in
call folder (inputsOf lock.nodes.${lock.root}) { }
