# Where the services keep their tables.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkDefault mkIf mkMerge;
  facts = import ./facts.nix { inherit lib; };
  cfg = config.services.crypto-telemetry;

  names = lib.filter (name: cfg.services.${name}.enable) facts.withDatabase;
  users = lib.unique (map facts.userOf names);
  isLocalPostgres = cfg.database.engine == "postgresql" && cfg.database.createLocally;
in
{
  config = mkIf cfg.enable (mkMerge [
    (mkIf (cfg.database.engine == "sqlite") {
      # A URL without a password is no secret. The state folder is the unit's own (see services.nix).
      services.crypto-telemetry.services = lib.genAttrs facts.withDatabase (name: {
        environment.DATABASE_URL = mkDefault (facts.sqliteUrlOf name);
      });
    })

    (mkIf (cfg.database.engine == "postgresql" && !cfg.database.createLocally) {
      services.crypto-telemetry.services = lib.genAttrs facts.withDatabase (_: {
        credentials = mkIf (cfg.database.urlFile != null) {
          DATABASE_URL = mkDefault cfg.database.urlFile;
        };
      });
    })

    (mkIf isLocalPostgres {
      services.postgresql = {
        enable = true;
        # A role and a database a user, named like it, so that the socket's peer authentication of NixOS's defaults lets
        # each into its own, and nobody into another's.
        ensureDatabases = users;
        ensureUsers = map (name: {
          inherit name;
          ensureDBOwnership = true;
        }) users;
        # Each service keeps up to 8 connections, and up to 4 to the bus: close to the 100 that there are otherwise.
        settings.max_connections = mkDefault 200;
      };
      services.crypto-telemetry.services = lib.genAttrs facts.withDatabase (name: {
        environment.DATABASE_URL = mkDefault (facts.postgresUrlOf (facts.userOf name));
      });
      systemd.services = lib.listToAttrs (
        map (
          name:
          lib.nameValuePair (facts.unitOf name) {
            # The target is reached when the roles and databases are there, too. Not required: a service waits for its
            # database as long as it takes, and goes on when it is back.
            wants = [ "postgresql.target" ];
            after = [ "postgresql.target" ];
          }
        ) names
      );
    })
  ]);
}
