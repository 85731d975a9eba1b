# Option types: { name, description, check, merge, … }.
lib:
let
  inherit (lib) all concatMap elem filter head isAttrs isFunction isList isString length mapAttrs showOption types;

  mkOptionType = { name, description ? name, check ? (_: true), merge ? mergeEqual, ... }@type:
    { _type = "option-type"; nestedTypes = { }; getSubOptions = _: { }; }
    // type // { inherit name description check merge; };

  conflict = loc: defs: throw "The option `${showOption loc}' has conflicting definition values:${lib.showDefs defs}\nUse `lib.mkForce value` or `lib.mkDefault value` to change the priority on any of these definitions.";
  mergeEqual = loc: defs:
    if all (def: def.value == (head defs).value) defs then (head defs).value else conflict loc defs;
  mergeOne = loc: defs:
    if length defs == 1 then (head defs).value
    else throw "The option `${showOption loc}' is defined multiple times while it's expected to be unique. Definition values:${lib.showDefs defs}";
  # A nested value: definitions may carry properties of their own.
  mergeNested = loc: type: defs:
    let
      kept = map (def: { inherit (def) file value; }) (lib.dischargeAll defs);
      wrong = filter (def: !type.check def.value) kept;
    in
    if kept == [ ] then { defined = false; }
    else if wrong != [ ] then
      throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definition values:${lib.showDefs wrong}"
    else { defined = true; value = type.merge loc kept; };
  isPathLike = x: builtins.isPath x || (isString x && lib.hasPrefix "/" x) || (isAttrs x && (x ? outPath || x ? __toString));
  strings = name: description: separator: mkOptionType {
    inherit name description;
    check = isString;
    merge = _: defs: lib.concatStringsSep separator (map (def: def.value) defs);
  };
  integers = name: description: check: mkOptionType { inherit name description; check = x: builtins.isInt x && check x; };
  attrsOfWith = lazy: type: mkOptionType {
    name = if lazy then "lazyAttrsOf" else "attrsOf";
    description = "${lib.optionalString lazy "lazy "}attribute set of ${type.description}";
    check = isAttrs;
    emptyValue.value = { };
    nestedTypes.elemType = type;
    getSubOptions = prefix: type.getSubOptions (prefix ++ [ "<name>" ]);
    merge = loc: defs:
      let
        merged = lib.zipAttrsWith (name: mergeNested (loc ++ [ name ]) type)
          (concatMap (def: map (inner: mapAttrs (_: value: { inherit (def) file; inherit value; }) inner) [ def.value ]) defs);
      in
      if lazy then mapAttrs (name: item: if item.defined then item.value else type.emptyValue.value or (throw "The option `${showOption (loc ++ [ name ])}' was accessed but has no value defined.")) merged
      else mapAttrs (_: item: item.value) (lib.filterAttrs (_: item: item.defined) merged);
  };
