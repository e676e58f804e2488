# systemd units: services, targets, timers, sockets, paths, slices.
# Follows nixos/modules/system/boot/systemd.nix (Swarsel 4aa6836a648c) and nixos/lib/systemd-{unit-options,lib,types}.nix.
# The two lib files were read at NixOS/nixpkgs 515c8fb59bc1 and 6f03be6bc825 (2023); the later changes (upholds, name,
# enableDefaultPath, lists merging with single values, notify-reload) come from ports of nixpkgs 6c9a78c09ff4 (2026).
# Not checked: where exactly the X-* keys of switch-to-configuration are written. Mounts and confinement are left out.
#
# Each unit has a read-only `text`: the unit file as NixOS renders it, without [Install] (NixOS makes symlinks instead).
# For units that a package ships (caddy), NixOS uses the text as a drop-in of the package's unit.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    concatLists
    mapAttrsToList
    mkIf
    mkMerge
    mkOption
    types
    ;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.systemd;

  unitName = types.strMatching "[a-zA-Z0-9@%:_.\\-]+[.](service|socket|device|mount|automount|swap|target|path|timer|scope|slice)";
  unitNames = c.opt (types.listOf unitName) [ ];

  # Lists are joined (a single value beside a list counts as a list of one); otherwise all values must be equal.
  unitValue = lib.mkOptionType {
    name = "systemd setting";
    merge =
      loc: defs:
      let
        strongest = lib.filterOverrides defs;
      in
      if lib.any (d: lib.isList d.value) strongest then
        lib.concatMap (d: lib.toList d.value) strongest
      else
        lib.mergeEqualOption loc strongest;
  };
  settings = types.attrsOf unitValue;

  # The two keys whose values NixOS checks.
  knownValues = {
    Type = [
      "exec"
      "simple"
      "forking"
      "oneshot"
      "dbus"
      "notify"
      "notify-reload"
      "idle"
    ];
    Restart = [
      "no"
      "on-success"
      "on-failure"
      "on-abnormal"
      "on-abort"
      "always"
    ];
  };
  plain =
    v:
    if
      lib.elem (v._type or "") [
        "override"
        "if"
      ]
    then
      v.content
    else
      v;
  serviceSettings = types.addCheck settings (
    attrs:
    lib.all (key: !(attrs ? ${key}) || lib.elem (plain attrs.${key}) knownValues.${key}) (
      lib.attrNames knownValues
    )
  );

  variables = types.attrsOf (
    types.nullOr (
      types.oneOf [
        types.str
        types.path
        types.package
      ]
    )
  );

  # Rendering.
  render =
    v:
    if v == true then
      "true"
    else if v == false then
      "false"
    else
      toString v;
  keyLines =
    attrs: concatLists (mapAttrsToList (k: v: map (x: "${k}=${render x}") (lib.toList v)) attrs);
  section =
    name: attrs: more:
    [ "[${name}]" ] ++ more ++ keyLines attrs;
  unitText = sections: lib.concatStringsSep "\n" (lib.concatMap (s: s ++ [ "" ]) sections);

  triggerFile =
    kind: name: list:
    "${pkgs.writeText "X-${kind}-Triggers-${name}" (
      toString (map (x: if lib.isPath x then "${x}" else x) (lib.flatten list))
    )}";

  # What every kind of unit has.
  common =
    kind:
    {
      name,
      config,
      options,
      ...
    }:
    {
      options = {
        name = c.need types.str;
        enable = c.on;
        overrideStrategy = c.opt (types.enum [
          "asDropinIfExists"
          "asDropin"
        ]) "asDropinIfExists";
        aliases = unitNames;
        wantedBy = unitNames;
        requiredBy = unitNames;
        upheldBy = unitNames;
        description = c.opt types.singleLineStr "";
        documentation = c.strings;
        after = unitNames;
        before = unitNames;
        wants = unitNames;
        requires = unitNames;
        requisite = unitNames;
        bindsTo = unitNames;
        partOf = unitNames;
        upholds = unitNames;
        conflicts = unitNames;
        onFailure = unitNames;
        onSuccess = unitNames;
        unitConfig = c.opt settings { };
        startLimitBurst = c.need types.int;
        startLimitIntervalSec = c.need types.int;
        restartTriggers = c.opt (types.listOf types.unspecified) [ ];
        reloadTriggers = c.opt (types.listOf unitValue) [ ];
        text = mkOption {
          type = types.str;
          readOnly = true;
        };
      };
      config = {
        name = "${name}.${kind}";
        # One definition for each key, so a second one in unitConfig is a conflict, as in NixOS.
        unitConfig =
          let
            fromList =
              key: list:
              lib.optionalAttrs (list != [ ]) {
                ${key} = toString list;
              };
          in
          lib.foldl' (a: b: a // b) { } [
            (fromList "After" config.after)
            (fromList "Before" config.before)
            (fromList "BindsTo" config.bindsTo)
            (fromList "Conflicts" config.conflicts)
            (fromList "Documentation" config.documentation)
            (fromList "OnFailure" config.onFailure)
            (fromList "OnSuccess" config.onSuccess)
            (fromList "PartOf" config.partOf)
            (fromList "Requires" config.requires)
            (fromList "Requisite" config.requisite)
            (fromList "Upholds" config.upholds)
            (fromList "Wants" config.wants)
            (lib.optionalAttrs (config.description != "") { Description = config.description; })
            (lib.optionalAttrs (config.restartTriggers != [ ]) {
              X-Restart-Triggers = triggerFile "Restart" name config.restartTriggers;
            })
            (lib.optionalAttrs (config.reloadTriggers != [ ]) {
              X-Reload-Triggers = triggerFile "Reload" name config.reloadTriggers;
            })
            (lib.optionalAttrs options.startLimitIntervalSec.isDefined {
              StartLimitIntervalSec = toString config.startLimitIntervalSec;
            })
            (lib.optionalAttrs options.startLimitBurst.isDefined {
              StartLimitBurst = toString config.startLimitBurst;
            })
          ];
      };
    };

  service =
    { name, config, ... }:
    let
      script =
        suffix: body:
        let
          file = lib.replaceStrings [ "\\" "@" ] [ "-" "_" ] "${name}-${suffix}";
          drv =
            if config.enableStrictShellChecks then
              pkgs.writeShellApplication {
                name = file;
                text = body;
              }
            else
              pkgs.writeShellScriptBin file ''
                set -e

                ${body}
              '';
        in
        "${drv}/bin/${file}";
      fromScript =
        body: suffix: key: wrap:
        mkIf (body != "") (
          let
            path = script suffix body;
          in
          {
            jobScripts = path;
            serviceConfig.${key} = wrap path;
          }
        );
      env = cfg.globalEnvironment // config.environment;
    in
    {
      options = {
        environment = c.opt variables { };
        path = c.opt (types.listOf (
          types.oneOf [
            types.package
            types.str
          ]
        )) [ ];
        enableDefaultPath = c.on;
        enableStrictShellChecks = c.flag cfg.enableStrictShellChecks;
        serviceConfig = c.opt serviceSettings { };
        script = c.text;
        scriptArgs = c.opt types.str "";
        preStart = c.text;
        postStart = c.text;
        reload = c.text;
        preStop = c.text;
        postStop = c.text;
        jobScripts = c.opt (types.coercedTo types.path lib.singleton (types.listOf types.path)) [ ];
        restartIfChanged = c.on;
        reloadIfChanged = c.off;
        stopIfChanged = c.on;
        notSocketActivated = c.off;
        startAt = mkOption {
          type = types.either types.str (types.listOf types.str);
          default = [ ];
          apply = lib.toList;
        };
      };
      config = mkMerge [
        {
          path = mkIf config.enableDefaultPath (
            lib.mkAfter (
              map c.pkg [
                "coreutils"
                "findutils"
                "gnugrep"
                "gnused"
              ]
              ++ [ cfg.package ]
            )
          );
          # No mkDefault: a PATH in `environment` is a conflict, use `path`.
          environment.PATH =
            mkIf (config.path != [ ])
              "${lib.makeBinPath config.path}:${lib.makeSearchPathOutput "bin" "sbin" config.path}";
          text = unitText [
            (section "Unit" config.unitConfig [ ])
            (section "Service" config.serviceConfig (
              concatLists (
                mapAttrsToList (
                  k: v: lib.optional (v != null) "Environment=${builtins.toJSON "${k}=${toString v}"}"
                ) env
              )
              ++ (
                if config.reloadIfChanged then
                  [ "X-ReloadIfChanged=true" ]
                else
                  lib.optional (!config.restartIfChanged) "X-RestartIfChanged=false"
              )
              ++ lib.optional (!config.stopIfChanged) "X-StopIfChanged=false"
              ++ lib.optional config.notSocketActivated "X-NotSocketActivated=true"
            ))
          ];
        }
        # Single values (not lists), except ExecStartPre and ExecStartPost: a second ExecStart is a conflict.
        (fromScript config.preStart "pre-start" "ExecStartPre" lib.singleton)
        (fromScript config.script "start" "ExecStart" (p: "${p} ${config.scriptArgs}"))
        (fromScript config.postStart "post-start" "ExecStartPost" lib.singleton)
        (fromScript config.reload "reload" "ExecReload" lib.id)
        (fromScript config.preStop "pre-stop" "ExecStop" lib.id)
        (fromScript config.postStop "post-stop" "ExecStopPost" lib.id)
      ];
    };

  simple =
    sectionName: option: extra:
    { config, ... }:
    {
      options =
        extra.options or { } // lib.optionalAttrs (option != null) { ${option} = c.opt settings { }; };
      config.text = unitText (
        [ (section "Unit" config.unitConfig [ ]) ]
        ++ lib.optional (option != null) (
          section sectionName config.${option} ((extra.lines or (_: [ ])) config)
        )
      );
    };

  units =
    kind: module:
    c.opt (types.attrsOf (
      types.submodule [
        (common kind)
        module
      ]
    )) { };

  target = units "target" (simple null null { });
  timer = units "timer" (simple "Timer" "timerConfig" { });
  path = units "path" (simple "Path" "pathConfig" { });
  slice = units "slice" (simple "Slice" "sliceConfig" { });
  socket = units "socket" (
    simple "Socket" "socketConfig" {
      options = {
        listenStreams = c.strings;
        listenDatagrams = c.strings;
      };
      lines =
        u: map (s: "ListenStream=${s}") u.listenStreams ++ map (s: "ListenDatagram=${s}") u.listenDatagrams;
    }
  );

  timersOf =
    services:
    lib.mapAttrs (_: s: {
      wantedBy = [ "timers.target" ];
      timerConfig.OnCalendar = s.startAt;
    }) (lib.filterAttrs (_: s: s.enable && s.startAt != [ ]) services);
