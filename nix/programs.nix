# The programs of nixpkgs beside our own, in one place, so that the stack, the checks and the shell have the same.
{ pkgs }:
let
  inherit (pkgs) lib;
in
rec {
  # process-compose.yaml starts `otelcol`; nixpkgs calls the distribution with all components otelcol-contrib.
  collector = pkgs.runCommand "otelcol" { meta.mainProgram = "otelcol"; } ''
    mkdir -p $out/bin
    ln -s ${lib.getExe' pkgs.opentelemetry-collector-contrib "otelcol-contrib"} $out/bin/otelcol
  '';

  # What process-compose.yaml starts, by the names it uses.
  backends = [
    collector
    pkgs.grafana
    pkgs.grafana-loki
    pkgs.process-compose
    pkgs.prometheus
    pkgs.prometheus-alertmanager
    pkgs.tempo
  ];

  # What the scripts call. GNU's versions, on macOS too.
  shell = [
    pkgs.bash
    pkgs.coreutils
    pkgs.curl
    pkgs.findutils
    pkgs.gawk
    pkgs.gnugrep
    pkgs.gnused
    pkgs.jq
  ];

  # What `--full` starts beside them.
  engines = [
    pkgs.postgresql_17
    # setpriv, for whoever is root.
    pkgs.util-linux
    # For Kafka, which is its jars.
    pkgs.jdk17_headless
    pkgs.valkey
  ];

  # promtool is an output of its own. Python stands in for AWS (scripts/test-otelcol-aws.py).
  configurationCheckers = [
    (lib.getOutput "cli" pkgs.prometheus)
    pkgs.python3
  ];

  # What the tests start beside the backends.
  tests = [
    pkgs.postgresql_17
    pkgs.jdk17_headless
    pkgs.valkey
  ];
  # Where they, and `--full`, find Kafka's jars.
  kafkaJars = "${pkgs.apacheKafka_4_2}/libs";
  browser = [
    pkgs.chromium
    pkgs.chromedriver
  ];
}
