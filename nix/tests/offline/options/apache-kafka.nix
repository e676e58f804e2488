# services.apache-kafka. Follows nixos/modules/services/misc/apache-kafka.nix (Swarsel 4aa6836a648c).
# The ZooKeeper options are gone there; not known whether 26.05 still has them (then unused).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.apache-kafka;
  primitive = types.oneOf [
    types.bool
    types.int
    types.str
  ];
  property =
    v:
    if lib.isBool v then
      lib.boolToString v
    else if lib.isList v then
      lib.concatMapStringsSep "," property v
    else
      toString v;
  properties = lib.mapAttrs (_: property) (lib.filterAttrs (_: v: v != null) cfg.settings);
  format = "${cfg.package}/bin/kafka-storage.sh format -t \"${
    if cfg.clusterId == null then "" else cfg.clusterId
  }\" -c ${cfg.configFiles.serverProperties}";
in
{
  options.services.apache-kafka = {
    enable = c.off;
    package = c.package "apacheKafka";
    jre = c.opt types.package (cfg.package.passthru.jre or (c.pkg "jre"));
    clusterId = c.nullable types.str;
    formatLogDirs = c.off;
    formatLogDirsIgnoreFormatted = c.off;
    jvmOptions = c.strings;
    log4jProperties = c.opt types.lines "log4j.rootLogger=INFO, stdout";
    configFiles = {
      log4jProperties = c.opt types.path (pkgs.writeText "log4j.properties" cfg.log4jProperties);
      serverProperties = c.need types.path;
    };
    settings = c.need (
      c.free (types.lazyAttrsOf (types.nullOr (types.either primitive (types.listOf primitive)))) {
        "broker.id" = c.nullable types.int;
        "log.dirs" = c.need (types.listOf types.path);
        "listeners" = c.opt (types.listOf types.str) [ "PLAINTEXT://localhost:9092" ];
      }
    );
  };

  config = lib.mkIf cfg.enable {
    services.apache-kafka.configFiles.serverProperties =
      (pkgs.formats.javaProperties { }).generate "server.properties"
        properties;
    users.groups.apache-kafka = { };
    users.users.apache-kafka = {
      description = "Apache Kafka";
      isSystemUser = true;
      group = "apache-kafka";
    };
    systemd.tmpfiles.rules = map (dir: "d '${dir}' 0700 apache-kafka - - -") cfg.settings."log.dirs";
    # No StateDirectory, no Restart and no hardening: all of it may be added without a conflict.
    systemd.services.apache-kafka = {
      description = "Apache Kafka";
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      preStart = lib.mkIf cfg.formatLogDirs (
        if cfg.formatLogDirsIgnoreFormatted then
          "${format} --ignore-formatted\n"
        else
          ''
            if ${
              lib.concatMapStringsSep " && " (d: ''[ ! -f "${d}/meta.properties" ]'') cfg.settings."log.dirs"
            }; then
              ${format}
            fi
          ''
      );
      serviceConfig = {
        ExecStart = ''
          ${cfg.jre}/bin/java \
            -cp "${cfg.package}/libs/*" \
            -Dlog4j.configuration=file:${cfg.configFiles.log4jProperties} \
            ${toString cfg.jvmOptions} \
            kafka.Kafka \
            ${cfg.configFiles.serverProperties}
        '';
        User = "apache-kafka";
        SuccessExitStatus = "0 143";
      };
    };
    system.build.offlineConfig.apache-kafka = properties;
  };
}
