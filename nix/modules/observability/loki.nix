# Loki, from loki/loki.yaml.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.crypto-telemetry;
  inherit (cfg) ports;
  inherit (cfg.observability) s3;
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
    }
    // lib.optionalAttrs (s3.endpoint != null) {
      LOKI_OBJECT_STORE = "s3";
      LOKI_S3_BUCKET = s3.logsBucket;
    };
  };
}
