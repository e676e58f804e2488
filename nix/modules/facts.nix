# What the binary says of itself (`crypto-telemetry settings-doc`), and the little that it cannot know: how the services
# belong together. Plain data and functions on it; nothing here is an option.
{ lib }:
let
  document = lib.importJSON ./settings.json;

  # A secret comes as a file. Settings that name one (X_FILE) are made from credentials, never written by hand, and the
  # secret itself (X) is not to be set at all: whatever a unit's environment holds can be read in the store by everybody.
  isFile = name: lib.hasSuffix "_FILE" name;
in
rec {
  inherit (document) services;
  names = lib.attrNames services;

  # "Service, port 8082: Buy, Sell or Hold" without what the unit says anyway.
  aboutOf =
    name:
    let
      inherit (services.${name}) about;
      parts = builtins.match "Service, port [0-9]+: (.*)" about;
    in
    if parts == null then about else lib.head parts;

  # What a setting is where nobody says anything.
  defaultOf = name: setting: services.${name}.settings.${setting}.default;

  # What one of a fixed set of values may be.
  valuesOf = name: setting: services.${name}.settings.${setting}.values;

  # Every port of the stack by the name of its variable, with its default.
  ports = lib.mapAttrs (_: port: port.default) document.ports;

  # API_KEYS, DATABASE_URL, LLM_API_KEY …: what a service takes as a file.
  secretsOf =
    name: map (lib.removeSuffix "_FILE") (lib.filter isFile (lib.attrNames services.${name}.settings));

  # The settings that a person writes: all but secrets, and PORT, which `ports` says for everybody at once.
  settingsOf =
    name:
    lib.filterAttrs (
      setting: described: !(isFile setting || described.secret or false || setting == "PORT")
    ) services.${name}.settings;

  # What simulator and notifier-service agree on where nobody gives a token, as in process-compose.yaml: it opens nothing.
  simulatedBotToken = "424242:simulator-token";

  secrets = lib.unique (lib.concatMap secretsOf names);

  # Certificates are files, too, and a service's user reads nothing of the machine's; but anybody may see them.
  publicFiles = [
    "BUS_KAFKA_CA"
    "REDIS_CA"
  ];

  # URLs that are secrets when a password is in them, and may be seen when none is.
  urls = [
    "BUS_URL"
    "DATABASE_URL"
    "REDIS_URL"
  ];
  # A password between the user and the host of a URL, or among its parameters.
  hasPassword =
    url:
    builtins.match "[a-z+]+://[^/]*:[^/]*@.*" url != null
    || lib.hasInfix "password=" url
    || builtins.match ".*[?&]pass=.*" url != null;

  # Who keeps tables, who sends or reads on the bus, who has a use for the shared cache.
  taking = secret: lib.filter (name: lib.elem secret (secretsOf name)) names;
  withDatabase = taking "DATABASE_URL";
  withBus = taking "BUS_URL";
  withCache = taking "REDIS_URL";

  # In whose database a service keeps its tables: three do one work on the same ones. They share a user, too, and with it
  # the folder or the role that the tables belong to.
  tablesOf =
    name:
    {
      pipeline-worker = "pipeline-service";
      trigger-dispatcher = "pipeline-service";
    }
    .${name} or name;

  # crypto-telemetry-user and so on: a user name has 31 characters at most.
  userOf =
    name:
    let
      owner = tablesOf name;
    in
    "crypto-telemetry-${
      { signal-generator = "generator"; }.${owner} or (lib.removeSuffix "-service" owner)
    }";
  unitOf = name: "crypto-telemetry-${name}";

  # A service's folder in /var/lib, and a file a service in it.
  stateOf = name: unitOf (tablesOf name);
  sqliteUrlOf = name: "sqlite:///var/lib/${stateOf name}/";
  # A role and its database of PostgreSQL on this machine, by the socket.
  postgresUrlOf = role: "postgres://${role}@localhost/${role}?host=/run/postgresql";

  # Group, role and database of the bus, where that is a log in a database of this machine.
  bus = "crypto-telemetry-bus";

  # Whom a service calls, with the variable that has the address.
  callsOf = {
    api-gateway = {
      NEXT_SERVICE_URL = "user-service";
      USER_URL = "user-service";
      ORDER_URL = "order-service";
      AUDIT_URL = "audit-service";
      NOTIFIER_URL = "notifier-service";
      MARKET_DATA_URL = "market-data-service";
      DECISION_URL = "decision-service";
    };
    user-service.NEXT_SERVICE_URL = "order-service";
    order-service = {
      NEXT_SERVICE_URL = "audit-service";
      AUDIT_URL = "audit-service";
      MARKET_DATA_URL = "market-data-service";
      NOTIFIER_URL = "notifier-service";
    };
    audit-service = { };
    notifier-service = {
      MARKET_DATA_URL = "market-data-service";
      DECISION_URL = "decision-service";
    };
    signal-service.ORDER_URL = "order-service";
    signal-generator.MARKET_DATA_URL = "market-data-service";
    pipeline-worker = {
      MARKET_DATA_URL = "market-data-service";
      DECISION_URL = "decision-service";
      ORDER_URL = "order-service";
      NOTIFIER_URL = "notifier-service";
    };
    pipeline-service = { };
    trigger-dispatcher = { };
    market-data-service = { };
    decision-service = { };
    simulator = { };
  };
}
