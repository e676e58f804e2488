# services.crypto-telemetry: the services as hardened units, and beside them, as services.crypto-telemetry.observability,
# the Collector, Prometheus, Alertmanager, Tempo, Loki and Grafana through NixOS's own modules.
{
  imports = [
    ./assertions.nix
    ./bus.nix
    ./cache.nix
    ./database.nix
    ./observability
    ./options.nix
    ./services.nix
    ./web.nix
  ];
}
