# services.postgresql. Follows nixos/modules/services/databases/postgresql.nix (Swarsel 4aa6836a648c).
# ensureClauses is free-form since nixpkgs #467286 (December 2025); taken to be in 26.05. Users and databases are made by
# postgresql-setup.service: order after postgresql.target.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkMerge types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.postgresql;
  schema = cfg.package.psqlSchema or "17";
  defaultDir = "/var/lib/postgresql/${schema}";
  scalar = types.oneOf [
    types.bool
    types.float
    types.int
    types.str
  ];
  value =
    v:
    if v == true then
      "yes"
    else if v == false then
      "no"
    else if lib.isString v then
      "'${lib.replaceStrings [ "'" ] [ "''" ] v}'"
    else
      toString v;
  confText = lib.concatStringsSep "\n" (
    lib.mapAttrsToList (k: v: "${k} = ${value v}") (lib.filterAttrs (_: v: v != null) cfg.settings)
  );
  conf = pkgs.writeTextDir "postgresql.conf" confText;
  clause =
    k: v:
    let
      word = lib.toUpper (lib.replaceStrings [ "_" ] [ " " ] k);
    in
    if lib.isBool v then
      "${lib.optionalString (!v) "NO"}${word}"
    else if lib.isString v then
      "${word} '${v}'"
    else
      "${word} ${toString v}";
  setUpUser =
    u:
    lib.concatStringsSep "\n" (
      [
        ''psql -tAc "SELECT 1 FROM pg_roles WHERE rolname='${u.name}'" | grep -q 1 || psql -tAc 'CREATE USER "${u.name}"' ''
      ]
      ++
        lib.optional (u.ensureClauses != { })
          "psql -tAc ${lib.escapeShellArg ''ALTER ROLE "${u.name}" ${lib.concatStringsSep " " (lib.mapAttrsToList clause u.ensureClauses)};''}"
      ++ lib.optional u.ensureDBOwnership ''psql -tAc 'ALTER DATABASE "${u.name}" OWNER TO "${u.name}";' ''
    );
