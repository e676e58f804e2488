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

  # Who keeps tables.
  withDatabase = lib.filter (name: lib.elem "DATABASE_URL" (secretsOf name)) names;

  # crypto-telemetry-user and so on: a user name has 31 characters at most.
  userOf = name: "crypto-telemetry-${lib.removeSuffix "-service" name}";
  unitOf = name: "crypto-telemetry-${name}";

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
    market-data-service = { };
    decision-service = { };
    simulator = { };
  };
}
