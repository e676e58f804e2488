# services.loki. Follows nixos/modules/services/monitoring/loki.nix (Swarsel 4aa6836a648c).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.loki;
  asJson = builtins.toJSON cfg.configuration;
  generated =
    # NixOS puts the JSON between single quotes in a shell command without escaping it.
    if lib.hasInfix "'" asJson then
      throw "services.loki.configuration holds a single quote, which breaks the build of its configuration file"
    else
      pkgs.runCommand "loki-config.json" { }
        "echo '${asJson}' | ${c.pkg "jq"}/bin/jq 'del(._module)' > $out";
  # Verified in the build only without extra flags.
  verified =
    if cfg.extraFlags != [ ] then
      generated
    else
      pkgs.runCommand "validate-loki-conf" { nativeBuildInputs = [ cfg.package ]; } ''
        loki -verify-config -config.file "${generated}"
        ln -s "${generated}" "$out"
      '';
  file = if cfg.configFile == null then verified else cfg.configFile;
in
{
  options.services.loki = {
    enable = c.off;
    package = c.package "grafana-loki";
    user = c.opt types.str "loki";
    group = c.opt types.str "loki";
    dataDir = c.opt types.path "/var/lib/loki";
    configuration = c.opt c.json { };
    configFile = c.nullable types.path;
    extraFlags = c.strings;
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    assertions = [
      (c.check (
        (cfg.configuration == { }) != (cfg.configFile == null)
      ) "services.loki: set either configuration or configFile")
    ];
    users.groups.${cfg.group} = { };
    users.users.${cfg.user} = {
      description = "Loki";
      group = cfg.group;
      home = cfg.dataDir;
      createHome = true;
      isSystemUser = true;
    };
    # No StateDirectory: the home directory is made when the system is activated.
    systemd.services.loki = {
      description = "Grafana Loki";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        ExecStart = "${cfg.package}/bin/loki --config.file=${file} ${lib.escapeShellArgs cfg.extraFlags}";
        User = cfg.user;
        Restart = "always";
        PrivateTmp = true;
        ProtectHome = true;
        ProtectSystem = "full";
        DevicePolicy = "closed";
        NoNewPrivileges = true;
        WorkingDirectory = cfg.dataDir;
      };
    };
    system.build.offlineConfig.loki = cfg.configuration;
  };
}
