# The Collector, with all components, from otel-collector/config.yaml. What that file takes from its environment is set here.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.crypto-telemetry;
  inherit (cfg) ports;
in
{
  config = lib.mkIf (cfg.enable && cfg.observability.collector.enable) {
    services.opentelemetry-collector = {
      enable = true;
      package = lib.mkDefault pkgs.opentelemetry-collector-contrib;
      configFile = ../../../otel-collector/config.yaml;
      # Not on by itself for a file within this flake.
      validateConfigFile = true;
    };

    systemd.services.opentelemetry-collector = {
      environment = {
        ENVIRONMENT = cfg.environment;
        OTELCOL_OTLP_HOST = cfg.observability.collector.otlpHost;
        TEMPO_OTLP_ENDPOINT = "127.0.0.1:${toString ports.TEMPO_OTLP_PORT}";
        LOKI_OTLP_ENDPOINT = "http://127.0.0.1:${toString ports.LOKI_PORT}/otlp";
      }
      // lib.mapAttrs (_: toString) (lib.filterAttrs (name: _: lib.hasPrefix "OTELCOL_" name) ports);
    };
  };
}
