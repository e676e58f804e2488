# services.redis (also Valkey). Follows nixos/modules/services/databases/redis.nix (Swarsel 4aa6836a648c).
# Sentinel options (sentinel*) and masterUser are left out: not known whether 26.05 has them.
# Not known for 26.05: package.serverBin (the snapshot starts bin/${package.serverBin or "redis-server"}).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.redis;
  unitOf = name: if name == "" then "redis" else "redis-${name}";
  enabled = lib.filterAttrs (_: s: s.enable) cfg.servers;

  server =
    { name, config, ... }:
    let
      unit = unitOf name;
    in
    {
      options = {
        enable = c.off;
        user = c.opt types.str unit;
        group = c.opt types.str config.user;
        port = c.opt types.port (if name == "" then 6379 else 0);
        openFirewall = c.off;
        extraParams = c.strings;
        bind = c.opt (types.nullOr types.str) "127.0.0.1";
        unixSocket = c.opt (types.nullOr types.path) "/run/${unit}/redis.sock";
        unixSocketPerm = c.opt types.int 660;
        logLevel = c.opt types.str "notice";
        logfile = c.opt types.str "/dev/null";
        syslog = c.on;
        databases = c.opt types.int 16;
        maxclients = c.opt types.int 10000;
        save = c.opt (types.listOf (types.listOf types.int)) [
          [
            900
            1
          ]
          [
            300
            10
          ]
          [
            60
            10000
          ]
        ];
        slaveOf = c.nullable (
          c.strict {
            ip = c.need types.str;
            port = c.opt types.port 6379;
          }
        );
        masterAuth = c.nullable types.str;
        masterAuthFile = c.nullable types.path;
        requirePass = c.nullable types.str;
        requirePassFile = c.nullable types.path;
        appendOnly = c.off;
        appendFsync = c.opt types.str "everysec";
        slowLogLogSlowerThan = c.opt types.int 10000;
        slowLogMaxLen = c.opt types.int 128;
        settings = c.opt (types.attrsOf (
          types.oneOf [
            types.bool
            types.int
            types.str
            (types.listOf types.str)
          ]
        )) { };
      };
      # Without mkDefault: a second value for any of these keys in `settings` is a conflict.
      config.settings = lib.mkMerge [
        {
          inherit (config)
            port
            logfile
            databases
            maxclients
            appendOnly
            ;
          daemonize = false;
          supervised = "systemd";
          loglevel = config.logLevel;
          syslog-enabled = config.syslog;
          save =
            if config.save == [ ] then
              ''""''
            else
              map (p: "${toString (lib.elemAt p 0)} ${toString (lib.elemAt p 1)}") config.save;
          dbfilename = "dump.rdb";
          dir = "/var/lib/${unit}";
          appendfsync = config.appendFsync;
          slowlog-log-slower-than = config.slowLogLogSlowerThan;
          slowlog-max-len = config.slowLogMaxLen;
        }
        (mkIf (config.bind != null) { inherit (config) bind; })
        (mkIf (config.unixSocket != null) {
          unixsocket = config.unixSocket;
          unixsocketperm = toString config.unixSocketPerm;
        })
        (mkIf (config.slaveOf != null) {
          slaveof = "${config.slaveOf.ip} ${toString config.slaveOf.port}";
        })
        (mkIf (config.masterAuth != null) { masterauth = config.masterAuth; })
        (mkIf (config.requirePass != null) { requirepass = config.requirePass; })
      ];
    };

  redisConf =
    settings:
    pkgs.writeText "redis.conf" (
      lib.generators.toKeyValue {
        listsAsDuplicateKeys = true;
        mkKeyValue = lib.generators.mkKeyValueDefault {
          mkValueString =
            v:
            if v == true then
              "yes"
            else if v == false then
              "no"
            else
              lib.generators.mkValueStringDefault { } v;
        } " ";
      } settings
    );
