# Units and tmpfiles.
{ config, lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  strings = description: mkOption { type = types.listOf types.str; default = [ ]; inherit description; };
  lines = description: mkOption { type = types.lines; default = ""; inherit description; };
  on = default: mkOption { type = types.bool; inherit default; description = "A switch."; };
  # Values of a section: as in nixpkgs lists are joined when any definition is one.
  section = mkOption {
    default = { };
    description = "A section of the unit's file.";
    type = types.attrsOf (types.mkOptionType {
      name = "systemd option";
      merge = loc: defs:
        if lib.any (def: lib.isList def.value) defs then lib.concatMap (def: lib.toList def.value) defs
        else types.unspecified.merge loc defs;
    });
  };

  unitOptions = {
    enable = on true;
    description = mkOption { type = types.str; default = ""; description = "What it is."; };
    wantedBy = strings "Units that want it.";
    requiredBy = strings "Units that require it.";
    wants = strings "Units that are started with it.";
    requires = strings "Units without which it does not run.";
    bindsTo = strings "Units with which it stops.";
    partOf = strings "Units whose stop stops it.";
    conflicts = strings "Units that it stops.";
    after = strings "Units before it.";
    before = strings "Units after it.";
    unitConfig = section;
    restartTriggers = mkOption { type = types.listOf types.unspecified; default = [ ]; description = "What restarts it when it changes."; };
  };
  kind = extra: mkOption {
    default = { };
    description = "Units of this kind.";
    type = types.attrsOf (types.submodule { options = unitOptions // extra; });
  };
  serviceOptions = {
    serviceConfig = section;
    environment = mkOption { type = types.attrsOf (types.nullOr (types.oneOf [ types.str types.path types.package ])); default = { }; description = "Its environment."; };
    path = mkOption { type = types.listOf (types.either types.package types.str); default = [ ]; description = "Packages on its PATH."; };
    script = lines "What it runs.";
    preStart = lines "What runs before.";
    postStart = lines "What runs after its start.";
    postStop = lines "What runs after its stop.";
    restartIfChanged = on true;
    startAt = strings "When it is started, as calendar events.";
  };

  value = x: if x == true then "true" else if x == false then "false" else toString x;
  body = set: lib.concatStrings (lib.mapAttrsToList (key: given:
    if given == null then "" else lib.concatMapStrings (one: "${key}=${value one}\n") (lib.toList given)) set);
  sections = set: lib.concatStringsSep "\n" (lib.mapAttrsToList (name: given: "[${name}]\n${body given}") (lib.filterAttrs (_: given: given != { }) set));

  nonEmpty = lib.filterAttrs (_: xs: xs != [ ] && xs != "");
  unitSection = unit: nonEmpty {
    Description = unit.description;
    Wants = unit.wants;
    Requires = unit.requires;
    BindsTo = unit.bindsTo;
    PartOf = unit.partOf;
    Conflicts = unit.conflicts;
    After = unit.after;
    Before = unit.before;
  } // lib.optionalAttrs (unit.restartTriggers != [ ]) { X-Restart-Triggers = toString unit.restartTriggers; }
    // lib.optionalAttrs (!(unit.restartIfChanged or true)) { X-RestartIfChanged = "false"; }
    // unit.unitConfig;
  serviceSection = name: unit:
    let run = what: text: "${pkgs.writeShellScript "unit-script-${name}-${what}" "set -e\n${text}"}"; in
    {
      Environment = lib.mapAttrsToList (key: given: builtins.toJSON "${key}=${toString given}") (lib.filterAttrs (_: given: given != null) unit.environment)
        ++ [ (builtins.toJSON "PATH=${lib.makeBinPath (unit.path ++ [ pkgs.coreutils pkgs.findutils pkgs.gnugrep pkgs.gnused pkgs.systemd ])}") ];
    }
    // lib.optionalAttrs (unit.script != "") { ExecStart = run "start" unit.script; }
    // lib.optionalAttrs (unit.preStart != "") { ExecStartPre = [ (run "pre-start" unit.preStart) ]; }
    // lib.optionalAttrs (unit.postStart != "") { ExecStartPost = [ (run "post-start" unit.postStart) ]; }
    // lib.optionalAttrs (unit.postStop != "") { ExecStopPost = [ (run "post-stop" unit.postStop) ]; }
    // unit.serviceConfig;

  # -> [ { file, text, unit } ]
  files = units:
    lib.mapAttrsToList (name: unit: { inherit unit; file = "${name}.service"; text = sections { Unit = unitSection unit; Service = serviceSection name unit; }; }) units.services
    ++ lib.mapAttrsToList (name: unit: { inherit unit; file = "${name}.timer"; text = sections { Unit = unitSection unit; Timer = unit.timerConfig; }; }) units.timers
    ++ lib.mapAttrsToList (name: unit: { inherit unit; file = "${name}.socket"; text = sections { Unit = unitSection unit; Socket = unit.socketConfig // nonEmpty { ListenStream = unit.listenStreams; }; }; }) units.sockets
    ++ lib.mapAttrsToList (name: unit: { inherit unit; file = "${name}.path"; text = sections { Unit = unitSection unit; Path = unit.pathConfig; }; }) units.paths
    ++ lib.mapAttrsToList (name: unit: { inherit unit; file = "${name}.target"; text = sections { Unit = unitSection unit; }; }) units.targets;
  timed = services: lib.mapAttrs (_: service: { wantedBy = [ "timers.target" ]; timerConfig.OnCalendar = service.startAt; })
    (lib.filterAttrs (_: service: service.startAt != [ ]) services);

  folder = where: units: more: pkgs.runCommand "${where}-units" { } ''
    mkdir $out
    cd $out
    ${lib.concatMapStrings ({ file, text, unit }:
      let name = lib.escapeShellArg file; in
      if !unit.enable then "ln -s /dev/null ${name}\n"
      else ''
        # What Debian has is added to, not replaced.
        target=${name}
        if [ -e ${pkgs.debian}/lib/systemd/${where}/${name} ]; then
          mkdir -p ${name}.d
          target=${name}.d/overrides.conf
        fi
        printf %s ${lib.escapeShellArg text} >"$target"
        ${lib.concatMapStrings (by: "mkdir -p ${by}.wants; ln -s ../${name} ${by}.wants/${name}\n") unit.wantedBy}
        ${lib.concatMapStrings (by: "mkdir -p ${by}.requires; ln -s ../${name} ${by}.requires/${name}\n") unit.requiredBy}
      '') (files units)}
    ${more}
  '';
  cfg = config.systemd;
in
{
  options.systemd = {
    services = kind serviceOptions;
    timers = kind { timerConfig = section; };
    paths = kind { pathConfig = section; };
    sockets = kind { socketConfig = section; listenStreams = strings "What it listens on."; };
    targets = kind { };
    user.services = kind serviceOptions;
    tmpfiles.rules = strings "Lines for tmpfiles.d.";
    # Not in nixpkgs: units of Debian's that are off unless something wants them.
    distribution.enabled = strings "Names of Debian's units that belong to the boot.";
  };
  options.services.getty.autologinUser = mkOption { type = types.nullOr types.str; default = null; description = "Who is logged in on the console."; };

  config = {
    lib.systemd = { inherit sections; };
    systemd.timers = timed cfg.services;
    systemd.services.console-getty = lib.mkIf (config.services.getty.autologinUser != null) {
      serviceConfig.ExecStart = [ "" "-/sbin/agetty --noclear --keep-baud --autologin ${config.services.getty.autologinUser} console 115200,38400,9600 $TERM" ];
    };
    # sshd's folder for its unprivileged half, which Debian's ssh.service would make.
    systemd.tmpfiles.rules = [ "d /run/sshd 0755 root root -" ];
    environment.etc = {
      "systemd/system".source = folder "system" { inherit (cfg) services timers paths sockets targets; } ''
        ln -s ${pkgs.debian}/lib/systemd/system/multi-user.target default.target
        mkdir -p multi-user.target.wants
        ${lib.concatMapStrings (unit: ''
          ln -s ${pkgs.debian}/lib/systemd/system/${unit} multi-user.target.wants/
          for alias in $(sed -n 's/^Alias=//p' ${pkgs.debian}/lib/systemd/system/${unit}); do
            ln -s ${pkgs.debian}/lib/systemd/system/${unit} "$alias"
          done
        '') cfg.distribution.enabled}
      '';
      "systemd/user".source = folder "user" { inherit (cfg.user) services; timers = { }; paths = { }; sockets = { }; targets = { }; } "";
      "tmpfiles.d/00-nixos.conf".text = lib.concatLines cfg.tmpfiles.rules;
    };
  };
}
