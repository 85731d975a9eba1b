# What a nixpkgs, and the modules of a flake, have to offer: all options with their documentation, and names of packages.
# The language server keeps the answer; nothing is configured, built or written to the store.
#
# A value that throws costs no more than itself. What ends the process (a missing attribute, an endless recursion, `abort`)
# cannot be caught: its trace says `codchi: KIND ["path", …]`, and the caller asks again with that left out.
#
# `text` is JSON:
#   nixpkgs   a folder with nixpkgs, nixpkgs.lib, or a flake with `lib.nixosSystem`
#   system    x86_64-linux
#   what      "options" (those of nixpkgs), "own" (those of `modules` alone), "packages" (names below each of `paths`)
#   modules   [ { file } or { folder, output } ], paths [ [ name ] ]
#   without   { modules, nodes, trees, options, values }: what is left out: files of modules; paths that are not looked at;
#             options that are not gone into, that are not told of, and whose default and example are not told
text:
let
  inherit (builtins)
    addErrorContext attrNames concatMap concatStringsSep deepSeq elem functionArgs head isAttrs isBool isFunction isList
    isPath isString length listToAttrs map mapAttrs pathExists removeAttrs replaceStrings stringLength substring tail toJSON
    tryEval unsafeDiscardStringContext;
  filter = builtins.filter;

  request = builtins.fromJSON text;
  inherit (request) system without;
  root = /. + request.nixpkgs;
  at = name: root + "/${name}";

  # Whether this is all of nixpkgs.
  isWhole = pathExists (at "nixos/modules/module-list.nix");
  flake = if pathExists (at "flake.nix") then outputsOf root { } else { };
  lib =
    if pathExists (at "lib/default.nix") then import (at "lib")
    else flake.lib or (throw "codchi: ${request.nixpkgs} is no nixpkgs: it has no folder `lib' and no flake with an output `lib'.");

  # The outputs of the flake in a folder, whose other inputs are not known.
  outputsOf = folder: known:
    let
      written = import (folder + "/flake.nix");
      names = attrNames (written.inputs or { }) ++ attrNames (functionArgs written.outputs);
      unknown = name: { inherit name; value = throw "codchi: the flake's input ${name} is not known here"; };
      self = outputs // { inherit inputs outputs; outPath = toString folder; };
      inputs = listToAttrs (map unknown names) // known // { inherit self; };
      outputs = written.outputs inputs;
    in
    outputs;

  # ---- Packages ----

  packages = changes:
    if pathExists (at "pkgs/top-level/default.nix") || isWhole then import root { inherit system; overlays = [ ]; config = changes; }
    else flake.legacyPackages.${system} or { inherit lib; };

  # Packages for declarations: they may be named and asked what they are, but not turned into paths.
  described = path: set: mapAttrs (name: value:
    let here = path ++ [ name ]; in
    if name == "lib" then value
    else if isAttrs value then
      described here value
      // (if value.type or null == "derivation" then
        let refused = throw "codchi: ${concatStringsSep "." here} is not evaluated"; in { outPath = refused; drvPath = refused; }
      else { })
    else value) set;
  pkgs = described [ "pkgs" ] (packages { }) // { inherit lib; };

  # Those that say nothing about packages.
  machinery = [ "lib" "override" "overrideAttrs" "overrideDerivation" "overrideScope" "overrideScope'" "recurseForDerivations" "type" ];
  # null where there is no such set.
  namesBelow = path:
    let
      find = path: set:
        if path == [ ] then set
        else if isAttrs set && set ? ${head path} then find (tail path) set.${head path}
        else null;
      findIn = changes: let found = tryEval (find path (packages changes)); in if found.success && isAttrs found.value then found.value else null;
      # Old names are not offered; sets may be looked into by them.
      current = findIn { allowAliases = false; };
      set = if current != null || path == [ ] then current else findIn { };
    in
    if set == null then null
    else if set.type or null == "derivation" then [ ]
    else filter (name: substring 0 1 name != "_" && !(elem name machinery)) (attrNames set);

  # ---- Modules ----

  takesClass = (functionArgs lib.evalModules) ? class;
  evalModules = modules: specialArgs: lib.evalModules ({
    inherit modules specialArgs;
  } // (if takesClass then { class = "nixos"; } else { }));

  modulesPath = toString (at "nixos/modules");
  baseModules = filter (module: !(isPath module && elem (toString module) without.modules)) (import (at "nixos/modules/module-list.nix"));

  nixos =
    if isWhole then
      let
        evaluation = evalModules
          (baseModules ++ [
            { _module.check = false; }
            # Set for those that warn or fail without; where there is no such option it is passed over.
            { nixpkgs.hostPlatform = lib.mkDefault system; system.stateVersion = lib.mkDefault (lib.trivial.release or "24.05"); }
          ])
          {
            inherit pkgs modulesPath baseModules;
            utils = import (at "nixos/lib/utils.nix") { inherit lib pkgs; inherit (evaluation) config; };
            extraModules = [ ];
            modules = [ ];
          };
      in
      evaluation.options
    else if (flake.lib or { }) ? nixosSystem then
      (flake.lib.nixosSystem { inherit system; modules = [ { _module.check = false; } ]; }).options
    else { };

  # A module as it is written, so that what is not known here, or does not evaluate, takes nothing else with it.
  lenient = from: written:
    let
      isFile = isPath written || isString written;
      file = if isFile then toString written else from;
      raw = if isFile then import written else written;
      isCallable = isFunction raw || (isAttrs raw && raw ? __functor);
      missing = args: filter (name: !(args ? ${name}) && !(lib.functionArgs raw).${name}) (attrNames (lib.functionArgs raw));
      call = args: raw (args // listToAttrs (map (name: {
        inherit name;
        value = args.config._module.args.${name} or (throw "codchi: the argument ${name} is not known here");
      }) (missing args)));
      content = value:
        let
          said = tryEval (if isAttrs value then value else { });
          module = if said.success then said.value else { };
          imports = tryEval (module.imports or [ ]);
        in
        module // { imports = concatMap (imported file) (if imports.success && isList imports.value then imports.value else [ ]); }
        // (if isFile then { key = file; } else { })
        // { _file = module._file or file; };
    in
    if isCallable then args: content (call args) else content raw;
  imported = from: module:
    let
      usable =
        if isPath module || isString module then pathExists module && !(elem (toString module) without.modules)
        else isAttrs module || isFunction module;
      tried = tryEval usable;
    in
    if tried.success && tried.value then [ (lenient from module) ] else [ ];

  # A module of the flake, as the caller names it.
  named = module:
    if module ? file then imported "<unknown>" (/. + module.file)
    else
      let
        folder = /. + module.folder;
        file = toString (folder + "/flake.nix");
        outputs = outputsOf folder { nixpkgs = flake // { inherit lib; outPath = toString root; }; };
        found = tryEval (outputs.codchiModules.${module.output} or outputs.nixosModules.${module.output} or { });
      in
      if elem file without.modules || !found.success then [ ] else imported file found.value;

  own =
    (evalModules
      (concatMap named request.modules ++ [ { _module.check = false; _module.freeformType = lib.types.lazyAttrsOf lib.types.anything; } ])
      { inherit pkgs modulesPath; }).options;

  # ---- Documentation ----

  marked = kind: path: value: addErrorContext "codchi: ${kind} ${toJSON path}" (deepSeq value value);
  # Without what throws.
  some = name: value:
    let tried = tryEval (deepSeq value value); in
    if tried.success && tried.value != null && tried.value != [ ] && tried.value != "" then { ${name} = tried.value; } else { };

  # A value as Nix text: enough of it to be read, whatever it is.
  literal = depth: value:
    let
      inner = literal (depth - 1);
      many = length value > 60;
    in
    if isString value then replaceStrings [ "\${" ] [ "\\\${" ] (toJSON (unsafeDiscardStringContext value))
    else if isPath value then toString value
    else if isFunction value then "<function>"
    else if isList value then
      (if value == [ ] then "[ ]" else if depth == 0 || many then "[ … ]" else "[ ${concatStringsSep " " (map inner value)} ]")
    else if isAttrs value then
      (if value ? _type && value ? text && isString value.text then value.text
       else if value.type or null == "derivation" then "<derivation ${value.name or "?"}>"
       else if value == { } then "{ }"
       else if depth == 0 || length (attrNames value) > 60 then "{ … }"
       else "{ ${concatStringsSep " " (map (name: "${attribute name} = ${inner value.${name}};") (attrNames value))} }")
    else toJSON value;
  attribute = name: if builtins.match "[a-zA-Z_][a-zA-Z0-9_'-]*" name != null then name else toJSON name;
  cut = limit: text: if isString text then unsafeDiscardStringContext (if stringLength text > limit then substring 0 limit text else text) else null;
  shown = value: cut 8192 (literal 6 value);

  plainText = value: cut 32768 (if isAttrs value then value.text or null else value);

  declared = option:
    let
      places = option.declarationPositions or [ ];
      ofPlace = place: if isString (place.file or null) then [ ([ place.file ] ++ (if place.line or null == null then [ ] else [ place.line (place.column or 1) ])) ] else [ ];
      ofFile = file: if isString file || isPath file then [ [ (toString file) ] ] else [ ];
      found = concatMap ofPlace places;
      # A module that is no file has no place.
      isFile = place: substring 0 1 (head place) == "/";
    in
    map (place: [ (unsafeDiscardStringContext (head place)) ] ++ tail place)
      (filter isFile (if found != [ ] then found else concatMap ofFile (option.declarations or [ ])));

  document = path: option:
    { inherit path; }
    // some "type" (cut 8192 (option.type.description or null))
    // some "description" (plainText (option.description or null))
    // (if elem path without.values then { }
        else
          (if option ? defaultText || option ? default then some "default" (shown (option.defaultText or option.default)) else { })
          // (if option ? example then some "example" (shown option.example) else { }))
    // some "declared" (declared option)
    // (let isReadOnly = tryEval (option.readOnly or false == true); in if isReadOnly.success && isReadOnly.value then { readOnly = true; } else { });

  # Types may have themselves as a part; so deep is gone into those below each other.
  deepest = 6;

  documented = above: option:
    let
      path = map unsafeDiscardStringContext option.loc;
      visible = option.visible or true;
      isInternal = option.internal or false == true;
      # The same declaration below itself: a type that is part of itself.
      places = tryEval (let found = option.declarationPositions or [ ]; in deepSeq found found);
      mark = [ (builtins.elemAt path (length path - 1)) (if places.success then places.value else [ ]) ];
      isRecursive = places.success && places.value != [ ] && elem mark above;
      isShown = !isInternal && !(elem path without.options) && (visible == true || visible == "shallow");
      isEntered =
        !isInternal && (visible == true || visible == "transparent") && length above < deepest && !isRecursive
        && !(elem path without.trees) && option ? type;
    in
    (if isShown then [ (marked "option" path (document path option)) ] else [ ])
    ++ (if isEntered then addErrorContext "codchi: tree ${toJSON path}" (tree path (above ++ [ mark ]) (option.type.getSubOptions option.loc)) else [ ]);

  tree = at: above: options:
    let
      node = name:
        let
          path = at ++ [ name ];
          child = options.${name};
          isOption = child._type or null == "option";
          found = tryEval (
            let result = if !isAttrs child then [ ] else if isOption then documented above child else tree path above child; in
            builtins.seq (length result) result
          );
        in
        if elem path without.nodes then [ ]
        else addErrorContext "codchi: node ${toJSON path}" (if found.success then found.value else [ ]);
      names = tryEval (if isAttrs options && !(options ? _type) then attrNames options else [ ]);
    in
    if names.success then concatMap node names.value else [ ];

  answers = {
    options = tree [ ] [ ] (removeAttrs nixos [ "codchi" ]);
    own = tree [ ] [ ] (removeAttrs own [ "codchi" "_module" ]);
    packages = map (path: { inherit path; names = namesBelow path; }) request.paths;
  };
in
# What is no nixpkgs at all is an error.
builtins.seq lib answers.${request.what}
