# Loki, from loki/loki.yaml.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.crypto-telemetry;
  inherit (cfg) ports;
in
{
  config = lib.mkIf (cfg.enable && cfg.observability.loki.enable) {
    services.loki = {
      enable = true;
      configFile = ../../../loki/loki.yaml;
      extraFlags = [ "-config.expand-env=true" ];
    };

    systemd.services.loki.environment = {
      LOKI_PORT = toString ports.LOKI_PORT;
      LOKI_GRPC_PORT = toString ports.LOKI_GRPC_PORT;
      LOKI_RETENTION = "${toString (24 * cfg.observability.retention.logsDays)}h";
    };
  };
}
