# The everyday functions that modules use.
let
  inherit (builtins)
    attrNames attrValues catAttrs concatLists concatMap concatStringsSep elem elemAt filter foldl' genList getAttr
    hasAttr head isAttrs isList isPath isString length listToAttrs map mapAttrs match replaceStrings split stringLength
    substring tail toString trace typeOf;
in
rec {
  inherit (builtins)
    add all any attrNames attrValues catAttrs concatLists concatMap concatStringsSep deepSeq elem elemAt filter foldl'
    fromJSON functionArgs genList getAttr groupBy hasAttr head intersectAttrs isAttrs isBool isFloat isFunction isInt
    isList isPath isString length lessThan listToAttrs map mapAttrs match partition readFile removeAttrs replaceStrings
    seq sort split stringLength substring tail toJSON toString trace tryEval typeOf zipAttrsWith;

  id = x: x;
  const = x: _: x;
  flip = f: a: b: f b a;
  pipe = foldl' (x: f: f x);
  throwIf = condition: message: if condition then throw message else x: x;
  throwIfNot = condition: throwIf (!condition);
  warn = message: trace "warning: ${message}";
  warnIf = condition: message: if condition then warn message else x: x;
  boolToString = b: if b then "true" else "false";
  min = a: b: if a < b then a else b;
  max = a: b: if a > b then a else b;
  versionAtLeast = a: b: builtins.compareVersions a b >= 0;
  versionOlder = a: b: builtins.compareVersions a b < 0;
  importJSON = path: builtins.fromJSON (builtins.readFile path);

  # Lists
  optional = condition: x: if condition then [ x ] else [ ];
  optionals = condition: xs: if condition then xs else [ ];
  toList = x: if isList x then x else [ x ];
  flatten = x: if isList x then concatMap flatten x else [ x ];
  last = xs: elemAt xs (length xs - 1);
  init = xs: genList (elemAt xs) (length xs - 1);
  reverseList = xs: let n = length xs; in genList (i: elemAt xs (n - i - 1)) n;
  range = from: to: if from > to then [ ] else genList (n: from + n) (to - from + 1);
  unique = foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];
  imap0 = f: xs: genList (i: f i (elemAt xs i)) (length xs);
  imap1 = f: xs: genList (i: f (i + 1) (elemAt xs i)) (length xs);
  foldr = f: end: xs: foldl' (acc: x: f x acc) end (reverseList xs);
  subtractLists = drop: filter (x: !elem x drop);
  intersectLists = keep: filter (x: elem x keep);

  # Attribute sets
  nameValuePair = name: value: { inherit name value; };
  genAttrs = names: f: listToAttrs (map (name: nameValuePair name (f name)) names);
  mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  attrsToList = mapAttrsToList nameValuePair;
  filterAttrs = keep: set: builtins.removeAttrs set (filter (name: !keep name set.${name}) (attrNames set));
  optionalAttrs = condition: set: if condition then set else { };
  concatMapAttrs = f: set: foldl' (acc: name: acc // f name set.${name}) { } (attrNames set);
  mergeAttrsList = foldl' (a: b: a // b) { };
  isDerivation = x: x.type or null == "derivation";
  hasAttrByPath = path: set: path == [ ] || (isAttrs set && set ? ${head path} && hasAttrByPath (tail path) set.${head path});
  attrByPath = path: default: set:
    if path == [ ] then set
    else if isAttrs set && set ? ${head path} then attrByPath (tail path) default set.${head path}
    else default;
  getAttrFromPath = path: attrByPath path (throw "cannot find attribute `${concatStringsSep "." path}'");
  setAttrByPath = path: value: if path == [ ] then value else { ${head path} = setAttrByPath (tail path) value; };
  recursiveUpdate = a: b:
    a // mapAttrs (name: value: if isAttrs value && isAttrs (a.${name} or null) then recursiveUpdate a.${name} value else value) b;

  # Strings
  optionalString = condition: s: if condition then s else "";
  concatStrings = concatStringsSep "";
  concatMapStrings = f: xs: concatStrings (map f xs);
  concatMapStringsSep = separator: f: xs: concatStringsSep separator (map f xs);
  concatLines = concatMapStrings (line: line + "\n");
  hasPrefix = prefix: s: substring 0 (stringLength prefix) s == prefix;
  hasSuffix = suffix: s:
    let n = stringLength s; m = stringLength suffix; in n >= m && substring (n - m) m s == suffix;
  hasInfix = infix: s: length (split (escapeRegex infix) s) > 1;
  removePrefix = prefix: s: if hasPrefix prefix s then substring (stringLength prefix) (-1) s else s;
  removeSuffix = suffix: s: if hasSuffix suffix s then substring 0 (stringLength s - stringLength suffix) s else s;
  escape = characters: replaceStrings characters (map (c: "\\" + c) characters);
  escapeRegex = escape [ "\\" "^" "$" "." "|" "?" "*" "+" "(" ")" "[" "]" "{" "}" ];
  escapeShellArg = x: "'${replaceStrings [ "'" ] [ "'\\''" ] (toString x)}'";
  escapeShellArgs = concatMapStringsSep " " escapeShellArg;
  splitString = separator: s: filter isString (split (escapeRegex separator) s);
  fileContents = path: removeSuffix "\n" (builtins.readFile path);
  upperChars = splitCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  lowerChars = splitCharacters "abcdefghijklmnopqrstuvwxyz";
  splitCharacters = s: genList (i: substring i 1 s) (stringLength s);
  toLower = replaceStrings upperChars lowerChars;
  toUpper = replaceStrings lowerChars upperChars;
  showOption = path: concatStringsSep "." (map (name: if match "[a-zA-Z_][a-zA-Z0-9_'-]*" name != null || name == "<name>" then name else builtins.toJSON name) path);

  # Packages
  getOutput = output: package: package.${output} or package.out or package;
  getBin = getOutput "bin";
  getLib = getOutput "lib";
  getExe = package: getExe' package (package.meta.mainProgram or package.pname or package.name);
  getExe' = package: program: "${getBin package}/bin/${program}";
  makeBinPath = packages: concatMapStringsSep ":" (package: "${getBin package}/bin") packages;
  makeLibraryPath = packages: concatMapStringsSep ":" (package: "${getLib package}/lib") packages;
}
