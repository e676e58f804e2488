# Where the business chain keeps its tables.
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
  isLocalPostgres = cfg.database.engine == "postgresql" && cfg.database.createLocally;
in
{
  config = mkIf cfg.enable (mkMerge [
    (mkIf (cfg.database.engine == "sqlite") {
      # A URL without a password is no secret. The state folder is the unit's own (see services.nix).
      services.crypto-telemetry.services = lib.genAttrs facts.withDatabase (name: {
        environment.DATABASE_URL = mkDefault "sqlite:///var/lib/${facts.unitOf name}/";
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
        # A role and a database a service, named like the user it runs as, so that the socket's peer authentication of
        # NixOS's defaults lets each into its own, and nobody into another's.
        ensureDatabases = map facts.userOf names;
        ensureUsers = map (name: {
          name = facts.userOf name;
          ensureDBOwnership = true;
        }) names;
      };
      services.crypto-telemetry.services = lib.genAttrs facts.withDatabase (name: {
        environment.DATABASE_URL =
          let
            user = facts.userOf name;
          in
          mkDefault "postgres://${user}@localhost/${user}?host=/run/postgresql";
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
