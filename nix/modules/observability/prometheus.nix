# Prometheus, from prometheus/prometheus.yml, in which this machine's ports are put: what scripts/render-prometheus.sh does
# where there is no NixOS. A test compares the two.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  facts = import ../facts.nix { inherit lib; };
  cfg = config.services.crypto-telemetry;
  own = cfg.observability.prometheus;
  notInStore = import ../not-in-store.nix { inherit lib; };
  remote = own.remoteWrite;

  credentials = "/run/credentials/prometheus.service";

  # Each default address, at once: replacing one after the other could replace a replacement.
  variables = lib.attrNames facts.ports;
  address = port: "\"127.0.0.1:${toString port}\"";
  withPorts = builtins.replaceStrings (map (name: address facts.ports.${name}) variables) (
    map (name: address cfg.ports.${name}) variables
  );
  # The file lies alone in the store; its rules are found by their whole path.
  withRules = builtins.replaceStrings [ "\n  - rules/" ] [ "\n  - ${../../../prometheus}/rules/" ];

  # A part that is off is no target: it would count as down. Paragraphs of the file are parted by empty lines.
  off = lib.filter (name: !cfg.observability.${name}.enable) [
    "alertmanager"
    "grafana"
    "loki"
    "tempo"
  ];
  isAbout =
    paragraph: name:
    lib.hasInfix "- job_name: ${name}\n" "${paragraph}\n"
    || (name == "alertmanager" && lib.hasInfix "\nalerting:\n" "\n${paragraph}");
  withoutOff =
    text:
    lib.concatStringsSep "\n\n" (
      lib.filter (paragraph: !lib.any (isAbout paragraph) off) (lib.splitString "\n\n" text)
    );

  remoteWrite = lib.optionalString (remote.url != null) ''

    # From services.crypto-telemetry.observability.prometheus.remoteWrite.
    remote_write: ${
      builtins.toJSON [
        (
          {
            inherit (remote) url;
            send_exemplars = true;
          }
          // lib.optionalAttrs (remote.tokenFile != null) {
            authorization.credentials_file = "${credentials}/remote-write";
          }
          // lib.optionalAttrs (remote.username != null) {
            basic_auth = {
              inherit (remote) username;
              password_file = "${credentials}/remote-write";
            };
          }
        )
      ]
    }
  '';
  secret = if remote.tokenFile != null then remote.tokenFile else remote.passwordFile;
in
{
  options.services.crypto-telemetry.observability.prometheus.remoteWrite = {
    url = mkOption {
      type = types.nullOr (types.strMatching "https?://[^@]+");
      default = null;
      example = "https://mimir.example.com/api/v1/push";
      description = "Where all metrics go as well, with exemplars: Mimir, Thanos, a managed Prometheus. No credentials in it.";
    };
    username = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "User name, with `passwordFile`.";
    };
    passwordFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "File with the password, outside the store.";
    };
    tokenFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "File with a bearer token, outside the store, instead of name and password.";
    };
  };

  config = mkIf (cfg.enable && own.enable) {
    assertions = [
      {
        assertion = (remote.username != null) == (remote.passwordFile != null);
        message = "services.crypto-telemetry.observability.prometheus.remoteWrite: username and passwordFile go together.";
      }
      {
        assertion = remote.tokenFile != null -> remote.username == null;
        message = "services.crypto-telemetry.observability.prometheus.remoteWrite: tokenFile, or username with passwordFile, not both.";
      }
      {
        assertion = secret != null -> remote.url != null;
        message = "services.crypto-telemetry.observability.prometheus.remoteWrite has credentials, but no url.";
      }
      (notInStore "services.crypto-telemetry.observability.prometheus.remoteWrite" secret)
    ];

    services.prometheus = {
      enable = true;
      port = cfg.ports.PROMETHEUS_PORT;
      listenAddress = "127.0.0.1";
      retentionTime = "${toString cfg.observability.retention.metricsDays}d";
      extraFlags = [
        # Tempo writes service graphs and span metrics.
        "--web.enable-remote-write-receiver"
        "--enable-feature=exemplar-storage"
      ]
      ++ lib.optional (
        cfg.observability.retention.metricsSizeGB != null
      ) "--storage.tsdb.retention.size=${toString cfg.observability.retention.metricsSizeGB}GB";
      configText =
        withoutOff (withRules (withPorts (builtins.readFile ../../../prometheus/prometheus.yml)))
        + remoteWrite;
      # The credentials are not there when the machine is built.
      checkConfig = if secret == null then true else "syntax-only";
    };

    systemd.services.prometheus.serviceConfig.LoadCredential = mkIf (secret != null) [
      "remote-write:${secret}"
    ];
  };
}
