# The services: one unit each, made by mkService alone.
{
  config,
  lib,
  utils,
  ...
}:
let
  inherit (lib) mkDefault mkIf mkMerge;
  facts = import ./facts.nix { inherit lib; };
  hardening = import ./hardening.nix;
  cfg = config.services.crypto-telemetry;

  # What doctor does not look for.
  isOff = lib.filter (name: !cfg.services.${name}.enable) facts.names;

  portOf = name: cfg.ports.${facts.services.${name}.port};
  urlOf = name: "http://127.0.0.1:${toString (portOf name)}";
  simulatorUrl = urlOf "simulator";

  # An address of the world: the simulator's where there is one, else the binary's own.
  outside =
    name: setting: simulated:
    mkDefault (if cfg.simulator.enable then simulated else facts.defaultOf name setting);

  # As an environment variable has it.
  text =
    value:
    if lib.isBool value then
      lib.boolToString value
    # Not toString, which keeps six digits.
    else if lib.isFloat value then
      builtins.toJSON value
    else if lib.isList value then
      lib.concatMapStringsSep "," toString value
    else
      toString value;

  # Only loopback is spoken to: every address that the unit is given is one of this machine. So every address that a
  # service speaks to has to be among its variables, the binary's own defaults too. These it only tells others:
  told = [
    "CORS_ALLOWED_ORIGINS"
    "PUBLIC_URL"
    "TELEGRAM_WEBHOOK_URL"
  ];
  isLocal =
    environment:
    let
      isAddress =
        value:
        lib.hasInfix "://" value && !lib.hasPrefix "sqlite://" value && !lib.hasPrefix "unix://" value;
      addresses = lib.concatMap hostsOf (
        lib.filter isAddress (lib.attrValues (removeAttrs environment told))
      );
      # Kafka's brokers are several.
      hostsOf =
        value:
        let
          rest = lib.concatStringsSep "://" (lib.tail (lib.splitString "://" value));
        in
        if lib.hasPrefix "kafka://" value then lib.splitString "," rest else [ rest ];
      isLoopback =
        value:
        builtins.match "([^@/]*@)?(127\\.0\\.0\\.1|localhost|\\[::1])([:/?].*)?" value != null
        # PostgreSQL's parameter goes before the host of the URL; a path is a socket.
        && builtins.match ".*[?&]host(addr)?=[^/%].*" value == null;
      host = environment.HOST or "127.0.0.1";
    in
    lib.all isLoopback addresses && (lib.hasPrefix "127." host || host == "::1");

  mkService =
    name:
    let
      service = cfg.services.${name};
      keepsTables = lib.elem name facts.withDatabase;
      inherit (service) credentials;
      environment = {
        ENVIRONMENT = cfg.environment;
        PORT = toString (portOf name);
      }
      // lib.mapAttrs (_: text) (lib.filterAttrs (_: value: value != null) service.settings)
      // service.environment;
      # systemd expands % in a unit.
      inUnit =
        lib.mapAttrs (_: lib.replaceStrings [ "%" ] [ "%%" ]) environment
        # %d is the folder that LoadCredential fills for this unit.
        // lib.mapAttrs' (secret: _: lib.nameValuePair "${secret}_FILE" "%d/${secret}") credentials;
      # A URL in a file may name any machine.
      local =
        isLocal environment
        && !lib.any (url: credentials ? ${url}) facts.urls
        # The real Telegram, where nothing else is said.
        && !(
          name == "notifier-service" && credentials ? TELEGRAM_BOT_TOKEN && !(environment ? TELEGRAM_API_URL)
        );
    in
    mkIf (cfg.enable && service.enable) {
      systemd.services.${facts.unitOf name} = {
        description = "crypto-telemetry: ${facts.aboutOf name}";
        wantedBy = [ "multi-user.target" ];
        wants = [ "network-online.target" ];
        after = [ "network-online.target" ];
        environment = inUnit;
        # A backend or a neighbour that is away is waited for, however long.
        startLimitIntervalSec = 0;
        serviceConfig = mkMerge [
          # What a machine says itself goes first.
          (lib.mapAttrs (_: mkDefault) hardening)
          {
            Type = "exec";
            ExecStart = utils.escapeSystemdExecArgs [
              (lib.getExe cfg.package)
              name
            ];
            User = facts.userOf name;
            Restart = "always";
            RestartSec = 1;
            # EX_USAGE: a setting that cannot be used does not get better by being tried again.
            RestartPreventExitStatus = 64;
            # Longer than SHUTDOWN_GRACE_MS and TELEMETRY_SHUTDOWN_TIMEOUT_MS together, after which it ends by itself.
            TimeoutStopSec = 20;
            LoadCredential = lib.mapAttrsToList (secret: file: "${secret}:${file}") credentials;
            MemoryMax = mkDefault "512M";
            TasksMax = mkDefault 256;
            LimitNOFILE = mkDefault 65536;
          }
          (mkIf local {
            IPAddressDeny = "any";
            IPAddressAllow = "localhost";
          })
          # The simulator keeps the paper account.
          (mkIf (keepsTables && cfg.database.engine == "sqlite" || name == "simulator") {
            StateDirectory = facts.stateOf name;
            StateDirectoryMode = "0700";
          })
        ];
      };
    };
