# What an operator says. What it comes to is in the files beside this one.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkEnableOption mkOption types;
  facts = import ./facts.nix { inherit lib; };
  cfg = config.services.crypto-telemetry;

  secretFile =
    description:
    mkOption {
      type = types.nullOr (types.strMatching "/.*");
      default = null;
      example = "/run/keys/secret";
      description = ''
        ${description} A path on the machine, outside the store; systemd hands the file to the service
        (LoadCredential), so that only root needs to be able to read it. Restart the service after a change.
      '';
    };

  # A value as the variable wants it. Numbers are taken where a setting is read as text, too (prices, lists).
  valueType =
    described:
    {
      boolean = types.bool;
      integer = types.int;
      number = types.either types.int types.float;
      path = types.str;
      list = types.either types.str (
        types.listOf (
          types.oneOf [
            types.str
            types.int
          ]
        )
      );
      "one of" = types.enum described.values;
      string = types.oneOf [
        types.str
        types.int
        types.float
      ];
    }
    .${described.type};

  settingOption =
    name: described:
    mkOption {
      type = types.nullOr (valueType described);
      default = null;
      description = "${described.help} (`${name}`${
        lib.optionalString (described ? default) ", ${described.default} where nothing is said"
      })";
    };

  serviceOptions = name: {
    options = {
      enable = mkOption {
        type = types.bool;
        # Paper orders are the simulated exchange's, wherever prices and people are.
        default =
          if name == "simulator" then
            cfg.simulator.enable || (cfg.trading.mode == "paper" && cfg.services.order-service.enable)
          else
            true;
        defaultText =
          if name == "simulator" then "where it stands in for anything, paper trading included" else true;
        description = "Whether to run ${name}: ${facts.aboutOf name}.";
      };
      settings = mkOption {
        type = types.submodule { options = lib.mapAttrs settingOption (facts.settingsOf name); };
        default = { };
        description = ''
          Its settings, by the names of their variables, as `crypto-telemetry ${name} --help` lists them. A name or a
          value that the service would refuse is refused here.
        '';
      };
      environment = mkOption {
        type = types.attrsOf types.str;
        default = { };
        example = {
          OTEL_RESOURCE_ATTRIBUTES = "team=trading";
        };
        description = "Further variables, which are no settings of its own.";
      };
      credentials = mkOption {
        type = types.attrsOf types.str;
        default = { };
        example = lib.genAttrs (facts.secretsOf name) (secret: "/run/keys/${lib.toLower secret}");
        description = ''
          Files with its secrets, by the name of the secret: ${lib.concatStringsSep ", " (facts.secretsOf name)}. LoadCredential hands them to the service, which gets only the path.
        '';
      };
    };
  };
