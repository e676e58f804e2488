# The observability stack, through NixOS's own modules, from the files that the rest of the repository uses.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkEnableOption mkOption types;
  cfg = config.services.crypto-telemetry;

  part =
    name: what:
    mkOption {
      type = types.bool;
      default = cfg.enable && cfg.observability.enable;
      defaultText = lib.literalExpression "config.services.crypto-telemetry.observability.enable";
      description = "Whether ${name} runs here: ${what}.";
    };
  days =
    default: what:
    mkOption {
      type = types.ints.positive;
      inherit default;
      description = "For how many days ${what} are kept.";
    };
in
{
  imports = [
    ./alertmanager.nix
    ./collector.nix
    ./grafana.nix
    ./loki.nix
    ./prometheus.nix
    ./tempo.nix
  ];

  options.services.crypto-telemetry.observability = {
    enable = mkEnableOption "Collector, Prometheus, Alertmanager, Tempo, Loki and Grafana on this machine";

    collector.enable = part "the Collector" "services send it everything over OTLP";
    prometheus.enable = part "Prometheus" "metrics and rules";
    alertmanager.enable = part "Alertmanager" "who is told of an alert";
    tempo.enable = part "Tempo" "traces";
    loki.enable = part "Loki" "logs";
    grafana.enable = part "Grafana" "dashboards";

    retention = {
      metricsDays = days 15 "metrics";
      metricsSizeGB = mkOption {
        type = types.nullOr types.ints.positive;
        default = null;
        description = "Disk, in gigabytes, beyond which the oldest metrics go earlier.";
      };
      tracesDays = days 7 "traces";
      logsDays = days 7 "log lines";
    };
  };
}
