# Machines that must evaluate, and mistakes that must be refused with a sentence.
{ lib }:
let
  # What the smallest deployment says: a real bot, everything else as it comes.
  bot = {
    enable = true;
    telegram = {
      botTokenFile = "/run/keys/bot-token";
      allowedUserIds = [ 123456789 ];
    };
  };
  offline = {
    enable = true;
    simulator.enable = true;
  };
  keys = {
    apiKeysFile = "/run/keys/api-keys";
    telegram.botTokenFile = "/run/keys/bot-token";
  };
  with' = lib.recursiveUpdate;
  crypto = value: { services.crypto-telemetry = value; };
in
{
  machines = {
    # As docs/NIXOS.md has it.
    smallest = crypto bot;
    watched = crypto (with' bot { observability.enable = true; });
    everything = crypto (
      with' bot {
        observability = {
          enable = true;
          retention = {
            metricsDays = 30;
            metricsSizeGB = 20;
            tracesDays = 3;
            logsDays = 14;
          };
          prometheus.remoteWrite = {
            url = "https://mimir.example.com/api/v1/push";
            username = "crypto";
            passwordFile = "/run/keys/mimir";
          };
          grafana = {
            adminPasswordFile = "/run/keys/grafana-admin";
            oauth = {
              enable = true;
              clientId = "grafana";
              clientSecretFile = "/run/keys/grafana-oauth";
              authUrl = "https://id.example.com/authorize";
              tokenUrl = "https://id.example.com/token";
              apiUrl = "https://id.example.com/userinfo";
              allowedDomains = [ "example.com" ];
            };
            ldap.configFile = "/run/keys/ldap.toml";
          };
          s3 = {
            endpoint = "s3.example.com";
            region = "eu-central-1";
            tracesBucket = "crypto-traces";
            logsBucket = "crypto-logs";
            environmentFile = "/run/keys/s3";
          };
          alertmanager.receivers.platform = {
            email = {
              to = "ops@example.com";
              from = "alerts@example.com";
              smarthost = "mail.example.com:587";
              username = "alerts";
              passwordFile = "/run/keys/smtp";
            };
            opsgenie.apiKeyFile = "/run/keys/opsgenie";
            pagerduty.routingKeyFile = "/run/keys/pagerduty";
            slack = {
              apiUrlFile = "/run/keys/slack";
              channel = "#alerts";
            };
            telegram = {
              chatId = -1001234567890;
              botTokenFile = "/run/keys/bot-token";
            };
            webhook.urlFile = "/run/keys/webhook";
          };
          alertmanager.receivers.escalation.pagerduty.routingKeyFile = "/run/keys/pagerduty-second";
          alertmanager.trading.url = "http://127.0.0.1:5002/v1/trading/alerts";
        };
        trading = {
          mode = "live";
          apiKeyFile = "/run/keys/bingx-api-key";
          secretKeyFile = "/run/keys/bingx-secret-key";
        };
        signals.adminKeyFile = "/run/keys/signal-admin-key";
        telegram.traderUserIds = [ 123456789 ];
        telegram.adminUserIds = [ 987654321 ];
        telegram.webhookSecretFile = "/run/keys/webhook-secret";
        apiKeysFile = "/run/keys/api-keys";
        llm = {
          enable = true;
          apiKeyFile = "/run/keys/llm";
        };
        database.engine = "postgresql";
        web = {
          domain = "crypto.example.com";
          grafanaDomain = "grafana.example.com";
        };
        services = {
          api-gateway.settings = {
            RATE_LIMIT_PER_SECOND = 20;
            CORS_ALLOWED_ORIGINS = [ "https://app.example.com" ];
          };
          market-data-service.settings.MARKET_DATA_SYMBOLS = [
            "BTCUSDT"
            "ETHUSDT"
          ];
          decision-service.settings.LLM_DAILY_BUDGET_USD = 0.5;
          order-service.environment.OTEL_RESOURCE_ATTRIBUTES = "team=trading";
        };
      }
    );
    nginx = crypto (
      with' bot {
        observability.enable = true;
        apiKeysFile = "/run/keys/api-keys";
        web = {
          domain = "crypto.example.com";
          grafanaDomain = "grafana.example.com";
          proxy = "nginx";
          acmeEmail = "ops@example.com";
        };
      }
    );
    # These are started for real by scripts/boot-units.sh.
    offline-watched = crypto (with' offline (keys // { observability.enable = true; }));
    offline-sqlite = crypto (with' offline keys);
    offline-postgresql = crypto (with' offline (keys // { database.engine = "postgresql"; }));
    offline-cache = crypto (with' offline (keys // { cache.enable = true; }));
    # Several machines: tables, bus and cache are elsewhere, and so are other services.
    bus-elsewhere = crypto (
      with' bot {
        database = {
          engine = "postgresql";
          createLocally = false;
          urlFile = "/run/keys/database-url";
        };
        bus = {
          url = "kafka://127.0.0.1:9092,kafka-2.example.com:9092";
          kafka = {
            securityProtocol = "sasl_ssl";
            username = "crypto";
            passwordFile = "/run/keys/kafka";
            caFile = "/etc/ssl/kafka.pem";
          };
        };
        cache = {
          urlFile = "/run/keys/redis-url";
          caFile = "/etc/ssl/redis.pem";
        };
      }
    );
    # Local tables, Kafka on the same machine, a cache without a password in the next room.
    kafka-here = crypto (
      with' bot {
        bus.url = "kafka://127.0.0.1:9092,localhost:9093";
        cache.url = "rediss://cache.example.com:6380/1";
      }
    );
    # A further machine that works on pipelines, as docs/NIXOS.md has it.
    worker = crypto {
      enable = true;
      telegram.enable = false;
      trading.mode = "off";
      database = {
        engine = "postgresql";
        createLocally = false;
        urlFile = "/run/keys/database-url";
      };
      services =
        lib.genAttrs
          [
            "api-gateway"
            "user-service"
            "order-service"
            "audit-service"
            "market-data-service"
            "decision-service"
            "notifier-service"
            "signal-service"
            "signal-generator"
            "pipeline-service"
          ]
          (_: {
            enable = false;
          })
        // {
          pipeline-worker.settings = {
            MARKET_DATA_URL = "http://10.0.0.5:8081";
            DECISION_URL = "http://10.0.0.5:8082";
            ORDER_URL = "http://10.0.0.5:5002";
            NOTIFIER_URL = "http://10.0.0.5:9000";
          };
        };
    };
    database-elsewhere = crypto (
      with' bot {
        database = {
          engine = "postgresql";
          createLocally = false;
          urlFile = "/run/keys/database-url";
        };
      }
    );
    telemetry-elsewhere = crypto (
      with' bot {
        telemetry = {
          enable = true;
          otlpEndpoint = "https://collector.example.com:4317";
          headersFile = "/run/keys/otlp-headers";
          sampleRatio = 0.1;
        };
      }
    );
    # The backends of a machine that the services of others send to.
    backends-only = crypto {
      enable = true;
      observability = {
        enable = true;
        collector.otlpHost = "10.0.0.5";
      };
      services =
        lib.genAttrs
          [
            "api-gateway"
            "user-service"
            "order-service"
            "audit-service"
            "market-data-service"
            "decision-service"
            "notifier-service"
            "pipeline-service"
            "pipeline-worker"
            "signal-generator"
            "signal-service"
            "trigger-dispatcher"
          ]
          (_: {
            enable = false;
          });
    };
    # The bot alone, without the chain and the gateway.
    single-services-off = crypto (
      with' bot {
        services = {
          api-gateway.enable = false;
          user-service.enable = false;
          order-service.enable = false;
          audit-service.enable = false;
          signal-service.enable = false;
          signal-generator.enable = false;
          pipeline-service.enable = false;
          pipeline-worker.enable = false;
          trigger-dispatcher.enable = false;
        };
      }
    );
    no-bot = crypto {
      enable = true;
      telegram.enable = false;
      services.order-service.settings.NEXT_SERVICE_URL = "https://audit.example.com";
      services.order-service.settings.AUDIT_URL = "https://audit.example.com";
      services.audit-service.enable = false;
      services.api-gateway.settings.AUDIT_URL = "https://audit.example.com";
    };
    other-ports = crypto (
      with' offline {
        observability.enable = true;
        ports = {
          GATEWAY_PORT = 18080;
          PROMETHEUS_PORT = 19090;
          # Swapped: replaced one after the other, one would become the other.
          TEMPO_PORT = 3100;
          LOKI_PORT = 3200;
        };
      }
    );
    # Parts of the stack off, and values that are easily mangled.
    parts-off = crypto (
      with' bot {
        observability = {
          enable = true;
          alertmanager.enable = false;
          tempo.enable = false;
          grafana.enable = false;
        };
        telemetry.sampleRatio = 0.0000001;
        services.user-service.environment.DATABASE_URL = "postgresql://me@%2Frun%2Fpostgresql/x";
        services.order-service.environment.DATABASE_URL = "postgresql://me@db.example.com/x";
      }
    );
    off = crypto { enable = false; };
  };

  # What is wrong, and what of the answer must be there.
  mistakes = {
    no-token = {
      machine = crypto { enable = true; };
      says = "services.crypto-telemetry.telegram.botTokenFile is not set, and without a token there is no bot";
    };
    secret-in-the-store = {
      machine = crypto (with' bot { telegram.botTokenFile = "${./cases.nix}"; });
      says = "what is in the Nix store can be read by everybody";
    };
    secret-in-the-environment = {
      machine = crypto (
        with' bot { services.notifier-service.environment.TELEGRAM_BOT_TOKEN = "123:abc"; }
      );
      says = "services.crypto-telemetry.services.notifier-service.environment.TELEGRAM_BOT_TOKEN is a secret";
    };
    password-in-the-url = {
      machine = crypto (
        with' bot { services.user-service.environment.DATABASE_URL = "postgres://me:secret@db/x"; }
      );
      says = "services.crypto-telemetry.services.user-service.environment.DATABASE_URL is a secret";
    };
    secret-of-another-service = {
      machine = crypto (with' bot { services.audit-service.credentials.LLM_API_KEY = "/run/keys/llm"; });
      says = "audit-service takes no such secret; it takes DATABASE_URL, TELEMETRY_OTLP_HEADERS";
    };
    setting-in-the-environment = {
      machine = crypto (with' bot { services.api-gateway.environment.RATE_LIMIT_PER_SECOND = "5"; });
      says = "say it in services.crypto-telemetry.services.api-gateway.settings.RATE_LIMIT_PER_SECOND";
    };
    unknown-setting = {
      machine = crypto (with' bot { services.api-gateway.settings.RATE_LIMIT = 5; });
      says = "services.crypto-telemetry.services.api-gateway.settings.RATE_LIMIT' does not exist";
    };
    wrong-type = {
      machine = crypto (with' bot { services.api-gateway.settings.RATE_LIMIT_PER_SECOND = "many"; });
      says = "services.crypto-telemetry.services.api-gateway.settings.RATE_LIMIT_PER_SECOND' is not of type";
    };
    unknown-service = {
      machine = crypto (with' bot { services.trading-service.enable = true; });
      says = "services.crypto-telemetry.services.trading-service' does not exist";
    };
    live-without-keys = {
      machine = crypto (with' bot { trading.mode = "live"; });
      says = "services.crypto-telemetry.trading.mode is live, and that needs";
    };
    keys-for-paper = {
      machine = crypto (with' bot { trading.apiKeyFile = "/run/keys/bingx-api-key"; });
      says = "with \"paper\" nobody would read them";
    };
    paper-without-exchange = {
      machine = crypto (with' bot { services.simulator.enable = false; });
      says = "whose exchange fills paper orders, is off";
    };
    exchange-key-in-the-store = {
      machine = crypto (
        with' bot {
          trading = {
            mode = "live";
            apiKeyFile = "${./cases.nix}";
            secretKeyFile = "/run/keys/bingx-secret-key";
          };
        }
      );
      says = "what is in the Nix store can be read by everybody";
    };
    called-service-off = {
      machine = crypto (with' bot { services.audit-service.enable = false; });
      says = "order-service calls audit-service, which is off";
    };
    port-twice = {
      machine = crypto (with' bot { ports.USER_PORT = 5002; });
      says = "ORDER_PORT and USER_PORT are both 5002";
    };
    open-without-keys = {
      machine = crypto (with' bot { web.domain = "crypto.example.com"; });
      says = "nobody would be asked for a key";
    };
    nginx-without-address = {
      machine = crypto (
        with' bot {
          apiKeysFile = "/run/keys/api-keys";
          web = {
            domain = "crypto.example.com";
            proxy = "nginx";
          };
        }
      );
      says = "services.crypto-telemetry.web.acmeEmail is not set";
    };
    one-name-for-two = {
      machine = crypto (
        with' bot {
          apiKeysFile = "/run/keys/api-keys";
          observability.enable = true;
          web = {
            domain = "crypto.example.com";
            grafanaDomain = "crypto.example.com";
          };
        }
      );
      says = "Grafana needs a name of its own";
    };
    webhook-without-name = {
      machine = crypto (with' bot { telegram.webhookSecretFile = "/run/keys/webhook-secret"; });
      says = "does not say under which name";
    };
    model-without-key = {
      machine = crypto (with' bot { llm.enable = true; });
      says = "services.crypto-telemetry.llm.apiKeyFile";
    };
    database-nowhere = {
      machine = crypto (
        with' bot {
          database = {
            engine = "postgresql";
            createLocally = false;
          };
        }
      );
      says = "services.crypto-telemetry.database.urlFile does not say where";
    };
    database-url-unread = {
      machine = crypto (with' bot { database.urlFile = "/run/keys/database-url"; });
      says = "nobody would read it";
    };
    bus-nowhere = {
      machine = crypto (
        with' bot {
          database = {
            engine = "postgresql";
            createLocally = false;
          };
          services =
            lib.genAttrs
              [
                "user-service"
                "order-service"
                "audit-service"
                "notifier-service"
                "signal-service"
                "signal-generator"
                "pipeline-service"
                "pipeline-worker"
                "trigger-dispatcher"
              ]
              (_: {
                credentials.DATABASE_URL = "/run/keys/database-url";
              });
        }
      );
      says = "signal-generator has no bus";
    };
    password-of-the-bus = {
      machine = crypto (with' bot { bus.url = "postgres://me:secret@db.example.com/bus"; });
      says = "services.crypto-telemetry.bus.url holds a password";
    };
    password-of-the-cache = {
      machine = crypto (with' bot { cache.url = "redis://:secret@cache.example.com"; });
      says = "services.crypto-telemetry.cache.url holds a password";
    };
    bus-of-no-kind = {
      machine = crypto (with' bot { bus.url = "amqp://broker.example.com"; });
      says = "services.crypto-telemetry.bus.url' is not of type";
    };
    two-buses = {
      machine = crypto (
        with' bot {
          bus = {
            url = "kafka://kafka.example.com:9092";
            urlFile = "/run/keys/bus-url";
          };
        }
      );
      says = "services.crypto-telemetry.bus.url and bus.urlFile are both set";
    };
    kafka-without-password = {
      machine = crypto (
        with' bot {
          bus.url = "kafka://kafka.example.com:9092";
          bus.kafka.username = "crypto";
        }
      );
      says = "services.crypto-telemetry.bus.kafka: username and passwordFile go together";
    };
    kafka-nobody-speaks-to = {
      machine = crypto (with' bot { bus.kafka.securityProtocol = "ssl"; });
      says = "does not name a Kafka";
    };
    kafka-password-in-the-store = {
      machine = crypto (
        with' bot {
          bus.url = "kafka://kafka.example.com:9092";
          bus.kafka = {
            username = "crypto";
            passwordFile = "${./cases.nix}";
          };
        }
      );
      says = "services.crypto-telemetry.bus.kafka.passwordFile is ";
    };
    two-caches = {
      machine = crypto (
        with' bot {
          cache = {
            enable = true;
            url = "redis://cache.example.com";
          };
        }
      );
      says = "services.crypto-telemetry.cache.enable runs a cache on this machine";
    };
    certificates-of-no-cache = {
      machine = crypto (
        with' bot {
          cache = {
            enable = true;
            caFile = "/etc/ssl/redis.pem";
          };
        }
      );
      says = "services.crypto-telemetry.cache.caFile is for a cache elsewhere";
    };
    worker-on-nobodys-tables = {
      machine = crypto (with' bot { services.pipeline-service.enable = false; });
      says = "pipeline-worker works in the database of pipeline-service, which is off here";
    };
    worker-without-orders = {
      machine = crypto (
        with' bot {
          services.order-service.enable = false;
          services.signal-service.enable = false;
          services.user-service.enable = false;
          services.audit-service.enable = false;
          services.api-gateway.enable = false;
        }
      );
      says = "pipeline-worker calls order-service, which is off";
    };
    half-of-remote-write = {
      machine = crypto (
        with' bot {
          observability.enable = true;
          observability.prometheus.remoteWrite = {
            url = "https://mimir.example.com/api/v1/push";
            username = "crypto";
          };
        }
      );
      says = "username and passwordFile go together";
    };
    oauth-unfinished = {
      machine = crypto (
        with' bot {
          observability.enable = true;
          observability.grafana.oauth.enable = true;
        }
      );
      says = "services.crypto-telemetry.observability.grafana.oauth.clientId is not set";
    };
    bucket-missing = {
      machine = crypto (
        with' bot {
          observability.enable = true;
          observability.s3 = {
            endpoint = "s3.example.com";
            tracesBucket = "traces";
          };
        }
      );
      says = "services.crypto-telemetry.observability.s3.logsBucket is not set";
    };
    model-without-address = {
      machine = crypto (with' bot { services.decision-service.settings.DECISION_STRATEGY = "llm"; });
      says = "nobody says which model";
    };
    password-as-a-parameter = {
      machine = crypto (
        with' bot {
          services.user-service.environment.DATABASE_URL = "postgres://db/x?user=me&password=secret";
        }
      );
      says = "services.crypto-telemetry.services.user-service.environment.DATABASE_URL is a secret";
    };
    port-of-one-alone = {
      machine = crypto (with' bot { services.user-service.environment.PORT = "7777"; });
      says = "say it in services.crypto-telemetry.ports.USER_PORT";
    };
    file-nobody-reads = {
      machine = crypto (
        with' bot { services.decision-service.environment.LLM_API_KEY_FILE = "/root/key"; }
      );
      says = "put its path into services.crypto-telemetry.services.decision-service.credentials.LLM_API_KEY";
    };
    relative-secret = {
      machine = crypto (with' bot { apiKeysFile = "keys"; });
      says = "services.crypto-telemetry.apiKeysFile' is not of type";
    };
    url-for-a-name = {
      machine = crypto (with' bot { web.domain = "https://crypto.example.com"; });
      says = "services.crypto-telemetry.web.domain' is not of type";
    };
    collector-without-scheme = {
      machine = crypto (
        with' bot {
          telemetry = {
            enable = true;
            otlpEndpoint = "collector:4317";
          };
        }
      );
      says = "services.crypto-telemetry.telemetry.otlpEndpoint' is not of type";
    };
    store-without-endpoint = {
      machine = crypto (
        with' bot {
          observability.enable = true;
          observability.s3.tracesBucket = "traces";
        }
      );
      says = "services.crypto-telemetry.observability.s3.endpoint is not set";
    };
    half-a-receiver = {
      machine = crypto (
        with' bot {
          observability.enable = true;
          observability.alertmanager.receivers.platform.telegram.chatId = 5;
        }
      );
      says = "telegram wants chatId and botTokenFile";
    };
  };
}
