# services.caddy. Follows nixos/modules/services/web-servers/caddy/{default,vhost-options}.nix (Swarsel 4aa6836a648c).
# Not known whether openFirewall, httpPort and httpsPort are in 26.05; to be safe open the ports by hand.
# The unit is a drop-in on the package's caddy.service (Type=notify, PrivateTmp, ProtectSystem=full, ambient
# CAP_NET_ADMIN and CAP_NET_BIND_SERVICE, after and requiring network-online.target), which `text` does not show.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf optional types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.caddy;
  hosts = lib.attrValues cfg.virtualHosts;
  certs = lib.unique (map (h: h.useACMEHost) (lib.filter (h: h.useACMEHost != null) hosts));

  host =
    { name, config, ... }:
    {
      options = {
        hostName = c.opt types.str name;
        serverAliases = c.strings;
        listenAddresses = c.strings;
        useACMEHost = c.nullable types.str;
        extraConfig = c.text;
        # Each host logs to its own file unless this is null.
        logFormat = c.opt (types.nullOr types.lines) ''
          output file ${cfg.logDir}/access-${lib.replaceStrings [ "/" " " ] [ "_" "_" ] config.hostName}.log
        '';
      };
    };

  hostText =
    h:
    let
      dir = config.security.acme.certs.${h.useACMEHost}.directory;
    in
    ''
      ${lib.concatStringsSep " " ([ h.hostName ] ++ h.serverAliases)} {
        ${lib.optionalString (h.listenAddresses != [ ]) "bind ${toString h.listenAddresses}"}
        ${lib.optionalString (h.useACMEHost != null) "tls ${dir}/cert.pem ${dir}/key.pem"}
        ${lib.optionalString (h.logFormat != null) "log {\n${h.logFormat}}"}
        ${h.extraConfig}
      }
    '';
  caddyfile = ''
    {
    ${cfg.globalConfig}
    }
    ${cfg.extraConfig}
    ${lib.concatMapStringsSep "\n" hostText hosts}
  '';
  # Formatted in the build, not validated.
  generated =
    if cfg.settings != { } then
      (pkgs.formats.json { }).generate "caddy.json" cfg.settings
    else
      "${
        pkgs.runCommand "Caddyfile-formatted" {
          text = caddyfile;
        } "${lib.getExe cfg.package} fmt --overwrite $out/Caddyfile"
      }/Caddyfile";
  run = "--config /etc/caddy/caddy_config ${
    lib.optionalString (cfg.adapter != null) "--adapter ${cfg.adapter}"
  }";

  # The group of a certificate must be readable for the service.
  readable =
    svc: cert:
    let
      s = svc.serviceConfig;
      group = config.security.acme.certs.${cert}.group;
    in
    (s.User or "root") == "root"
    || lib.elem s.User (config.users.groups.${group}.members or [ ])
    || lib.elem group ([ (s.Group or "") ] ++ lib.toList (s.SupplementaryGroups or [ ]));
in
{
  options.services.caddy = {
    enable = c.off;
    package = c.package "caddy";
    user = c.opt types.str "caddy";
    group = c.opt types.str "caddy";
    dataDir = c.opt types.path "/var/lib/caddy";
    logDir = c.opt types.path "/var/log/caddy";
    logFormat = c.opt types.lines "level ERROR\n";
    configFile = c.opt types.path generated;
    adapter = c.opt (types.nullOr types.str) (if cfg.settings == { } then "caddyfile" else null);
    resume = c.off;
    globalConfig = c.text;
    extraConfig = c.text;
    virtualHosts = c.opt (types.attrsOf (types.submodule host)) { };
    acmeCA = c.nullable types.str;
    email = c.nullable types.str;
    enableReload = c.on;
    environmentFile = c.nullable types.path;
    settings = c.opt c.json { };
  };

  config = mkIf cfg.enable {
    assertions = [
      (c.check (
        cfg.configFile != generated
        || lib.elem cfg.adapter [
          "caddyfile"
          null
        ]
      ) "services.caddy: another adapter needs your own configFile")
    ]
    ++ map (
      cert:
      c.check (readable config.systemd.services.caddy cert) "services.caddy cannot read the certificate ${cert}"
    ) certs;

    services.caddy.globalConfig = ''
      ${lib.optionalString (cfg.email != null) "email ${cfg.email}"}
      ${lib.optionalString (cfg.acmeCA != null) "acme_ca ${cfg.acmeCA}"}
      log {
        ${cfg.logFormat}
      }
    '';
    boot.kernel.sysctl."net.core.rmem_max" = lib.mkDefault 2500000;
    boot.kernel.sysctl."net.core.wmem_max" = lib.mkDefault 2500000;
    environment.etc."caddy/caddy_config".source = cfg.configFile;
    security.acme.certs = lib.genAttrs certs (_: {
      group = lib.mkDefault cfg.group;
      reloadServices = [ "caddy.service" ];
    });
    users.users = lib.optionalAttrs (cfg.user == "caddy") {
      caddy = {
        uid = 239;
        group = cfg.group;
        home = cfg.dataDir;
      };
    };
    users.groups = lib.optionalAttrs (cfg.group == "caddy") { caddy.gid = 239; };
    systemd.packages = [ cfg.package ];
    systemd.services.caddy = {
      wantedBy = [ "multi-user.target" ];
      wants = map (n: "acme-${n}.service") certs;
      after = map (n: "acme-${n}.service") certs;
      startLimitIntervalSec = 14400;
      startLimitBurst = 10;
      reloadTriggers = optional cfg.enableReload cfg.configFile;
      restartTriggers = optional (!cfg.enableReload) cfg.configFile;
      serviceConfig = {
        # The empty entry drops the command of the package's unit.
        ExecStart = [
          ""
          "${lib.getExe cfg.package} run ${run} ${lib.optionalString cfg.resume "--resume"}"
        ];
        ExecReload = [ "" ] ++ optional cfg.enableReload "${lib.getExe cfg.package} reload ${run} --force";
        EnvironmentFile = optional (cfg.environmentFile != null) cfg.environmentFile;
        User = cfg.user;
        Group = cfg.group;
        ReadWritePaths = [ cfg.dataDir ];
        StateDirectory = mkIf (cfg.dataDir == "/var/lib/caddy") [ "caddy" ];
        LogsDirectory = mkIf (cfg.logDir == "/var/log/caddy") [ "caddy" ];
        Restart = "on-failure";
        RestartPreventExitStatus = 1;
        RestartSec = "5s";
        NoNewPrivileges = true;
        PrivateDevices = true;
        ProtectHome = true;
      };
    };
    system.build.offlineConfig.caddy = caddyfile;
  };
}
