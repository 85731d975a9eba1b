# A module system with the face of nixpkgs': options, definitions with conditions, priorities and order, imports,
# submodules and free-form attributes; errors name the option and the files.
lib:
let
  inherit (lib)
    any attrNames concatMap concatMapStrings elem filter foldl' functionArgs head isAttrs isFunction isOption isPath
    isString last length mapAttrs optional showOption sort tail toList types unique;

  defaultPriority = 100;
  optionDefaultPriority = 1500;
  defaultOrder = 1000;

  isProperty = type: value: value._type or null == type;

  showValue = value:
    let shown = builtins.tryEval (toPlain 2 value); in
    if shown.success then builtins.toJSON shown.value else "<error>";
  toPlain = depth: value:
    if lib.isDerivation value then "<derivation ${value.name or "?"}>"
    else if isAttrs value then (if depth == 0 then "{…}" else mapAttrs (_: toPlain (depth - 1)) value)
    else if builtins.isList value then (if depth == 0 then "[…]" else map (toPlain (depth - 1)) value)
    else if isFunction value then "<function>"
    else if isPath value then toString value
    else value;
  showDefs = concatMapStrings (def: "\n- In `${def.file}': ${showValue def.value}");

  # Definitions without properties that were pushed to the leaves: [ { file, value, priority, order } ].
  discharge = def:
    let value = def.value; in
    if isProperty "merge" value then concatMap (content: discharge (def // { value = content; })) value.contents
    else if isProperty "if" value then
      (if !builtins.isBool value.condition then throw "`mkIf' called with a condition that is not a Boolean, in `${def.file}'"
       else if value.condition then discharge (def // { value = value.content; }) else [ ])
    else if isProperty "override" value then
      map (inner: inner // { priority = value.priority; }) (discharge (def // { value = value.content; }))
    else if isProperty "order" value then
      map (inner: inner // { order = value.priority; }) (discharge (def // { value = value.content; }))
    else [ ({ priority = defaultPriority; order = defaultOrder; } // def) ];

  # The strongest definitions of an option, in order.
  effective = defs:
    let
      discharged = concatMap
        (def: builtins.addErrorContext "while evaluating definitions from `${def.file}':" (discharge def))
        defs;
      strongest = foldl' (least: def: lib.min least def.priority) 9999 discharged;
      kept = filter (def: def.priority == strongest) discharged;
    in
    {
      inherit strongest;
      defs = if any (def: def.order != defaultOrder) kept then sort (a: b: a.order < b.order) kept else kept;
    };

  # Properties around an attribute set, moved to its attributes: a list of plain sets.
  pushDown = def:
    let
      value = def.value;
      around = wrap: content: map (inner: inner // { value = mapAttrs (_: wrap) inner.value; }) (pushDown (def // { value = content; }));
    in
    if isProperty "merge" value then concatMap (content: pushDown (def // { value = content; })) value.contents
    else if isProperty "if" value then around (mkIf value.condition) value.content
    else if isProperty "override" value then around (mkOverride value.priority) value.content
    else if isProperty "order" value then around (mkOrder value.priority) value.content
    else [ def ];

  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkOrder = priority: content: { _type = "order"; inherit priority content; };

  # One option's value from its definitions.
  evalOption = loc: declarations: rawDefs:
    let
      option = foldl' (merged: declaration: merged // declaration.option // {
        type =
          if !(merged ? type) then declaration.option.type or types.unspecified
          else if merged.type.name == (declaration.option.type or merged.type).name then merged.type
          else throw "The option `${showOption loc}' in ${lib.showFiles files} is already declared with another type.";
      }) { } declarations;
      files = map (declaration: declaration.file) declarations;
      inherit (option) type;
      defaults = optional (option ? default) { file = head files; value = mkOverride optionDefaultPriority option.default; };
      given = effective (rawDefs ++ defaults);
      defs = map (def: { inherit (def) file value; }) given.defs;
      wrong = filter (def: !type.check def.value) defs;
      merged =
        if option.readOnly or false && length (effective rawDefs).defs > 1 then
          throw "The option `${showOption loc}' is read-only, but it's set multiple times. Definition values:${showDefs defs}"
        else if defs == [ ] then
          type.emptyValue.value or (throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option.")
        else if wrong != [ ] then
          throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definition values:${showDefs wrong}"
        else type.merge loc defs;
      value = builtins.addErrorContext "while evaluating the option `${showOption loc}':" ((option.apply or lib.id) merged);
    in
    option // {
      inherit type loc value files;
      _type = "option";
      declarations = files;
      declarationPositions =
        map (declaration: if declaration.position == null then { inherit (declaration) file; line = null; column = null; } else declaration.position) declarations;
      definitions = map (def: def.value) defs;
      definitionsWithLocations = defs;
      highestPrio = given.strongest;
      isDefined = defs != [ ] || type ? emptyValue.value;
      __toString = _: showOption loc;
    };

  # The tree of options against the tree of definitions.
  mergeTree = loc: declarations: defs:
    let
      plain = concatMap pushDown defs;
      notSets = filter (def: !isAttrs def.value) plain;
      declared = lib.zipAttrsWith (_: lib.id)
        (map (declaration: mapAttrs (name: option: { inherit (declaration) file; inherit option; position = builtins.unsafeGetAttrPos name declaration.option; }) declaration.option) declarations);
      defined = lib.zipAttrsWith (_: lib.id)
        (map (def: mapAttrs (_: value: { inherit (def) file; inherit value; }) def.value)
          (if notSets == [ ] then plain
           else throw "A definition for option `${showOption loc}' is not an attribute set. Definition values:${showDefs notSets}"));
      children = mapAttrs (name: here:
        let path = loc ++ [ name ]; in
        if any (declaration: isOption declaration.option) here then
          (if lib.all (declaration: isOption declaration.option) here then
            { option = evalOption path here (defined.${name} or [ ]); }
           else throw "The option `${showOption path}' in ${lib.showFiles (map (d: d.file) here)} would be a parent of other options.")
        else { tree = mergeTree path here (defined.${name} or [ ]); }) declared;
    in
    {
      options = mapAttrs (_: child: child.option or child.tree.options) children;
      config = mapAttrs (_: child: if child ? option then child.option.value else child.tree.config) children;
      unmatched =
        concatMap (name: children.${name}.tree.unmatched or [ ]) (attrNames children)
        ++ concatMap (name: map (def: def // { path = loc ++ [ name ]; }) defined.${name})
          (filter (name: !(declared ? ${name})) (attrNames defined));
    };

  # A module as written -> { file, key, imports, options, config }.
  load = args: fallbackFile: fallbackKey: module:
    let
      fromFile = isPath module || isString module;
      file = if fromFile then toString module else fallbackFile;
      key = if fromFile then file else fallbackKey;
      raw = if fromFile then import module else module;
      applied =
        if isFunction raw || raw ? __functor then
          raw (args // lib.genAttrs (filter (name: !(args ? ${name})) (attrNames (functionArgs raw)))
            (name: builtins.addErrorContext "while evaluating the module argument `${name}' in \"${file}\":"
              (args.config._module.args.${name})))
        else raw;
      structured = applied ? config || applied ? options;
      keywords = [ "_class" "_file" "key" "imports" "options" "config" "disabledModules" "meta" "freeformType" ];
      stray = removeAttrs applied keywords;
      ownFile = applied._file or file;
    in
    if !isAttrs applied then throw "module ${file} (${key}) does not look like a module."
    else if structured && stray != { } then
      throw "Module `${ownFile}' has an unsupported attribute `${head (attrNames stray)}'. This is caused by introducing a top-level `config' or `options' attribute. Add configuration attributes immediately on the top level instead, or move all of them (namely: ${toString (attrNames stray)}) into the explicit `config' attribute."
    else {
      file = ownFile;
      key = applied.key or key;
      imports = applied.imports or [ ];
      options = applied.options or { };
      config = lib.optionalAttrs (applied ? freeformType) { _module.freeformType = applied.freeformType; } // (
        if structured then { } else removeAttrs applied keywords);
      more = applied.config or { };
    };

  # All modules that are reached through imports, each once, imports first.
  closure = args:
    let
      visit = file: key: state: modules: foldl' (state: indexed:
        let module = load args file "${key}:${toString indexed.index}" indexed.value; in
        if elem module.key state.seen then state
        else
          let below = visit module.file module.key (state // { seen = state.seen ++ [ module.key ]; }) module.imports; in
          below // { found = below.found ++ [ module ]; }) state (lib.imap1 (index: value: { inherit index value; }) modules);
    in
    modules: (visit "<unknown-file>" "anonymous" { seen = [ ]; found = [ ]; } modules).found;

  internal = {
    _file = "<module system>";
    key = "<module system>";
    options._module = {
      args = lib.mkOption { type = types.lazyAttrsOf types.raw; default = { }; visible = false; description = "Arguments for modules."; };
      check = lib.mkOption { type = types.bool; default = true; visible = false; description = "Whether unknown options are errors."; };
      freeformType = lib.mkOption { type = types.nullOr types.raw; default = null; visible = false; description = "The type of undeclared options."; };
    };
  };
in
{
  inherit mkIf mkOverride mkOrder;
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkVMOverride = mkOverride 10;
  mkOptionDefault = mkOverride optionDefaultPriority;
  mkBefore = mkOrder 500;
  mkAfter = mkOrder 1500;
  mkDefinition = definition: definition;
  inherit defaultPriority defaultOrder showDefs;
  dischargeAll = defs: (effective defs).defs;

  setDefaultModuleLocation = file: module: { _file = file; imports = [ module ]; };

  evalModules = { modules, specialArgs ? { }, prefix ? [ ], args ? { }, class ? null, check ? true }:
    let
      loaded = closure ({ inherit lib config; inherit (result) options; _class = class; } // specialArgs)
        ([ internal { _file = "<arguments>"; key = "<arguments>"; config._module = { inherit args; check = lib.mkDefault check; }; } ] ++ modules);
      result = mergeTree prefix
        (map (module: { inherit (module) file; option = module.options; }) loaded)
        (concatMap (module: [ { inherit (module) file; value = module.config; } { inherit (module) file; value = module.more; } ]) loaded);
      inherit (result.config._module) freeformType;
      depth = length prefix;
      drop = n: path: if n == 0 then path else drop (n - 1) (tail path);
      free = freeformType.merge prefix
        (map (def: { inherit (def) file; value = lib.setAttrByPath (drop depth def.path) def.value; }) result.unmatched);
      config =
        if freeformType == null then result.config
        else if result.unmatched == [ ] then result.config
        else lib.recursiveUpdate free result.config;
      checked =
        if !result.config._module.check || freeformType != null || result.unmatched == [ ] then config
        else
          let
            first = head result.unmatched;
            same = filter (def: def.path == first.path) result.unmatched;
          in
          throw "The option `${showOption first.path}' does not exist. Definition values:${showDefs same}";
    in
    {
      _type = "configuration";
      inherit (result) options;
      config = removeAttrs checked [ "_module" ];
      _module = result.config._module;
      type = types.submoduleWith { inherit modules specialArgs; };
      extendModules = more: lib.evalModules {
        modules = modules ++ more.modules or [ ];
        specialArgs = specialArgs // more.specialArgs or { };
        inherit prefix args class check;
      };
    };
}