in
{
  options.services.postgresql = {
    enable = c.off;
    package = c.package "postgresql_17";
    finalPackage = lib.mkOption {
      type = types.package;
      default = cfg.package;
      readOnly = true;
    };
    enableJIT = c.off;
    checkConfig = c.on;
    dataDir = c.opt types.path defaultDir;
    enableTCPIP = c.off;
    authentication = c.text;
    identMap = c.text;
    initdbArgs = c.strings;
    initialScript = c.nullable types.path;
    ensureDatabases = c.strings;
    ensureUsers = c.opt (types.listOf (
      c.strict {
        name = c.need types.str;
        ensureDBOwnership = c.off;
        ensureClauses = c.opt (types.attrsOf (
          types.oneOf [
            types.str
            types.int
            types.bool
          ]
        )) { };
      }
    )) [ ];
    extensions = c.opt (types.coercedTo (types.listOf types.path) (list: _: list) (
      types.functionTo (types.listOf types.path)
    )) (_: [ ]);
    superUser = lib.mkOption {
      type = types.str;
      default = "postgres";
      readOnly = true;
    };
    settings = c.opt (c.free (types.attrsOf scalar) {
      port = c.opt types.port 5432;
      log_line_prefix = c.opt types.str "[%p] ";
      shared_preload_libraries = c.nullable (
        types.coercedTo (types.listOf types.str) (lib.concatStringsSep ",") types.commas
      );
    }) { };
    systemCallFilter = c.opt (types.attrsOf (
      types.coercedTo types.bool (enable: { inherit enable; }) (
        types.submodule (
          { name, ... }:
          {
            options = {
              enable = c.off;
              priority = c.opt types.int (
                if lib.hasPrefix "@" name then
                  500
                else if lib.hasPrefix "~@" name then
                  1000
                else
                  1500
              );
            };
          }
        )
      )
    )) { };
  };

  config = mkIf cfg.enable {
    assertions = map (
      u:
      c.check (u.ensureDBOwnership -> lib.elem u.name cfg.ensureDatabases)
        "services.postgresql.ensureUsers: ensureDBOwnership of ${u.name} needs a database of that name in ensureDatabases"
    ) cfg.ensureUsers;

    services.postgresql = {
      # Rules of ours come first; the default ones follow (md5 here also means SCRAM).
      authentication = mkMerge [
        (lib.mkBefore "# Generated")
        (lib.mkAfter ''
          local all postgres         peer map=postgres
          local all all              peer
          host  all all 127.0.0.1/32 md5
          host  all all ::1/128      md5
        '')
      ];
      identMap = lib.mkAfter ''
        postgres postgres postgres
      '';
      # listen_addresses and log_destination need mkForce to be changed.
      settings = {
        hba_file = "${pkgs.writeText "pg_hba.conf" cfg.authentication}";
        ident_file = "${pkgs.writeText "pg_ident.conf" cfg.identMap}";
        log_destination = "stderr";
        listen_addresses = if cfg.enableTCPIP then "*" else "localhost";
        jit = lib.mkDefault (if cfg.enableJIT then "on" else "off");
      };
      systemCallFilter = lib.mapAttrs (_: lib.mkDefault) {
        "@system-service" = true;
        "~@privileged" = true;
        "~@resources" = true;
      };
    };

    environment.systemPackages = [ cfg.finalPackage ];
    environment.pathsToLink = [ "/share/postgresql" ];
    system.checks =
      lib.optional cfg.checkConfig (
        pkgs.runCommand "postgresql-configfile-check" { }
          "${cfg.finalPackage}/bin/postgres -D${conf} -C config_file >/dev/null && touch $out"
      )
      ++ lib.optional (cfg.ensureUsers != [ ]) (
        pkgs.runCommand "postgresql-user-clauses-check" { } "touch $out"
      );

    users.groups.postgres.gid = 71;
    users.users.postgres = {
      description = "PostgreSQL";
      uid = 71;
      group = "postgres";
      home = "${cfg.dataDir}";
      useDefaultShell = true;
    };

    systemd.targets.postgresql = {
      description = "PostgreSQL";
      wantedBy = [ "multi-user.target" ];
      requires = [
        "postgresql.service"
        "postgresql-setup.service"
      ];
    };

    systemd.services.postgresql = {
      description = "PostgreSQL Server";
      after = [ "network.target" ];
      wants = [ "postgresql.target" ];
      partOf = [ "postgresql.target" ];
      environment.PGDATA = cfg.dataDir;
      path = [ cfg.finalPackage ];
      preStart = ''
        if ! test -e ${cfg.dataDir}/PG_VERSION; then
          initdb -U ${cfg.superUser} ${lib.escapeShellArgs cfg.initdbArgs}
          touch "${cfg.dataDir}/.first_startup"
        fi
        ln -sfn "${conf}/postgresql.conf" "${cfg.dataDir}/postgresql.conf"
      '';
      serviceConfig = mkMerge [
        {
          ExecStart = "${cfg.finalPackage}/bin/postgres";
          ExecReload = "${c.pkg "coreutils"}/bin/kill -HUP $MAINPID";
          Type = "notify";
          User = "postgres";
          Group = "postgres";
          RuntimeDirectory = "postgresql";
          KillSignal = "SIGINT";
          KillMode = "mixed";
          TimeoutSec = 120;
          Restart = "always";
          UMask = "0027";
          CapabilityBoundingSet = [ "" ];
          DevicePolicy = "closed";
          LockPersonality = true;
          MemoryDenyWriteExecute = lib.mkDefault (cfg.settings.jit == "off");
          NoNewPrivileges = true;
          PrivateDevices = true;
          PrivateMounts = true;
          PrivateTmp = true;
          ProcSubset = "pid";
          ProtectClock = true;
          ProtectControlGroups = true;
          ProtectHome = true;
          ProtectHostname = true;
          ProtectKernelLogs = true;
          ProtectKernelModules = true;
          ProtectKernelTunables = true;
          ProtectProc = "invisible";
          ProtectSystem = "strict";
          RemoveIPC = true;
          RestrictAddressFamilies = [
            "AF_INET"
            "AF_INET6"
            "AF_NETLINK"
            "AF_UNIX"
          ];
          RestrictNamespaces = true;
          RestrictRealtime = true;
          RestrictSUIDSGID = true;
          SystemCallArchitectures = "native";
          SystemCallFilter = map (f: f.name) (
            lib.sort (a: b: a.priority < b.priority) (
              lib.filter (f: f.enable) (lib.mapAttrsToList (name: f: f // { inherit name; }) cfg.systemCallFilter)
            )
          );
        }
        (mkIf (cfg.dataDir != defaultDir) { ReadWritePaths = [ cfg.dataDir ]; })
        (mkIf (cfg.dataDir == defaultDir) {
          StateDirectory = "postgresql postgresql/${schema}";
          StateDirectoryMode = "0750";
        })
      ];
      unitConfig = {
        RequiresMountsFor = "${cfg.dataDir}";
        StartLimitBurst = 5;
        StartLimitIntervalSec = config.systemd.services.postgresql.serviceConfig.TimeoutSec * 5 + 5;
      };
    };

    systemd.services.postgresql-setup = {
      description = "PostgreSQL Setup Scripts";
      requires = [ "postgresql.service" ];
      after = [ "postgresql.service" ];
      environment.PGPORT = toString cfg.settings.port;
      path = [ cfg.finalPackage ];
      script = ''
        if test -e "${cfg.dataDir}/.first_startup"; then
          ${lib.optionalString (cfg.initialScript != null) ''psql -f "${cfg.initialScript}" -d postgres''}
          rm -f "${cfg.dataDir}/.first_startup"
        fi
        ${lib.concatMapStringsSep "\n" (
          d:
          ''psql -tAc "SELECT 1 FROM pg_database WHERE datname = '${d}'" | grep -q 1 || psql -tAc 'CREATE DATABASE "${d}"' ''
        ) cfg.ensureDatabases}
        ${lib.concatMapStringsSep "\n" setUpUser cfg.ensureUsers}
      '';
      serviceConfig = {
        User = "postgres";
        Group = "postgres";
        Type = "oneshot";
        RemainAfterExit = true;
      };
    };
    system.build.offlineConfig.postgresql = confText;
  };
}
