# The cache that services share: a Redis or Valkey, here or elsewhere. It holds nothing that is nowhere else.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkDefault mkIf mkMerge;
  facts = import ./facts.nix { inherit lib; };
  cfg = config.services.crypto-telemetry;

  names = lib.filter (name: cfg.services.${name}.enable) facts.withCache;
  # services.redis calls its unit, its user and its group so.
  unit = "redis-crypto-telemetry";
  server = config.services.redis.servers.crypto-telemetry;

  forAll = value: { services.crypto-telemetry.services = lib.genAttrs facts.withCache (_: value); };
in
{
  config = mkIf cfg.enable (mkMerge [
    # With both, assertions.nix says that they are one too many.
    (mkIf (cfg.cache.url != null && !cfg.cache.enable) (forAll {
      environment.REDIS_URL = mkDefault cfg.cache.url;
    }))
    (mkIf (cfg.cache.urlFile != null) (forAll {
      credentials.REDIS_URL = mkDefault cfg.cache.urlFile;
    }))
    (mkIf (cfg.cache.caFile != null) (forAll {
      credentials.REDIS_CA = mkDefault "${cfg.cache.caFile}";
    }))

    (mkIf cfg.cache.enable (mkMerge [
      (forAll { environment.REDIS_URL = mkDefault "unix://${server.unixSocket}"; })
      {
        services.redis.servers.crypto-telemetry = {
          enable = true;
          # Nobody needs what was in it before it ended.
          save = mkDefault [ ];
          settings = {
            maxmemory = mkDefault "64mb";
            maxmemory-policy = mkDefault "allkeys-lru";
          };
        };
        systemd.services = {
          # NixOS's unit stays away once it has died.
          ${unit} = {
            startLimitIntervalSec = mkDefault 0;
            serviceConfig = {
              Restart = mkDefault "always";
              RestartSec = mkDefault 2;
            };
          };
        }
        // lib.listToAttrs (
          map (
            name:
            lib.nameValuePair (facts.unitOf name) {
              # Not required: without it a service asks its database, or the world.
              wants = [ "${unit}.service" ];
              after = [ "${unit}.service" ];
              serviceConfig.SupplementaryGroups = [ server.group ];
            }
          ) names
        );
      }
    ]))
  ]);
}
