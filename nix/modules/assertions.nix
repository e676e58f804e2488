# What cannot work is said while the machine is built, in a sentence with what to do about it.
{
  config,
  lib,
  ...
}:
let
  inherit (lib)
    concatMap
    filter
    mkIf
    optionals
    ;
  facts = import ./facts.nix { inherit lib; };
  notInStore = import ./not-in-store.nix { inherit lib; };
  cfg = config.services.crypto-telemetry;
  at = "services.crypto-telemetry";

  enabled = filter (name: cfg.services.${name}.enable) facts.names;

  usedPorts = lib.filterAttrs (
    variable: _:
    let
      ofService = filter (name: facts.services.${name}.port == variable) facts.names;
    in
    ofService == [ ] || lib.elem (lib.head ofService) enabled
  ) cfg.ports;
  takenTwice = lib.filterAttrs (_: variables: lib.length variables > 1) (
    lib.groupBy (variable: toString usedPorts.${variable}) (lib.attrNames usedPorts)
  );

  ofService =
    name:
    let
      service = cfg.services.${name};
      option = "${at}.services.${name}";
      known = facts.secretsOf name;
    in
    lib.mapAttrsToList (secret: file: notInStore "${option}.credentials.${secret}" file) (
      removeAttrs service.credentials facts.publicFiles
    )
    ++ map (secret: {
      assertion = lib.elem secret known;
      message = "${option}.credentials.${secret}: ${name} takes no such secret; it takes ${lib.concatStringsSep ", " known}.";
    }) (lib.attrNames service.credentials)
    ++ concatMap (
      variable:
      let
        value = service.environment.${variable};
        secret = lib.removeSuffix "_FILE" variable;
      in
      [
        {
          assertion =
            !lib.elem variable facts.secrets
            || (variable == "TELEGRAM_BOT_TOKEN" && value == facts.simulatedBotToken)
            || (lib.elem variable facts.urls && !facts.hasPassword value);
          message = "${option}.environment.${variable} is a secret, and a unit's environment can be read by everybody. Put it into a file and name that in ${option}.credentials.${variable}.";
        }
        {
          assertion = variable != "PORT";
          message = "${option}.environment.PORT would move ${name} without telling its neighbours: say it in ${at}.ports.${facts.services.${name}.port}.";
        }
        {
          assertion = !lib.hasSuffix "_FILE" variable || !lib.elem secret known;
          message = "${option}.environment.${variable} names a file that ${name}'s user cannot read: put its path into ${option}.credentials.${secret}.";
        }
        {
          assertion = !(facts.settingsOf name ? ${variable});
          message = "${option}.environment.${variable} is a setting of ${name}: say it in ${option}.settings.${variable}, where its value is checked.";
        }
      ]
    ) (lib.attrNames service.environment)
    # Who works on another's tables has nothing to do where those are empty for ever.
    ++ optionals (facts.tablesOf name != name) [
      {
        assertion =
          cfg.services.${facts.tablesOf name}.enable
          || service.credentials ? DATABASE_URL
          || !lib.elem (service.environment.DATABASE_URL or "") [
            (facts.sqliteUrlOf name)
            (facts.postgresUrlOf (facts.userOf name))
          ];
        message = "${name} works in the database of ${facts.tablesOf name}, which is off here, and that database is this machine's: enable ${at}.services.${facts.tablesOf name}, say in ${at}.database where the other machine's is, or switch ${name} off as well.";
      }
    ]
    ++ optionals (lib.elem name facts.withBus) [
      {
        assertion = service.credentials ? BUS_URL || service.environment ? BUS_URL;
        message = "${name} has no bus: the database is elsewhere, and ${at}.database.urlFile does not say where; set that, ${at}.bus.url or ${at}.bus.urlFile.";
      }
    ]
    # Whoever calls a service that is off would only fail when asked.
    ++ lib.mapAttrsToList (variable: callee: {
      assertion = cfg.services.${callee}.enable || service.settings.${variable} or null != null;
      message = "${name} calls ${callee}, which is off: enable ${at}.services.${callee}, say in ${option}.settings.${variable} where it is, or switch ${name} off as well${
        lib.optionalString (variable == "NEXT_SERVICE_URL") " (\"none\" ends the chain here)"
      }.";
    }) facts.callsOf.${name};
