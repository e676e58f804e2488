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
      S3_ENDPOINT = s3.endpoint;
      S3_REGION = s3.region;
      S3_INSECURE = lib.boolToString s3.insecure;
      S3_PATH_STYLE = lib.boolToString s3.pathStyle;
    };
    systemd.services.loki.serviceConfig.EnvironmentFile = lib.mkIf (
      s3.endpoint != null && s3.environmentFile != null
    ) [ s3.environmentFile ];
  };
}
