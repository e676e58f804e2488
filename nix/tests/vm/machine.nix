# One machine with everything on it, offline: from the first ask to a reboot.
{
  pkgs,
  module,
  package,
  engine,
}:
let
  inherit (pkgs) lib;
  # Made for this test and worth nothing outside it; put on the machine by hand, as an operator would.
  apiKey = "test-key-of-no-value-0123456789abcdef";
  botToken = "424242:token-of-no-value-for-this-test";
in
pkgs.testers.runNixOSTest {
  name = "crypto-telemetry-${engine}";

  nodes.machine =
    { pkgs, ... }:
    {
      imports = [ module ];
      virtualisation = {
        memorySize = 3072;
        cores = 2;
        diskSize = 8192;
      };
      environment.systemPackages = [
        pkgs.curl
        pkgs.jq
      ];

      services.crypto-telemetry = {
        enable = true;
        inherit package;
        environment = "vm-test";
        simulator.enable = true;
        observability.enable = true;
        database = { inherit engine; };
        apiKeysFile = "/run/keys/api-keys";
        telegram.botTokenFile = "/run/keys/bot-token";
      };

      # Before any service: the test's secrets, readable by root only.
      systemd.tmpfiles.settings.test-keys = {
        "/run/keys".d.mode = "0700";
        "/run/keys/api-keys".f = {
          mode = "0400";
          argument = "tests:${builtins.hashString "sha256" apiKey}";
        };
        "/run/keys/api-key".f = {
          mode = "0400";
          argument = apiKey;
        };
        "/run/keys/bot-token".f = {
          mode = "0400";
          argument = botToken;
        };
      };
    };

  testScript =
    { nodes, ... }:
    let
      inherit (nodes.machine.services) crypto-telemetry;
      units = lib.filter (lib.hasPrefix "crypto-telemetry-") (
        lib.attrNames nodes.machine.systemd.services
      );
      backends = [
        "opentelemetry-collector"
        "prometheus"
        "tempo"
        "loki"
        "grafana"
      ]
      ++ lib.optional crypto-telemetry.observability.alertmanager.enable "alertmanager"
      ++ lib.optional (engine == "postgresql") "postgresql";
    in
    ''
      import json

      UNITS = json.loads('${builtins.toJSON units}')
      BACKENDS = json.loads('${builtins.toJSON backends}')
      PORTS = json.loads('${builtins.toJSON crypto-telemetry.ports}')
      ENGINE = "${engine}"
      SMOKE = "${../../../scripts/smoke.sh}"
      DASHBOARDS = ${toString (lib.length (lib.filter (lib.hasSuffix ".json") (lib.attrNames (builtins.readDir ../../../grafana/dashboards))))}

    ''
    + builtins.readFile ./machine.py;
}