in
{
  options.systemd = {
    package = c.package "systemd";
    packages = c.packages;
    defaultUnit = c.opt types.str "multi-user.target";
    enableStrictShellChecks = c.off;
    enableEmergencyMode = c.on;
    globalEnvironment = c.opt variables { };
    managerEnvironment = c.opt variables { };
    additionalUpstreamSystemUnits = c.strings;
    suppressedSystemUnits = c.strings;
    settings.Manager = c.opt (c.free settings { }) { };
    services = units "service" service;
    targets = target;
    timers = timer;
    sockets = socket;
    paths = path;
    slices = slice;
    user = {
      services = units "service" service;
      targets = target;
      timers = timer;
      sockets = socket;
    };
    coredump.enable = c.on;
    oomd.enable = c.on;
  };

  config = {
    systemd.globalEnvironment.TZDIR = "${c.pkg "tzdata"}/share/zoneinfo";
    systemd.timers = timersOf cfg.services;
    systemd.user.timers = timersOf cfg.user.services;

    assertions = concatLists (
      mapAttrsToList (
        n: s:
        lib.optional (lib.elem "network-interfaces.target" (s.after ++ s.wants)) (
          c.check false "${n}.service uses network-interfaces.target, which no longer exists"
        )
      ) cfg.services
    );

    warnings =
      let
        unitWarnings =
          kind: n: u:
          lib.optional (
            lib.elem "network-online.target" u.after
            && !lib.elem "network-online.target" (u.wants ++ u.requires ++ u.bindsTo)
          ) "${n}.${kind} is ordered after 'network-online.target' but doesn't depend on it";
        serviceWarnings =
          n: s:
          lib.optional (
            (s.serviceConfig.Type or "") == "oneshot"
            && lib.elem (s.serviceConfig.Restart or "no") [
              "always"
              "on-success"
            ]
          ) "${n}.service: Type=oneshot cannot have Restart=always or on-success"
          ++ lib.optional (
            s.serviceConfig ? StartLimitInterval
          ) "${n}.service: StartLimitInterval is deprecated"
          ++ lib.optional (
            s.reloadIfChanged && s.reloadTriggers != [ ]
          ) "${n}.service has both reloadIfChanged and reloadTriggers";
        each = kind: set: concatLists (mapAttrsToList (unitWarnings kind) set);
      in
      concatLists (mapAttrsToList serviceWarnings cfg.services)
      ++ each "service" cfg.services
      ++ each "target" cfg.targets
      ++ each "timer" cfg.timers
      ++ each "socket" cfg.sockets
      ++ each "path" cfg.paths
      ++ each "slice" cfg.slices;
  };
}
