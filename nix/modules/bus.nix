# The bus: on it signals travel from those who make them to those whom they set off.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkDefault mkIf mkMerge;
  facts = import ./facts.nix { inherit lib; };
  cfg = config.services.crypto-telemetry;
  inherit (cfg.bus) kafka;

  names = lib.filter (name: cfg.services.${name}.enable) facts.withBus;
  # Nobody says where: it goes where the tables go.
  isOurs = cfg.bus.url == null && cfg.bus.urlFile == null;
  folder = "/var/lib/${facts.bus}";
  file = "${folder}/bus.db";

  forAll = value: { services.crypto-telemetry.services = lib.genAttrs facts.withBus (_: value); };
in
{
  config = mkIf cfg.enable (mkMerge [
    (mkIf (cfg.bus.url != null) (forAll {
      environment.BUS_URL = mkDefault cfg.bus.url;
    }))
    (mkIf (cfg.bus.urlFile != null) (forAll {
      credentials.BUS_URL = mkDefault cfg.bus.urlFile;
    }))
    (forAll {
      settings = {
        BUS_KAFKA_SECURITY_PROTOCOL = mkIf (kafka.securityProtocol != null) (
          mkDefault kafka.securityProtocol
        );
        BUS_KAFKA_SASL_MECHANISM = mkIf (kafka.saslMechanism != null) (mkDefault kafka.saslMechanism);
        BUS_KAFKA_SASL_USERNAME = mkIf (kafka.username != null) (mkDefault kafka.username);
      };
      credentials = mkMerge [
        (mkIf (kafka.passwordFile != null) { BUS_KAFKA_SASL_PASSWORD = mkDefault kafka.passwordFile; })
        (mkIf (kafka.caFile != null) { BUS_KAFKA_CA = mkDefault "${kafka.caFile}"; })
      ];
    })

    # A file that its users share, by a group of theirs.
    (mkIf (isOurs && cfg.database.engine == "sqlite") (mkMerge [
      (forAll { environment.BUS_URL = mkDefault "sqlite://${file}"; })
      (mkIf (names != [ ]) {
        users.groups.${facts.bus} = { };
        # Who came first would make the file for itself alone, so it is there before anybody: an empty file is an empty
        # database, and SQLite gives the files that it makes beside it the same rights. The folder gives them the group.
        systemd.tmpfiles.settings.${facts.bus} =
          let
            ours = mode: {
              inherit mode;
              user = "root";
              group = facts.bus;
            };
          in
          {
            ${folder}.d = ours "2770";
            ${file}.f = ours "0660";
            # Held while tables are made.
            "${file}.lock".f = ours "0660";
          };
        systemd.services = lib.listToAttrs (
          map (
            name:
            lib.nameValuePair (facts.unitOf name) {
              serviceConfig = {
                SupplementaryGroups = [ facts.bus ];
                ReadWritePaths = [ folder ];
              };
            }
          ) names
        );
      })
    ]))

    # A database of its own, so that who reads the bus reads no other's tables: its users come as one role.
    (mkIf (isOurs && cfg.database.engine == "postgresql" && cfg.database.createLocally) (mkMerge [
      (forAll { environment.BUS_URL = mkDefault (facts.postgresUrlOf facts.bus); })
      (mkIf (names != [ ]) {
        services.postgresql = {
          ensureDatabases = [ facts.bus ];
          ensureUsers = [
            {
              name = facts.bus;
              ensureDBOwnership = true;
            }
          ];
          identMap = lib.concatMapStrings (user: "${facts.bus} ${user} ${facts.bus}\n") (
            lib.unique (map facts.userOf names)
          );
          # Before NixOS's own lines, of which the first that fits counts.
          authentication = ''
            local ${facts.bus} ${facts.bus} peer map=${facts.bus}
          '';
        };
      })
    ]))

    # The schema `bus`, beside the services' own.
    (mkIf
      (
        isOurs
        && cfg.database.engine == "postgresql"
        && !cfg.database.createLocally
        && cfg.database.urlFile != null
      )
      (forAll {
        credentials.BUS_URL = mkDefault cfg.database.urlFile;
      })
    )
  ]);
}
