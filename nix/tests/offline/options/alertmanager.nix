# services.prometheus.alertmanager.
# Follows nixos/modules/services/monitoring/prometheus/alertmanager.nix (Swarsel 4aa6836a648c; NixOS f36b38ce3b1a is the
# same).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) optional types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.prometheus.alertmanager;
  text = if cfg.configText != null then cfg.configText else builtins.toJSON cfg.configuration;
  plain = pkgs.writeText "alertmanager.yml" text;
  # amtool sees the text before envsubst: variables and $$ as they are written.
  checked =
    if cfg.checkConfig then
      pkgs.runCommand "checked-config" { nativeBuildInputs = [ cfg.package ]; } ''
        ln -s ${plain} $out
        amtool check-config $out
      ''
    else
      plain;
  # Not escaped; the empty entry for no peers is in NixOS too.
  flags =
    cfg.extraFlags
    ++ [
      "--config.file /tmp/alert-manager-substituted.yaml"
      "--web.listen-address ${cfg.listenAddress}:${toString cfg.port}"
      "--log.level ${cfg.logLevel}"
      "--storage.path /var/lib/alertmanager"
      (toString (map (peer: "--cluster.peer ${peer}:9094") cfg.clusterPeers))
    ]
    ++ optional (cfg.webExternalUrl != null) "--web.external-url ${cfg.webExternalUrl}"
    ++ optional (cfg.logFormat != null) "--log.format ${cfg.logFormat}";
in
{
  options.services.prometheus.alertmanager = {
    enable = c.off;
    package = c.package "prometheus-alertmanager";
    configuration = c.nullable types.attrs;
    configText = c.nullable types.lines;
    checkConfig = c.on;
    environmentFile = c.nullable types.path;
    logFormat = c.nullable types.str;
    logLevel = c.opt (types.enum [
      "debug"
      "info"
      "warn"
      "error"
      "fatal"
    ]) "warn";
    webExternalUrl = c.nullable types.str;
    listenAddress = c.opt types.str "";
    port = c.opt types.port 9093;
    openFirewall = c.off;
    clusterPeers = c.strings;
    extraFlags = c.strings;
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      (c.check (
        cfg.configuration != null || cfg.configText != null
      ) "services.prometheus.alertmanager: set configuration or configText")
    ];
    networking.firewall.allowedTCPPorts = optional cfg.openFirewall cfg.port;
    systemd.services.alertmanager = {
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      # The whole text passes envsubst when the service starts: write $$ for $.
      preStart = ''
        ${lib.getBin (c.pkg "envsubst")}/bin/envsubst -o "/tmp/alert-manager-substituted.yaml" -i "${checked}"
      '';
      serviceConfig = {
        ExecStart = lib.concatStringsSep " \\\n  " ([ "${cfg.package}/bin/alertmanager" ] ++ flags);
        ExecReload = "${c.pkg "coreutils"}/bin/kill -HUP $MAINPID";
        EnvironmentFile = lib.mkIf (cfg.environmentFile != null) cfg.environmentFile;
        DynamicUser = true;
        Restart = "always";
        StateDirectory = "alertmanager";
        WorkingDirectory = "/tmp";
        CapabilityBoundingSet = [ "" ];
        DeviceAllow = [ "" ];
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateIPC = true;
        PrivateTmp = true;
        ProcSubset = "pid";
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = "tmpfs";
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_NETLINK"
        ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallFilter = [
          "@system-service"
          "~@cpu-emulation"
          "~@privileged"
          "~@reboot"
          "~@setuid"
          "~@swap"
        ];
      };
    };
    system.build.offlineConfig.alertmanager = text;
  };
}
