# The table of options that the language server knows (options.json), made from ./modules:
#   { "codchi.gpu.enable": { "type", "description", "default"?, "example"?, "deprecated"? }, … }
# A free name is `<name>`. Options that a module cannot set (internal and read-only ones) are left out.
#
# `lib` is that of any nixpkgs: only declarations are read, no configuration is evaluated.
lib:
let
  inherit (lib) concatMap concatStringsSep isAttrs isList isString;

  # A value as Nix text.
  literal = value:
    if isString value then lib.replaceStrings [ "\${" ] [ "\\\${" ] (builtins.toJSON value)
    else if isList value then (if value == [ ] then "[ ]" else "[ ${concatStringsSep " " (map literal value)} ]")
    else if isAttrs value then
      (if value == { } then "{ }"
       else "{ ${concatStringsSep " " (lib.mapAttrsToList (name: inner: "${name} = ${literal inner};") value)} }")
    else builtins.toJSON value;
  text = value: trimmed (value.text or (literal value));
  trimmed = lib.removeSuffix "\n";

  # The shapes that a literal can be checked against: `OptionType` in server/module.
  shape = type:
    let
      inherit (type) name;
      of = { of = shape type.nestedTypes.elemType; };
    in
    if lib.elem name [ "bool" "int" "path" "package" "submodule" ] then { inherit name; }
    else if lib.elem name [ "str" "singleLineStr" "nonEmptyStr" ] || lib.hasPrefix "strMatching" name then { name = "str"; }
    else if name == "separatedString" then { name = "lines"; }
    else if name == "enum" then { inherit name; values = type.functor.payload.values or type.functor.payload; }
    else if lib.elem name [ "nullOr" "listOf" "attrsOf" ] then { inherit name; } // of
    else if name == "lazyAttrsOf" then { name = "attrsOf"; } // of
    else { name = "anything"; };

  document = option: lib.nameValuePair (concatStringsSep "." option.loc) (
    { type = shape option.type; description = trimmed option.description; }
    // lib.optionalAttrs (option ? default || option ? defaultText) { default = text (option.defaultText or option.default); }
    // lib.optionalAttrs (option ? example) { example = text option.example; }
    // lib.optionalAttrs (option ? deprecated) { inherit (option) deprecated; }
  );

  settable = option: option.visible or true == true && !(option.internal or false) && !(option.readOnly or false);

  # An option, and those that its type has.
  documented = option:
    if settable option then [ (document option) ] ++ tree (option.type.getSubOptions option.loc) else [ ];
  tree = options: concatMap (name:
    let node = options.${name}; in
    if lib.isOption node then documented node else tree node
  ) (lib.filter (name: name != "_module") (lib.attrNames options));

  declared = lib.evalModules { modules = [ ./modules { _module.check = false; } ]; };
in
lib.listToAttrs (tree { inherit (declared.options) codchi; })
