# nixpkgs' trivial builders. What runs at build time is a static busybox: it needs nothing of the computer it runs on.
{ lib, system, tree }:
let
  busybox = "${tree}/usr/bin/busybox";
  runCommand = name: attributes: script:
    let
      meta = attributes.meta or { };
      made = derivation (removeAttrs attributes [ "meta" "passthru" "preferLocalBuild" "allowSubstitutes" ] // {
        inherit name system script;
        builder = busybox;
        args = [ "sh" "-c" ''export PATH=$PWD; ${busybox} ln -s ${busybox} busybox; ./busybox --install -s .; . "$scriptPath"'' ];
        passAsFile = [ "script" ] ++ attributes.passAsFile or [ ];
      });
    in
    made // { inherit meta; } // attributes.passthru or { };

  writeTextFile = { name, text, executable ? false, destination ? "", meta ? { }, ... }: runCommand name
    { inherit text meta; passAsFile = [ "text" ]; }
    ''
      target=$out${destination}
      mkdir -p "''${target%/*}"
      cp "$textPath" "$target"
      ${lib.optionalString executable ''chmod +x "$target"''}
    '';

  # Scripts are for machines, not for builds. The machine's bash is there only once its init has put it in place, and an
  # engine may run a script before: the static busybox waits for it.
  script = text: ''
    #!${busybox} sh
    [ -n "''${BASH_VERSION-}" ] || { until [ -e /run/current-system ]; do sleep 0.01; done; exec /bin/bash "$0" "$@"; }
    ${text}'';
in
rec {
  inherit runCommand writeTextFile;
  runCommandLocal = runCommand;
  writeText = name: text: writeTextFile { inherit name text; };
  writeTextDir = path: text: writeTextFile { name = baseNameOf path; inherit text; destination = "/${path}"; };
  writeScript = name: text: writeTextFile { inherit name text; executable = true; };
  writeScriptBin = name: text: writeTextFile { inherit name text; executable = true; destination = "/bin/${name}"; meta.mainProgram = name; };
  writeShellScript = name: text: writeScript name (script text);
  writeShellScriptBin = name: text: writeScriptBin name (script text);
  writeShellApplication = { name, text, runtimeInputs ? [ ], ... }: writeShellScriptBin name ''
    set -euo pipefail
    export PATH=${lib.makeBinPath runtimeInputs}:$PATH
    ${text}
  '';
  symlinkJoin = { name, paths, ... }: buildEnv { inherit name paths; };
  # Later paths give way to earlier ones.
  buildEnv = { name, paths, pathsToLink ? [ "/" ], postBuild ? "", ... }: runCommand name { } ''
    join() { # FROM TO: links what is in FROM into TO; where both have a folder, what is in it
      local entry target below
      for entry in "$1"/*; do
        [ -e "$entry" ] || [ -L "$entry" ] || continue
        target=$2/''${entry##*/}
        if [ ! -e "$target" ] && [ ! -L "$target" ]; then
          ln -s "$entry" "$target"
        elif [ -d "$entry" ] && [ -d "$target" ]; then
          if [ -L "$target" ]; then
            below=$(readlink "$target")
            rm "$target"
            mkdir "$target"
            join "$below" "$target"
          fi
          join "$entry" "$target"
        fi
      done
    }
    mkdir -p $out
    for path in ${toString paths}; do
      for part in ${toString pathsToLink}; do
        [ -d "$path$part" ] || continue
        mkdir -p "$out$part"
        join "''${path}''${part%/}" "$out''${part%/}"
      done
    done
    ${postBuild}
  '';
}
