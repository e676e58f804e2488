# Tempo, from tempo/tempo.yaml.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.crypto-telemetry;
  inherit (cfg) ports;
  inherit (cfg.observability) s3;
in
{
  config = lib.mkIf (cfg.enable && cfg.observability.tempo.enable) {
    assertions = [
      {
        assertion = lib.versionOlder pkgs.tempo.version "3";
        message = "tempo/tempo.yaml is for Tempo 2.9 and 2.10, and pkgs.tempo is ${pkgs.tempo.version}: 3.0 knows neither `ingester` nor `compactor`. Stay on nixos-26.05, or switch services.crypto-telemetry.observability.tempo off.";
      }
    ];

    services.tempo = {
      enable = true;
      configFile = ../../../tempo/tempo.yaml;
      extraFlags = [ "-config.expand-env=true" ];
    };

    # After a search Tempo waits for ever for that queue to empty (2.9 and 2.10): what it has to write is on disk after 5 s.
    systemd.services.tempo.serviceConfig.TimeoutStopSec = 15;

    systemd.services.tempo.environment = {
      TEMPO_PORT = toString ports.TEMPO_PORT;
      TEMPO_OTLP_PORT = toString ports.TEMPO_OTLP_PORT;
      TEMPO_GRPC_PORT = toString ports.TEMPO_GRPC_PORT;
      TEMPO_RETENTION = "${toString (24 * cfg.observability.retention.tracesDays)}h";
      TEMPO_REMOTE_WRITE_URL = "http://127.0.0.1:${toString ports.PROMETHEUS_PORT}/api/v1/write";
    }
    // lib.optionalAttrs (s3.endpoint != null) {
      TEMPO_STORAGE_BACKEND = "s3";
      TEMPO_S3_BUCKET = s3.tracesBucket;
    };
  };
}