in
rec {
  inherit mkOptionType;
  isType = kind: x: x._type or null == kind;

  raw = mkOptionType { name = "raw"; description = "raw value"; merge = mergeOne; };
  unspecified = mkOptionType { name = "unspecified"; description = "unspecified value"; merge = loc: defs: if length defs == 1 then (head defs).value else anything.merge loc defs; };
  anything = mkOptionType {
    name = "anything";
    merge = loc: defs:
      let values = map (def: def.value) defs; in
      if all (value: isAttrs value && !(lib.isDerivation value)) values then (lazyAttrsOf anything).merge loc defs
      else if length defs == 1 then head values
      else if all isList values then lib.concatLists values
      else mergeEqual loc defs;
  };
  bool = mkOptionType { name = "bool"; description = "boolean"; check = builtins.isBool; };
  int = integers "int" "signed integer" (_: true);
  ints = {
    positive = integers "positiveInt" "positive integer, meaning >0" (x: x > 0);
    unsigned = integers "unsignedInt" "unsigned integer, meaning >=0" (x: x >= 0);
    between = low: high: integers "intBetween" "integer between ${toString low} and ${toString high} (both inclusive)" (x: x >= low && x <= high);
    u16 = ints.between 0 65535;
  };
  float = mkOptionType { name = "float"; description = "floating point number"; check = builtins.isFloat; };
  number = either int float;
  port = integers "unsignedInt16" "16 bit unsigned integer; between 0 and 65535 (both inclusive)" (x: x >= 0 && x <= 65535);
  str = mkOptionType { name = "str"; description = "string"; check = isString; };
  singleLineStr = addCheck str (s: builtins.match "[^\n\r]*\n?" s != null) // { name = "singleLineStr"; description = "(optionally newline-terminated) single-line string"; };
  nonEmptyStr = addCheck str (s: builtins.match "[ \t\n]*" s == null) // { name = "nonEmptyStr"; description = "non-empty string"; };
  strMatching = pattern: addCheck str (s: builtins.match pattern s != null) // { name = "strMatching"; description = "string matching the pattern ${pattern}"; };
  separatedString = separator: strings "separatedString" "strings concatenated with ${builtins.toJSON separator}" separator;
  lines = separatedString "\n" // { name = "separatedString"; description = "strings concatenated with \"\\n\""; };
  commas = separatedString ",";
  envVar = separatedString ":";
  path = mkOptionType { name = "path"; description = "absolute path"; check = isPathLike; };
  pathInStore = path // { name = "pathInStore"; description = "path in the Nix store"; };
  package = mkOptionType { name = "package"; check = x: lib.isDerivation x || (isPathLike x); };
  shellPackage = package // { name = "shellPackage"; };
  enum = values: mkOptionType {
    name = "enum";
    description = "one of ${lib.concatMapStringsSep ", " builtins.toJSON values}";
    check = x: elem x values;
    functor.payload = { inherit values; };
  };
  attrs = mkOptionType {
    name = "attrs";
    description = "attribute set";
    check = isAttrs;
    emptyValue.value = { };
    merge = _: lib.foldl' (acc: def: acc // def.value) { };
  };
  attrsOf = attrsOfWith false;
  lazyAttrsOf = attrsOfWith true;
  listOf = type: mkOptionType {
    name = "listOf";
    description = "list of ${type.description}";
    check = isList;
    emptyValue.value = [ ];
    nestedTypes.elemType = type;
    getSubOptions = prefix: type.getSubOptions (prefix ++ [ "*" ]);
    merge = loc: defs: map (item: item.value) (filter (item: item.defined) (lib.concatLists (lib.imap1 (n: def:
      lib.imap1 (m: value: mergeNested (loc ++ [ "[definition ${toString n}-entry ${toString m}]" ]) type [ { inherit (def) file; inherit value; } ])
        def.value) defs)));
  };
  nonEmptyListOf = type: addCheck (listOf type) (xs: xs != [ ]);
  nullOr = type: mkOptionType {
    name = "nullOr";
    description = "null or ${type.description}";
    check = x: x == null || type.check x;
    emptyValue.value = null;
    nestedTypes.elemType = type;
    inherit (type) getSubOptions;
    merge = loc: defs:
      if all (def: def.value == null) defs then null
      else if lib.any (def: def.value == null) defs then conflict loc defs
      else type.merge loc defs;
  };
  either = a: b: mkOptionType {
    name = "either";
    description = "${a.description} or ${b.description}";
    check = x: a.check x || b.check x;
    nestedTypes = { left = a; right = b; };
    merge = loc: defs:
      if all (def: a.check def.value) defs then a.merge loc defs
      else if all (def: b.check def.value) defs then b.merge loc defs
      else mergeEqual loc defs;
  };
  oneOf = candidates: lib.foldl' either (head candidates) (lib.tail candidates);
  coercedTo = from: coerce: to: mkOptionType {
    name = "coercedTo";
    description = "${to.description} or ${from.description} convertible to it";
    check = x: (from.check x && to.check (coerce x)) || to.check x;
    emptyValue = to.emptyValue or { };
    nestedTypes = { coercedType = from; finalType = to; };
    inherit (to) getSubOptions;
    merge = loc: defs: to.merge loc (map (def: def // { value = if from.check def.value then coerce def.value else def.value; }) defs);
  };
  functionTo = type: mkOptionType {
    name = "functionTo";
    description = "function that evaluates to a(n) ${type.description}";
    check = isFunction;
    merge = loc: defs: argument: type.merge loc (map (def: def // { value = def.value argument; }) defs);
  };
  deferredModule = mkOptionType {
    name = "deferredModule";
    description = "module";
    check = x: isAttrs x || isFunction x || isPathLike x;
    merge = _: defs: { imports = map (def: { _file = def.file; imports = [ def.value ]; }) defs; };
  };
  addCheck = type: check: type // { check = x: type.check x && check x; };
  uniq = type: type // { merge = mergeOne; };
  unique = _: uniq;
  submodule = modules: submoduleWith { modules = lib.toList modules; shorthandOnlyDefinesConfig = true; };
  submoduleWith = { modules, specialArgs ? { }, shorthandOnlyDefinesConfig ? false, description ? "submodule", class ? null }:
    let
      evaluate = loc: definitions: lib.evalModules {
        inherit specialArgs;
        modules = modules ++ definitions;
        prefix = loc;
        args.name = lib.last loc;
      };
    in
    mkOptionType {
      name = "submodule";
      inherit description;
      check = x: isAttrs x || isFunction x || builtins.isPath x;
      emptyValue.value = { };
      getSubOptions = prefix:
        let documented = lib.evalModules { inherit modules specialArgs prefix; args.name = "<name>"; }; in
        removeAttrs documented.options [ "_module" ]
        // lib.optionalAttrs (documented._module.freeformType != null) {
          _freeformOptions = documented._module.freeformType.getSubOptions prefix;
        };
      merge = loc: defs: (evaluate loc (map (def:
        if isAttrs def.value && shorthandOnlyDefinesConfig then { _file = def.file; config = def.value; }
        else { _file = def.file; imports = [ def.value ]; }) defs)).config;
    };
}
