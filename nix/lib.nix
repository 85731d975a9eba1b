# What a machine's generated flake calls; see README.md.
let
  quoted = name: "`${name}'";
  listed = names: if names == [ ] then "none" else builtins.concatStringsSep ", " names;
in
rec {
  # -> { manifest, toplevel, nixos, moduleOutputs }: what the modules ask of the host, the system to build, the whole
  # evaluation, and for each module what else its flake has, as [ [ kind name ] ].
  #
  # `modules` is a list of what `module` takes, each with its `source` as a person writes it.
  codeMachine = { nixpkgs, system, name, driver, user, modules, store ? "host" }:
    let
      lib = nixpkgs.lib or (throw "codchi: the nixpkgs of this machine (${nixpkgs}) has no `lib': it must be a flake of nixpkgs, e.g. github:NixOS/nixpkgs/nixos-unstable.");
      nixosSystem = lib.nixosSystem or (throw "codchi: the nixpkgs of this machine (${nixpkgs}) cannot make NixOS systems (it has no `lib.nixosSystem'): a nixpkgs.lib alone is not enough.");

      machine = {
        _file = "codchi (the machine ${name})";
        codchi.machine = {
          inherit name driver store;
          user =
            if user.uid > 0 then { inherit (user) uid gid; }
            else throw "codchi: the user of the machine ${quoted name} cannot have the id ${toString user.uid}: root is the machine's administrator. Map the project's owner to another id.";
        };
      };

      nixos = nixosSystem {
        inherit system;
        modules = [ ./modules machine ] ++ map (module lib) modules;
      };
    in
    {
      inherit nixos;
      moduleOutputs = map (given: if given ? output then outputsOf given.input else [ ]) modules;
      manifest =
        let
          asked = nixos.config.codchi.manifest;
          declared = name: secret:
            let declaredBy = declarers modules nixos.options.codchi.secrets name; in
            secret // (if declaredBy == [ ] then { } else { inherit declaredBy; });
        in
        asked // { secrets = builtins.mapAttrs declared asked.secrets; };
      inherit (nixos.config.system.build) toplevel;
    };

  # The sources of those `modules` that have a file which declares the secret `name`; nobody's where it is in a flake that
  # they take it from.
  declarers = modules: option: name:
    let
      declares = definition:
        let inherit (definition) value; in
        builtins.elem name (
          builtins.filter (name: name != "env" && name != "file") (namesIn value)
          ++ (if builtins.isAttrs value then namesIn (value.env or { }) ++ namesIn (value.file or { }) else [ ])
        );
      files = map (definition: toString definition.file) (builtins.filter declares option.definitionsWithLocations);
      isBelow = folder: file: builtins.substring 0 (builtins.stringLength folder + 1) file == "${folder}/";
      folder = given: toString (given.input.sourceInfo.outPath or given.input.outPath);
      isFileOf = file: given: given ? file && file == "${folder given}/${given.file}";
      of = file:
        let exact = builtins.filter (isFileOf file) modules; in
        if exact != [ ] then exact else builtins.filter (given: isBelow (folder given) file) modules;
      sources = builtins.concatMap (given: if given ? source then [ given.source ] else [ ]) (builtins.concatMap of files);
    in
    builtins.attrNames (builtins.listToAttrs (map (name: { inherit name; value = null; }) sources));

  # The names in a set that may be conditional.
  namesIn = set:
    if !builtins.isAttrs set then [ ]
    else if set._type or null == "merge" then builtins.concatMap namesIn set.contents
    else if set._type or null == "if" then (if set.condition then namesIn set.content else [ ])
    else if set ? _type then namesIn (set.content or { })
    else builtins.attrNames set;

  # The module that { input, output } (a module output of a flake) or { input, file } (a file of a source tree) names.
  module = lib: given:
    if given ? output then fromFlake lib given
    else if given ? file then fromFile given
    else throw "codchi: a module of the machine names neither an output of a flake nor a file.";

  fromFlake = lib: { input, output, ... }:
    let
      codchiModules = input.codchiModules or { };
      nixosModules = input.nixosModules or { };
      found =
        codchiModules.${output} or nixosModules.${output} or (throw (
          "codchi: the flake ${input} has no module ${quoted output} (codchiModules: ${listed (builtins.attrNames codchiModules)}; "
          + "nixosModules: ${listed (builtins.attrNames nixosModules)})."
        ));
    in
    # Errors in a module that is written in the flake itself name the flake's file.
    lib.setDefaultModuleLocation "${input}/flake.nix" found;

  outputsOf = input:
    builtins.concatMap
      (kind: map (name: [ kind name ]) (builtins.attrNames (input.${kind} or { })))
      [ "codchiModules" "nixosModules" ];

  fromFile = { input, file, ... }:
    let path = "${input}/${file}"; in
    if builtins.pathExists path then path
    else throw "codchi: there is no file ${quoted file} in ${input}.";
}