in
{
  options.services.redis = {
    package = c.package "redis";
    vmOverCommit = c.on;
    servers = c.opt (types.attrsOf (types.submodule server)) { };
  };

  config = mkIf (enabled != { }) {
    assertions = lib.concatLists (
      lib.mapAttrsToList (n: s: [
        (c.check (
          s.requirePass == null || s.requirePassFile == null
        ) "services.redis.servers.${n}: set one of requirePass and requirePassFile")
        (c.check (
          s.masterAuth == null || s.masterAuthFile == null
        ) "services.redis.servers.${n}: set one of masterAuth and masterAuthFile")
      ]) enabled
    );
    boot.kernel.sysctl = mkIf cfg.vmOverCommit { "vm.overcommit_memory" = "1"; };
    networking.firewall.allowedTCPPorts = lib.concatMap (s: lib.optional s.openFirewall s.port) (
      lib.attrValues enabled
    );
    environment.systemPackages = [ cfg.package ];
    users.users = lib.mapAttrs' (
      n: s:
      lib.nameValuePair (unitOf n) {
        isSystemUser = true;
        group = s.group;
      }
    ) (lib.filterAttrs (n: s: s.user == unitOf n) enabled);
    users.groups = lib.mapAttrs' (n: _: lib.nameValuePair (unitOf n) { }) (
      lib.filterAttrs (n: s: s.group == unitOf n) enabled
    );
    systemd.services = lib.mapAttrs' (
      n: s:
      let
        unit = unitOf n;
      in
      lib.nameValuePair unit {
        description = "Redis server ${unit}";
        wantedBy = [ "multi-user.target" ];
        after = [ "network.target" ];
        serviceConfig = {
          ExecStart = "${cfg.package}/bin/${
            cfg.package.serverBin or "redis-server"
          } /var/lib/${unit}/redis.conf ${lib.escapeShellArgs s.extraParams}";
          # Runs as root and reads requirePassFile, so that file may belong to root.
          ExecStartPre =
            "+"
            + pkgs.writeShellScript "${unit}-prep-conf" ''
              touch "/var/lib/${unit}/redis.conf" "/run/${unit}/nixos.conf"
              echo 'include "${redisConf s.settings}"' > "/run/${unit}/nixos.conf"
              ${lib.optionalString (s.requirePassFile != null)
                ''echo "requirepass $(cat ${lib.escapeShellArg s.requirePassFile})" >> "/run/${unit}/nixos.conf"''
              }
              ${lib.optionalString (
                s.masterAuthFile != null
              ) ''echo "masterauth $(cat ${lib.escapeShellArg s.masterAuthFile})" >> "/run/${unit}/nixos.conf"''}
            '';
          Type = "notify";
          User = s.user;
          Group = s.group;
          RuntimeDirectory = unit;
          RuntimeDirectoryMode = "0750";
          StateDirectory = unit;
          StateDirectoryMode = "0700";
          UMask = "0077";
          LimitNOFILE = lib.mkDefault "${toString (s.maxclients + 32)}";
          CapabilityBoundingSet = "";
          NoNewPrivileges = true;
          ProtectSystem = "strict";
          ProtectHome = true;
          PrivateTmp = true;
          PrivateDevices = true;
          PrivateUsers = true;
          PrivateMounts = true;
          ProtectClock = true;
          ProtectHostname = true;
          ProtectKernelLogs = true;
          ProtectKernelModules = true;
          ProtectKernelTunables = true;
          ProtectControlGroups = true;
          RestrictAddressFamilies = [
            "AF_INET"
            "AF_INET6"
            "AF_UNIX"
          ];
          RestrictNamespaces = true;
          RestrictRealtime = true;
          RestrictSUIDSGID = true;
          LockPersonality = true;
          MemoryDenyWriteExecute = true;
          SystemCallArchitectures = "native";
          SystemCallFilter = "~@cpu-emulation @debug @keyring @memlock @mount @obsolete @privileged @resources @setuid";
        };
      }
    ) enabled;
    system.build.offlineConfig.redis = lib.mapAttrs (_: s: s.settings) enabled;
  };
}
