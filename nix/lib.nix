# What a machine's generated flake calls; see README.md.
let
  quoted = name: "`${name}'";
  listed = names: if names == [ ] then "none" else builtins.concatStringsSep ", " names;
in
rec {
  # -> { manifest, toplevel, nixos, moduleOutputs }: what the modules ask of the host, the system to build, the whole
  # evaluation, and for each module what else its flake has, as [ [ kind name ] ].
  #
  # `modules` is a list of what `module` takes.
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
      inherit (nixos.config.codchi) manifest;
      inherit (nixos.config.system.build) toplevel;
    };

  # The module that { input, output } (a module output of a flake) or { input, file } (a file of a source tree) names.
  module = lib: given:
    if given ? output then fromFlake lib given
    else if given ? file then fromFile given
    else throw "codchi: a module of the machine names neither an output of a flake nor a file.";

  fromFlake = lib: { input, output }:
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

  fromFile = { input, file }:
    let path = "${input}/${file}"; in
    if builtins.pathExists path then path
    else throw "codchi: there is no file ${quoted file} in ${input}.";
}