in
{
  options.services.crypto-telemetry = {
    enable = mkEnableOption "crypto-telemetry, a trading-signal platform that can be watched from end to end";

    package = mkOption {
      type = types.package;
      description = "The package with the `crypto-telemetry` binary.";
    };

    environment = mkOption {
      type = types.str;
      default = "production";
      description = "What telemetry calls this deployment (`deployment.environment`).";
    };

    ports = lib.mapAttrs (
      name: default:
      mkOption {
        type = types.port;
        inherit default;
        description = "`${name}`, as everywhere in crypto-telemetry.";
      }
    ) facts.ports;

    services = lib.genAttrs facts.names (
      name:
      mkOption {
        type = types.submodule (serviceOptions name);
        default = { };
        description = "${name}: ${facts.aboutOf name}.";
      }
    );

    simulator.enable = mkEnableOption ''
      the simulator, which stands in for Binance, BingX, Telegram and the language model in their own wire formats: everything
      works, with recorded prices and without any account
    '';

    telegram = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether notifier-service runs the Telegram bot. Without it `POST /v1/ask` still answers.";
      };
      botTokenFile = secretFile "The bot's token, as BotFather gave it.";
      allowedUserIds = mkOption {
        type = types.listOf types.ints.positive;
        default = [ ];
        example = [ 123456789 ];
        description = "Telegram user ids that the bot answers; whoever else writes is told their id.";
      };
      traderUserIds = mkOption {
        type = types.listOf types.ints.positive;
        default = [ ];
        example = [ 123456789 ];
        description = "Of them or besides them, those who may confirm orders, and pause and stop trading.";
      };
      adminUserIds = mkOption {
        type = types.listOf types.ints.positive;
        default = [ ];
        example = [ 123456789 ];
        description = "Those who may do all that, and resume trading.";
      };
      webhookSecretFile = secretFile ''
        With it Telegram calls https://''${web.domain}/telegram/webhook instead of being asked; the secret that it sends
        with each call (1 to 256 of A-Z a-z 0-9 _ -).
      '';
    };

    llm = {
      enable = mkEnableOption "decisions by a language model, with the technical strategy behind it";
      apiKeyFile = secretFile "The key of an OpenAI-compatible API.";
      baseUrl = mkOption {
        type = types.str;
        default = "https://api.openai.com";
        description = "Its base URL.";
      };
    };

    trading = {
      mode = mkOption {
        type = types.enum [
          "off"
          "paper"
          "live"
        ];
        default = "paper";
        description = ''
          What becomes of signals: orders of no money at the simulated exchange, filled at the price of the moment;
          orders at BingX, which somebody has to confirm in Telegram where nothing else is said; or nothing.
        '';
      };
      exchangeUrl = mkOption {
        type = types.strMatching "https://.+";
        default = "https://open-api.bingx.com";
        description = "With `live`: base URL of the exchange.";
      };
      apiKeyFile = secretFile "With `live`: the API key of BingX.";
      secretKeyFile = secretFile "With `live`: the secret key that belongs to it.";
    };

    signals.adminKeyFile = secretFile ''
      A key with which hooks can be made and revoked from elsewhere (`X-API-Key`). Without it that is done on this machine
      only: `crypto-telemetry hooks`.
    '';

    apiKeysFile = secretFile ''
      Keys of the gateway's clients: the lines that `crypto-telemetry api-key NAME` prints. Without it no key is asked
      for, which the gateway allows on loopback only.
    '';

    database = {
      engine = mkOption {
        type = types.enum [
          "sqlite"
          "postgresql"
        ];
        default = "sqlite";
        description = "SQLite, a file a service in its state folder, or PostgreSQL.";
      };
      createLocally = mkOption {
        type = types.bool;
        default = true;
        description = ''
          With `postgresql`: run a PostgreSQL on this machine, with a role and a database for each service (one for the
          three of pipelines), reached over its socket as the service's own user, so that there is no password at all.
        '';
      };
      urlFile = secretFile ''
        With `postgresql` that is not created locally: its URL, postgres://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full
        (a schema a service in it).
      '';
    };

    bus = {
      url = mkOption {
        type = types.nullOr (types.strMatching "(kafka|postgres|postgresql)://.+");
        default = null;
        example = "kafka://kafka-1.example.com:9092,kafka-2.example.com:9092";
        description = ''
          The bus, on which signals travel to pipelines: Kafka, or a PostgreSQL. No password in it. Without this and
          `urlFile` it is a log in a database: a file that its users share, or a database of its own in the PostgreSQL of
          this machine, or the schema `bus` in the one elsewhere that `database.urlFile` names.
        '';
      };
      urlFile = secretFile "The URL of the bus, where a password is in it.";
      kafka = {
        securityProtocol = mkOption {
          type = types.nullOr (
            types.enum (facts.valuesOf (lib.head facts.withBus) "BUS_KAFKA_SECURITY_PROTOCOL")
          );
          default = null;
          example = "sasl_ssl";
          description = "How connections to Kafka are secured; plaintext where nothing is said.";
        };
        saslMechanism = mkOption {
          type = types.nullOr (
            types.enum (facts.valuesOf (lib.head facts.withBus) "BUS_KAFKA_SASL_MECHANISM")
          );
          default = null;
          description = "How one signs in, with the sasl_ protocols; SCRAM-SHA-512 where nothing is said.";
        };
        username = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "Kafka's user, with the sasl_ protocols.";
        };
        passwordFile = secretFile "That user's password.";
        caFile = mkOption {
          type = types.nullOr types.path;
          default = null;
          description = "Certificates (PEM) that Kafka's are checked against; those of the system where nothing is said.";
        };
      };
    };

    cache = {
      enable = mkEnableOption ''
        a cache that services share (Redis or Valkey, as `services.redis.package` says), on this machine and reached over
        its socket by those services alone. What is lost with it is asked for again
      '';
      url = mkOption {
        type = types.nullOr (types.strMatching "(redis|rediss|unix)://.+");
        default = null;
        example = "rediss://cache.example.com";
        description = "A Redis or Valkey elsewhere. No password in it.";
      };
      urlFile = secretFile "Its URL, where a password is in it: rediss://USER:PASSWORD@HOST.";
      caFile = mkOption {
        type = types.nullOr types.path;
        default = null;
        description = "Certificates (PEM) that its are checked against, with rediss://; Mozilla's where nothing is said.";
      };
    };

    telemetry = {
      enable = mkOption {
        type = types.bool;
        default = cfg.observability.enable;
        defaultText = lib.literalExpression "config.services.crypto-telemetry.observability.enable";
        description = "Whether the services send traces, metrics and logs.";
      };
      otlpEndpoint = mkOption {
        type = types.strMatching "https?://.+";
        default = "http://127.0.0.1:${toString cfg.ports.OTELCOL_GRPC_PORT}";
        defaultText = "the Collector of this machine";
        example = "https://collector.example.com:4317";
        description = "Where to send them; every OTLP receiver will do.";
      };
      headersFile = secretFile "Headers for every export, a JSON object of strings: how managed backends are logged in to.";
      sampleRatio = mkOption {
        type = types.numbers.between 0 1;
        default = 1;
        description = "Share of new traces that is kept.";
      };
      personalData = mkOption {
        type = types.bool;
        default = false;
        description = "Whether users' names and e-mail addresses are on spans, beside their ids.";
      };
    };

    web = {
      domain = mkOption {
        type = types.nullOr (types.strMatching "[a-zA-Z0-9.-]+");
        default = null;
        example = "crypto.example.com";
        description = ''
          Name under which the page, the API, Telegram's webhook and TradingView's are reached from outside, through TLS with a
          certificate of Let's Encrypt. Without it everything stays on loopback.
        '';
      };
      grafanaDomain = mkOption {
        type = types.nullOr (types.strMatching "[a-zA-Z0-9.-]+");
        default = null;
        example = "grafana.example.com";
        description = "Name under which Grafana is reached from outside, through TLS.";
      };
      proxy = mkOption {
        type = types.enum [
          "caddy"
          "nginx"
        ];
        default = "caddy";
        description = "Who ends TLS: Caddy, which gets certificates itself, or nginx with NixOS's ACME client.";
      };
      acmeEmail = mkOption {
        type = types.nullOr types.str;
        default = null;
        description = "Where Let's Encrypt writes to when a certificate runs out; nginx needs it.";
      };
      openFirewall = mkOption {
        type = types.bool;
        default = cfg.web.domain != null || cfg.web.grafanaDomain != null;
        defaultText = "true where a domain is set";
        description = "Whether ports 80 and 443 are opened. No other port ever is.";
      };
    };
  };
}
