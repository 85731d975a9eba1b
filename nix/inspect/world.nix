# What a module sees beside codchi's own options: pkgs, config, options and the inputs of a flake. What is not known of them
# throws when it is needed, and notes that it was: a throw is caught per option, a missing attribute ends the process.
{ nixpkgs, lib, reads, known, note }:
let
  inherit (builtins) attrNames elem filter groupBy head isAttrs isList mapAttrs pathExists tail;

  unknown = at: note { unknown = at; } (throw "codchi: only an evaluation of all of NixOS knows `${lib.concatStringsSep "." at}'.");
  unknowns = at: names: lib.genAttrs names (name: unknown (at ++ [ name ]));

  # Paths as nested sets.
  tree = paths: mapAttrs (_: below: tree (map tail below)) (groupBy head (filter (path: path != [ ]) paths));
  packages = tree reads.packages;
  inputs = tree reads.inputs;

  # The names at the top of NixOS' options.
  ofNixos = [
    "appstream" "assertions" "boot" "console" "containers" "documentation" "dysnomia" "environment" "fileSystems" "fonts"
    "gtk" "hardware" "home-manager" "i18n" "ids" "image" "lib" "location" "meta" "networking" "nix" "nixpkgs" "oci"
    "passthru" "power" "powerManagement" "programs" "qt" "security" "services" "snapraid" "sound" "specialisation"
    "swapDevices" "system" "systemd" "time" "users" "virtualisation" "warnings" "xdg" "zramSwap"
  ];
in
rec {
  system = builtins.currentSystem;

  # nixpkgs as a flake.
  flake = (import (nixpkgs + "/flake.nix")).outputs { self = flake; } // { outPath = toString nixpkgs; };

  # Real packages where there are some: they are lazy, so a module that needs none pays nothing. Overlays and settings of
  # the module are not in them, so an error that comes from them is none.
  pkgs =
    if known != "values" then unknown [ "pkgs" ]
    else { inherit lib; } // unknowns [ "pkgs" ] (filter (name: name != "lib") (attrNames packages)) // (
      if pathExists (nixpkgs + "/pkgs/top-level") then import nixpkgs { inherit system; config = { }; overlays = [ ]; }
      else flake.legacyPackages.${system} or { }
    );

  # `lib.evalModules` in which `config` has declared options, and of the others what is read.
  evaluate = modules:
    let
      result = lib.evalModules {
        modules = modules ++ [
          {
            _file = "codchi (inspect)";
            config = {
              _module.args.pkgs = lib.mkDefault pkgs;
              codchi.machine = {
                name = unknown [ "config" "codchi" "machine" "name" ];
                driver = unknown [ "config" "codchi" "machine" "driver" ];
                user = unknowns [ "config" "codchi" "machine" "user" ] [ "uid" "gid" ];
              };
            };
          }
        ];
        specialArgs = {
          config = shown [ "config" ] result.options result.config (lib.genAttrs ofNixos (_: { }) // tree reads.config) // {
            inherit (result) _module;
          };
          modulesPath =
            if pathExists (nixpkgs + "/nixos/modules") then toString (nixpkgs + "/nixos/modules") else unknown [ "modulesPath" ];
          inputs = if known == "no-modules" then unknown [ "inputs" ] else mapAttrs (name: _: input name) inputs;
          self = unknown [ "self" ];
        }
        # What NixOS gives its modules besides.
        // unknowns [ ] [ "baseModules" "extraModules" "modules" "noUserModules" "utils" ]
        # Not otherwise: a module may look here for what it then declares, and that would need itself.
        // (if known == "no-modules" then { options = unknowns [ "options" ] ofNixos // result.options; } else { });
      };
    in
    result;

  # The declared options of `value`, and what is read of the others.
  shown = at: declared: value: read:
    mapAttrs
      (name: node: if lib.isOption node then value.${name} else shown (at ++ [ name ]) node value.${name} (read.${name} or { }))
      (removeAttrs declared [ "_module" ])
    // mapAttrs (name: undeclared (at ++ [ name ]) value name) (removeAttrs read (attrNames declared));
  # What the module sets of an option that NixOS has: one value is what it is; sets and lists have more in NixOS.
  undeclared = at: set: name: read:
    if known != "values" || !(isAttrs set && set ? ${name}) then unknown at
    else
      let value = set.${name}; in
      if isAttrs value && !lib.isDerivation value then
        (if read == { } then unknown at else mapAttrs (inner: undeclared (at ++ [ inner ]) value inner) read)
      else if isList value then unknown at
      else value;

  # An input of which there are no files.
  input = name:
    let
      at = [ "inputs" name ];
      read = inputs.${name} or { };
      modules = kind: mapAttrs (module: _: unseen (at ++ [ kind module ])) (read.${kind} or { });
      kinds = filter (kind: read.${kind} or { } != { }) [ "nixosModules" "codchiModules" ];
    in
    if known == "no-modules" then unknown at
    else
      unknowns at [
        "codchiModules" "defaultPackage" "inputs" "lastModified" "legacyPackages" "lib" "narHash" "nixosModule" "nixosModules"
        "outPath" "outputs" "overlay" "overlays" "packages" "rev" "shortRev" "sourceInfo"
      ]
      // unknowns at (attrNames read)
      // lib.genAttrs kinds modules
      // (if read ? nixosModule then { nixosModule = unseen (at ++ [ "nixosModule" ]); } else { })
      // (if lib.hasPrefix "nixpkgs" name then { inherit lib; } else { })
      # Its outputs per system hold no modules.
      // (
        if name == "flake-utils" then {
          lib = unknowns (at ++ [ "lib" ]) (attrNames (read.lib or { })) // { eachDefaultSystem = _: { }; eachSystem = _: _: { }; };
        } else { }
      );

  # A module that nobody has seen: what it sets and declares is missing, the rest is what it is.
  unseen = at: note { unseen = at; } { _file = lib.concatStringsSep "." at; };
}