in
{
  config = mkIf cfg.enable {
    assertions =
      concatMap ofService enabled
      ++
        map (option: notInStore "${at}.${option}" (lib.getAttrFromPath (lib.splitString "." option) cfg))
          [
            "telegram.botTokenFile"
            "telegram.webhookSecretFile"
            "llm.apiKeyFile"
            "apiKeysFile"
            "bus.kafka.passwordFile"
            "bus.urlFile"
            "cache.urlFile"
            "database.urlFile"
            "telemetry.headersFile"
            "trading.apiKeyFile"
            "trading.secretKeyFile"
            "signals.adminKeyFile"
          ]
      ++ lib.mapAttrsToList (port: variables: {
        assertion = false;
        message = "${at}.ports: ${lib.concatStringsSep " and " variables} are both ${port}.";
      }) takenTwice
      ++
        concatMap
          (
            what:
            let
              inherit (cfg.${what}) url urlFile;
            in
            [
              {
                assertion = url != null -> !facts.hasPassword url;
                message = "${at}.${what}.url holds a password, which everybody could read in the store: put the whole URL into a file, and name that in ${at}.${what}.urlFile.";
              }
              {
                assertion = url == null || urlFile == null;
                message = "${at}.${what}.url and ${what}.urlFile are both set: say it in one of them.";
              }
            ]
          )
          [
            "bus"
            "cache"
          ]
      ++ [
        {
          assertion = cfg.cache.enable -> cfg.cache.url == null && cfg.cache.urlFile == null;
          message = "${at}.cache.enable runs a cache on this machine, and cache.url or cache.urlFile names another: take one of them away.";
        }
        {
          assertion = cfg.cache.caFile != null -> cfg.cache.url != null || cfg.cache.urlFile != null;
          message = "${at}.cache.caFile is for a cache elsewhere, and neither cache.url nor cache.urlFile says where.";
        }
        {
          assertion = (cfg.bus.kafka.username != null) == (cfg.bus.kafka.passwordFile != null);
          message = "${at}.bus.kafka: username and passwordFile go together.";
        }
        {
          assertion =
            lib.any (value: value != null) (lib.attrValues cfg.bus.kafka)
            -> cfg.bus.urlFile != null || lib.hasPrefix "kafka://" (toString cfg.bus.url);
          message = "${at}.bus.kafka is set, and ${at}.bus.url does not name a Kafka (kafka://HOST:9092).";
        }
        {
          assertion =
            cfg.services.notifier-service.enable && cfg.telegram.enable
            -> cfg.telegram.botTokenFile != null || cfg.simulator.enable;
          message = "${at}.telegram.botTokenFile is not set, and without a token there is no bot: set it, run the simulated Telegram (${at}.simulator.enable = true), or do without the bot (${at}.telegram.enable = false).";
        }
        {
          assertion =
            cfg.trading.mode == "live" && cfg.services.order-service.enable
            ->
              cfg.services.order-service.credentials ? BINGX_API_KEY
              && cfg.services.order-service.credentials ? BINGX_SECRET_KEY;
          message = "${at}.trading.mode is live, and that needs ${at}.trading.apiKeyFile and trading.secretKeyFile, the keys of the exchange.";
        }
        {
          assertion =
            cfg.trading.mode != "live" -> cfg.trading.apiKeyFile == null && cfg.trading.secretKeyFile == null;
          message = "${at}.trading.apiKeyFile and secretKeyFile are for trading.mode = \"live\"; with \"${cfg.trading.mode}\" nobody would read them.";
        }
        {
          assertion =
            cfg.trading.mode == "paper" && cfg.services.order-service.enable -> cfg.services.simulator.enable;
          message = "${at}.trading.mode is paper, and ${at}.services.simulator, whose exchange fills paper orders, is off: enable it, or set trading.mode = \"off\".";
        }
        {
          assertion = cfg.telegram.webhookSecretFile != null -> cfg.web.domain != null;
          message = "${at}.telegram.webhookSecretFile is set, so that Telegram calls this machine, but ${at}.web.domain does not say under which name.";
        }
        {
          assertion = cfg.llm.enable -> cfg.llm.apiKeyFile != null || cfg.simulator.enable;
          message = "${at}.llm.enable wants ${at}.llm.apiKeyFile, the file with the key of the language model.";
        }
        {
          assertion =
            cfg.services.decision-service.settings.DECISION_STRATEGY == "llm"
            -> cfg.services.decision-service.settings.LLM_BASE_URL != null;
          message = "${at}.services.decision-service.settings.DECISION_STRATEGY is llm, and nobody says which model: set ${at}.llm.enable = true with llm.apiKeyFile instead.";
        }
        {
          assertion =
            cfg.database.engine == "postgresql" && !cfg.database.createLocally
            ->
              cfg.database.urlFile != null
              || lib.all (name: cfg.services.${name}.credentials ? DATABASE_URL) (
                filter (name: lib.elem name facts.withDatabase) enabled
              );
          message = "${at}.database is a PostgreSQL elsewhere (createLocally = false), but ${at}.database.urlFile does not say where.";
        }
        {
          assertion =
            cfg.database.urlFile != null -> cfg.database.engine == "postgresql" && !cfg.database.createLocally;
          message = "${at}.database.urlFile is set, but with engine = \"${cfg.database.engine}\" and createLocally = ${lib.boolToString cfg.database.createLocally} nobody would read it: set engine = \"postgresql\" and createLocally = false.";
        }
        {
          assertion = cfg.web.domain != null -> cfg.apiKeysFile != null;
          message = "${at}.web.domain opens the gateway to the world, and ${at}.apiKeysFile is not set, so that nobody would be asked for a key. 'crypto-telemetry api-key NAME' makes one.";
        }
        {
          assertion = cfg.web.domain != null -> cfg.services.api-gateway.enable;
          message = "${at}.web.domain is the gateway's, and ${at}.services.api-gateway is off.";
        }
        {
          assertion =
            cfg.web.domain != null || cfg.web.grafanaDomain != null
            -> cfg.web.proxy == "nginx"
            -> cfg.web.acmeEmail != null;
          message = "${at}.web.acmeEmail is not set: with nginx Let's Encrypt wants an address to write to.";
        }
        {
          assertion = cfg.web.domain == null || cfg.web.domain != cfg.web.grafanaDomain;
          message = "${at}.web.domain and grafanaDomain are both ${toString cfg.web.domain}: Grafana needs a name of its own.";
        }
        {
          assertion = cfg.web.grafanaDomain != null -> cfg.observability.grafana.enable;
          message = "${at}.web.grafanaDomain is set, and ${at}.observability.grafana is off.";
        }
      ];

    warnings =
      lib.concatMap
        (
          backend:
          optionals (cfg.observability.collector.enable && !cfg.observability.${backend}.enable) [
            "${at}.observability.${backend} is off, and the Collector of this machine sends to it: what it has for it fills its queue, and then senders wait. Switch the Collector off as well, or say in systemd.services.opentelemetry-collector.environment (${lib.toUpper backend}_OTLP_ENDPOINT) where it is."
          ]
        )
        [
          "tempo"
          "loki"
        ]
      ++
        # Tables in SQLite, which nobody else reaches.
        map
          (
            name:
            "${at}.services.${name} is off, and pipeline-service's database is a file of this machine, so that no other can do its work: signals set nothing off, or what they set off waits for ever."
          )
          (
            filter
              (
                name:
                cfg.database.engine == "sqlite"
                && cfg.services.pipeline-service.enable
                && !cfg.services.${name}.enable
              )
              [
                "trigger-dispatcher"
                "pipeline-worker"
              ]
          )
      ++
        optionals
          (
            cfg.services.notifier-service.enable
            && cfg.telegram.enable
            && !cfg.simulator.enable
            && cfg.telegram.allowedUserIds == [ ]
          )
          [
            "${at}.telegram.allowedUserIds is empty: the bot will answer nobody (whoever writes to it is told their user id)."
          ]
      ++
        optionals
          (
            cfg.telemetry.enable
            && !cfg.observability.collector.enable
            && cfg.telemetry.otlpEndpoint == "http://127.0.0.1:${toString cfg.ports.OTELCOL_GRPC_PORT}"
          )
          [
            "${at}.telemetry sends to the Collector of this machine, and ${at}.observability.collector is off: what is sent is lost. Set ${at}.telemetry.otlpEndpoint, or telemetry.enable = false."
          ];
  };
}
