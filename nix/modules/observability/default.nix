# The observability stack, through NixOS's own modules, from the files that the rest of the repository uses.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkEnableOption mkOption types;
  cfg = config.services.crypto-telemetry;
  inherit (cfg.observability) s3;
  at = "services.crypto-telemetry.observability";
  notInStore = import ../not-in-store.nix { inherit lib; };

  units = {
    opentelemetry-collector = cfg.observability.collector.enable;
    prometheus = cfg.observability.prometheus.enable;
    alertmanager = cfg.observability.alertmanager.enable;
    tempo = cfg.observability.tempo.enable;
    loki = cfg.observability.loki.enable;
    grafana = cfg.observability.grafana.enable;
  };

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
  config = lib.mkMerge [
    {
      assertions = [
        {
          assertion =
            s3.tracesBucket != null || s3.logsBucket != null || s3.environmentFile != null
            -> s3.endpoint != null;
          message = "${at}.s3.endpoint is not set, so that everything would go to this machine's disk.";
        }
      ];
      # NixOS's units give up after five failures in ten seconds, and a store, a disk or a name server may be away for longer.
      systemd.services = lib.mapAttrs (
        _: isOn:
        lib.mkIf (cfg.enable && isOn) {
          startLimitIntervalSec = 0;
          serviceConfig.RestartSec = lib.mkDefault 2;
        }
      ) units;
    }
    (lib.mkIf (cfg.enable && s3.endpoint != null) {
      assertions = [
        {
          assertion = units.tempo -> s3.tracesBucket != null;
          message = "${at}.s3.tracesBucket is not set: Tempo needs a bucket of its own.";
        }
        {
          assertion = units.loki -> s3.logsBucket != null;
          message = "${at}.s3.logsBucket is not set: Loki needs a bucket of its own.";
        }
        (notInStore "${at}.s3.environmentFile" s3.environmentFile)
      ];
      # Where the store is, for both; which bucket, each says itself.
      systemd.services =
        lib.genAttrs
          (lib.filter (name: units.${name}) [
            "tempo"
            "loki"
          ])
          (_: {
            environment = {
              S3_ENDPOINT = s3.endpoint;
              S3_REGION = s3.region;
              S3_INSECURE = lib.boolToString s3.insecure;
              S3_PATH_STYLE = lib.boolToString s3.pathStyle;
            };
            serviceConfig.EnvironmentFile = lib.mkIf (s3.environmentFile != null) [ s3.environmentFile ];
          });
    })
  ];

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

    collector = {
      enable = part "the Collector" "services send it everything over OTLP";
      otlpHost = mkOption {
        type = types.str;
        default = "127.0.0.1";
        example = "10.0.0.5";
        description = ''
          Address on which it takes OTLP. Another than loopback lets other machines send, with neither TLS nor a login: an
          address of a private network, whose interface you open in `networking.firewall.interfaces`.
        '';
      };
    };
    prometheus.enable = part "Prometheus" "metrics and rules";
    alertmanager.enable = part "Alertmanager" "who is told of an alert";
    tempo.enable = part "Tempo" "traces";
    loki.enable = part "Loki" "logs";
    grafana.enable = part "Grafana" "dashboards";

    s3 = {
      endpoint = mkOption {
        type = types.nullOr (types.strMatching "[^/]+");
        default = null;
        example = "s3.eu-central-1.amazonaws.com";
        description = ''
          Host (and port) of an S3-compatible store for traces and logs, instead of this machine's disk. To be decided before the
          first start: what was written to the one is not looked for in the other.
        '';
      };
      region = mkOption {
        type = types.str;
        default = "";
        description = "Its region.";
      };
      tracesBucket = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Bucket of Tempo, which has to exist.";
      };
      logsBucket = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Bucket of Loki, which has to exist.";
      };
      pathStyle = mkEnableOption "addressing buckets by path rather than by host name, as most stores but Amazon's want";
      insecure = mkEnableOption "plain HTTP, for a store on this machine";
      environmentFile = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = ''
          File, outside the store and readable by root only, with AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=…; without it
          the machine's own role is used.
        '';
      };
    };

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