in
{
  config = mkMerge (
    map mkService facts.names
    ++ [
      (mkIf cfg.enable {
        environment = {
          systemPackages = [ cfg.package ];
          # The tools (doctor, ask) find everything where this machine has it, and say what helps here.
          variables =
            lib.mapAttrs (_: toString) (lib.filterAttrs (name: port: port != facts.ports.${name}) cfg.ports)
            // {
              CRYPTO_TELEMETRY_UP = "journalctl --priority=warning --lines=50";
            }
            // lib.optionalAttrs (isOff != [ ]) { DOCTOR_SKIP = lib.concatStringsSep "," isOff; };
        };

        services.crypto-telemetry.services = mkMerge [
          # What is the same for all.
          (lib.genAttrs facts.names (_: {
            settings = {
              TELEMETRY_ENABLED = mkDefault cfg.telemetry.enable;
              TELEMETRY_OTLP_ENDPOINT = mkIf cfg.telemetry.enable (mkDefault cfg.telemetry.otlpEndpoint);
              TELEMETRY_SAMPLE_RATIO = mkIf cfg.telemetry.enable (mkDefault cfg.telemetry.sampleRatio);
              LOG_FORMAT = mkDefault "json";
            };
            credentials = mkIf (cfg.telemetry.headersFile != null) {
              TELEMETRY_OTLP_HEADERS = mkDefault cfg.telemetry.headersFile;
            };
          }))

          # Where each finds the others; a service that is off is named by nobody (assertions.nix asks whom instead).
          (lib.mapAttrs (_: calls: {
            settings = lib.mapAttrs (
              _: callee: mkIf cfg.services.${callee}.enable (mkDefault (urlOf callee))
            ) calls;
          }) facts.callsOf)
          (lib.genAttrs (lib.filter (name: facts.callsOf.${name} ? NEXT_SERVICE_URL) facts.names) (name: {
            settings.NEXT_SERVICE_NAME = mkDefault facts.callsOf.${name}.NEXT_SERVICE_URL;
          }))

          {
            # The end of the chain.
            audit-service.settings.NEXT_SERVICE_URL = mkDefault "none";

            # Addresses of the world are said even where they are the binary's own: see isLocal.
            market-data-service.settings = {
              BINANCE_REST_URL = outside "market-data-service" "BINANCE_REST_URL" simulatorUrl;
              BINANCE_WS_URL =
                outside "market-data-service" "BINANCE_WS_URL"
                  "ws://127.0.0.1:${toString (portOf "simulator")}";
            };

            decision-service = mkMerge [
              {
                settings = {
                  DECISION_STRATEGY = mkDefault (if cfg.llm.enable then "llm" else "technical");
                  LLM_BASE_URL = mkIf cfg.llm.enable (
                    mkDefault (if cfg.simulator.enable then simulatorUrl else cfg.llm.baseUrl)
                  );
                };
              }
              (mkIf (cfg.llm.apiKeyFile != null) { credentials.LLM_API_KEY = mkDefault cfg.llm.apiKeyFile; })
            ];

            order-service = mkMerge [
              {
                settings = {
                  TRADING_MODE = mkDefault cfg.trading.mode;
                  BINGX_API_URL = mkIf (cfg.trading.mode != "off") (
                    mkDefault (if cfg.trading.mode == "live" then cfg.trading.exchangeUrl else simulatorUrl)
                  );
                };
              }
              (mkIf (cfg.trading.mode == "live" && cfg.trading.apiKeyFile != null) {
                credentials.BINGX_API_KEY = mkDefault cfg.trading.apiKeyFile;
              })
              (mkIf (cfg.trading.mode == "live" && cfg.trading.secretKeyFile != null) {
                credentials.BINGX_SECRET_KEY = mkDefault cfg.trading.secretKeyFile;
              })
            ];

            # One of its examples orders by itself, which is for paper alone.
            pipeline-service.settings.PIPELINE_EXAMPLES_ORDERS =
              let
                inherit (cfg.services.order-service) enable settings;
              in
              mkDefault (enable && settings.TRADING_MODE == "paper" && settings.BINGX_API_URL == simulatorUrl);

            signal-service = mkMerge [
              (mkIf (cfg.signals.adminKeyFile != null) {
                credentials.SIGNAL_ADMIN_KEY = mkDefault cfg.signals.adminKeyFile;
              })
              # Addresses of senders come from the proxy in front, which is on this machine.
              (mkIf (cfg.web.domain != null) { settings.SIGNAL_TRUSTED_PROXIES = mkDefault [ "127.0.0.1" ]; })
            ];

            notifier-service = mkMerge [
              # A bot that nobody trades with still answers.
              (mkIf cfg.services.order-service.enable { settings.ORDER_URL = mkDefault (urlOf "order-service"); })
              (mkIf cfg.observability.tempo.enable {
                settings.TEMPO_URL = mkDefault "http://127.0.0.1:${toString cfg.ports.TEMPO_PORT}";
              })
              {
                settings = {
                  PUBLIC_URL = mkDefault (
                    if cfg.web.domain == null then urlOf "api-gateway" else "https://${cfg.web.domain}"
                  );
                };
              }
              (mkIf cfg.telegram.enable (mkMerge [
                {
                  settings.TELEGRAM_ALLOWED_USER_IDS = mkDefault (
                    # Nobody is named: the simulator's first user, and nobody of the real Telegram.
                    if cfg.simulator.enable && cfg.telegram.allowedUserIds == [ ] then
                      "1001"
                    else
                      text cfg.telegram.allowedUserIds
                  );
                  settings.TELEGRAM_API_URL = outside "notifier-service" "TELEGRAM_API_URL" simulatorUrl;
                }
                {
                  settings.TELEGRAM_TRADER_USER_IDS = mkDefault (text cfg.telegram.traderUserIds);
                  settings.TELEGRAM_ADMIN_USER_IDS = mkDefault (
                    # Nobody is named at all: the simulator's first user, again.
                    if
                      cfg.simulator.enable
                      && cfg.telegram.allowedUserIds ++ cfg.telegram.traderUserIds ++ cfg.telegram.adminUserIds == [ ]
                    then
                      "1001"
                    else
                      text cfg.telegram.adminUserIds
                  );
                }
                (mkIf (cfg.telegram.botTokenFile != null) {
                  credentials.TELEGRAM_BOT_TOKEN = mkDefault cfg.telegram.botTokenFile;
                })
                # Of no value: the simulated bot's, where no file with another is given.
                (mkIf (cfg.simulator.enable && cfg.telegram.botTokenFile == null) {
                  environment.TELEGRAM_BOT_TOKEN = mkDefault facts.simulatedBotToken;
                })
                (mkIf (cfg.telegram.webhookSecretFile != null) {
                  settings.TELEGRAM_MODE = mkDefault "webhook";
                  settings.TELEGRAM_WEBHOOK_URL = mkIf (cfg.web.domain != null) (
                    mkDefault "https://${cfg.web.domain}/telegram/webhook"
                  );
                  credentials.TELEGRAM_WEBHOOK_SECRET = mkDefault cfg.telegram.webhookSecretFile;
                })
              ]))
            ];

            # It stands in for those who know these secrets.
            simulator = mkMerge [
              {
                settings.SIMULATOR_DATA_DIR = mkDefault "/var/lib/${facts.unitOf "simulator"}";
              }
              # Paper orders are filled at the price that everybody else sees.
              (mkIf cfg.services.market-data-service.enable {
                settings.SIMULATOR_BINGX_PRICE_URL = mkDefault (urlOf "market-data-service");
              })
              (mkIf (cfg.telegram.botTokenFile == null) {
                environment.TELEGRAM_BOT_TOKEN = mkDefault facts.simulatedBotToken;
              })
              (mkIf (cfg.telegram.botTokenFile != null) {
                credentials.TELEGRAM_BOT_TOKEN = mkDefault cfg.telegram.botTokenFile;
              })
              (mkIf (cfg.llm.apiKeyFile != null) { credentials.LLM_API_KEY = mkDefault cfg.llm.apiKeyFile; })
            ];

            api-gateway = mkMerge [
              (mkIf (cfg.apiKeysFile != null) { credentials.API_KEYS = mkDefault cfg.apiKeysFile; })
              (mkIf cfg.observability.tempo.enable {
                settings.TEMPO_URL = mkDefault "http://127.0.0.1:${toString cfg.ports.TEMPO_PORT}";
              })
              (mkIf cfg.observability.loki.enable {
                settings.LOKI_URL = mkDefault "http://127.0.0.1:${toString cfg.ports.LOKI_PORT}";
              })
              # Addresses of clients come from the proxy in front, which is on this machine.
              (mkIf (cfg.web.domain != null) { settings.TRUSTED_PROXIES = mkDefault [ "127.0.0.1" ]; })
            ];
          }

          (lib.genAttrs (lib.filter (name: facts.settingsOf name ? TRACE_PERSONAL_DATA) facts.names) (_: {
            settings.TRACE_PERSONAL_DATA = mkDefault cfg.telemetry.personalData;
          }))
        ];
      })
    ]
  );
}
