# Alertmanager, from alertmanager/alertmanager.yml, in which the receivers' integrations are put: the lines that
# scripts/render-alertmanager.sh writes where there is no NixOS, byte for byte. A test compares the two.
{
  config,
  lib,
  ...
}:
let
  inherit (lib)
    mkIf
    mkOption
    optionals
    types
    ;
  cfg = config.services.crypto-telemetry;
  own = cfg.observability.alertmanager;
  notInStore = import ../not-in-store.nix { inherit lib; };
  file = ../../../alertmanager/alertmanager.yml;

  # The file parted at its receivers: text, or a list of a receiver's name.
  parts = builtins.split "\n  - name: ([a-z][a-z0-9-]*)" (builtins.readFile file);
  # People; the receiver `trading` is order-service.
  names = lib.remove "trading" (lib.concatMap (part: lib.optionals (lib.isList part) part) parts);
  # The route's own receiver, to which the messages of those without an integration go.
  fallback = lib.head (
    lib.elemAt (builtins.split "\n  receiver: ([a-z][a-z0-9-]*)\n" (builtins.readFile file)) 1
  );

  nullable =
    type: description:
    mkOption {
      type = types.nullOr type;
      default = null;
      inherit description;
    };
  text = nullable types.str;
  secret = what: text "File with ${what}, outside the store.";

  receiver = types.submodule {
    options = {
      email = {
        to = text "Address that mail goes to.";
        from = text "Address that it comes from.";
        smarthost = text "Mail server as host:port.";
        username = text "User name at the mail server, with `passwordFile`.";
        passwordFile = secret "the password";
      };
      opsgenie.apiKeyFile = secret "the API key of Opsgenie";
      pagerduty.routingKeyFile = secret "the routing key of PagerDuty (Events API v2)";
      slack = {
        apiUrlFile = secret "the URL of a Slack webhook";
        channel = text "Slack channel, where it is not the webhook's own.";
      };
      telegram = {
        chatId = nullable types.int "Id of a Telegram chat.";
        botTokenFile = secret "the token of the bot that writes into it";
        apiUrl = text "Base URL of the Bot API, where it is not Telegram's.";
      };
      webhook.urlFile = secret "a URL that alerts are posted to";
    };
  };

  # The secrets of a receiver by the name under which its unit finds them.
  secretsOf =
    name:
    let
      inherit (own.receivers.${name})
        email
        opsgenie
        pagerduty
        slack
        telegram
        webhook
        ;
    in
    lib.mapAttrs' (key: lib.nameValuePair "${name}-${key}") (
      lib.filterAttrs (_: path: path != null) {
        email = email.passwordFile;
        opsgenie = opsgenie.apiKeyFile;
        pagerduty = pagerduty.routingKeyFile;
        slack = slack.apiUrlFile;
        telegram = telegram.botTokenFile;
        webhook = webhook.urlFile;
      }
    );
  secrets = lib.concatMapAttrs (name: _: secretsOf name) own.receivers;

  # Attribute names come out sorted.
  line =
    integration: value:
    "\n    ${integration}_configs: [${builtins.toJSON ({ send_resolved = true; } // value)}]";

  peopleOf =
    name:
    let
      given = own.receivers.${name};
      path = key: "/run/credentials/alertmanager.service/${name}-${key}";
    in
    lib.concatStrings (
      optionals (given.email.to != null) [
        (line "email" (
          {
            inherit (given.email) to from smarthost;
          }
          // lib.optionalAttrs (given.email.username != null) {
            auth_username = given.email.username;
            auth_password_file = path "email";
          }
        ))
      ]
      ++ optionals (given.opsgenie.apiKeyFile != null) [
        (line "opsgenie" { api_key_file = path "opsgenie"; })
      ]
      ++ optionals (given.pagerduty.routingKeyFile != null) [
        (line "pagerduty" { routing_key_file = path "pagerduty"; })
      ]
      ++ optionals (given.slack.apiUrlFile != null) [
        (line "slack" (
          {
            api_url_file = path "slack";
          }
          // lib.optionalAttrs (given.slack.channel != null) { inherit (given.slack) channel; }
        ))
      ]
      ++ optionals (given.telegram.chatId != null) [
        (line "telegram" (
          {
            chat_id = given.telegram.chatId;
            bot_token_file = path "telegram";
          }
          // lib.optionalAttrs (given.telegram.apiUrl != null) { api_url = given.telegram.apiUrl; }
        ))
      ]
      ++ optionals (given.webhook.urlFile != null) [ (line "webhook" { url_file = path "webhook"; }) ]
    );

  linesOf =
    name:
    if name == "trading" then
      # That an alert is over does not set trading free again: a person does.
      lib.optionalString (own.trading.url != null) (
        line "webhook" {
          inherit (own.trading) url;
          send_resolved = false;
        }
      )
    else if peopleOf name != "" then
      peopleOf name
    else
      peopleOf fallback;

  withReceivers = lib.concatMapStrings (
    part: if lib.isList part then "\n  - name: ${lib.head part}${linesOf (lib.head part)}" else part
  ) parts;

  together = option: left: right: {
    assertion = (left == null) == (right == null);
    message = "services.crypto-telemetry.observability.alertmanager.receivers.${option}";
  };
in
{
  options.services.crypto-telemetry.observability.alertmanager = {
    receivers = lib.genAttrs names (
      name:
      mkOption {
        type = receiver;
        default = { };
        description =
          "How alerts of the receiver `${name}` reach people. "
          + (
            if name == fallback then
              "It stands in for the other receivers as well. Without any, alerts are seen in Alertmanager and Grafana only."
            else
              "Without any, they go where those of `${fallback}` go."
          );
      }
    );
    trading.url = mkOption {
      type = types.nullOr (types.strMatching "https?://[^@]+");
      default = null;
      example = "http://127.0.0.1:5002/v1/trading/alerts";
      description = "Where order-service is told of alerts that reduce or halt trading.";
    };
  };

  config = mkIf (cfg.enable && own.enable) {
    assertions =
      lib.concatMap (
        name:
        let
          inherit (own.receivers.${name}) email telegram slack;
        in
        [
          (together "${name}.telegram wants chatId and botTokenFile." telegram.chatId telegram.botTokenFile)
          (together "${name}.email wants to and from." email.to email.from)
          (together "${name}.email wants to and smarthost." email.to email.smarthost)
          (together "${name}.email wants username and passwordFile." email.username email.passwordFile)
          {
            assertion = slack.channel != null -> slack.apiUrlFile != null;
            message = "services.crypto-telemetry.observability.alertmanager.receivers.${name}.slack.channel is set, and apiUrlFile is not.";
          }
        ]
      ) names
      ++ lib.mapAttrsToList (
        name: notInStore "services.crypto-telemetry.observability.alertmanager.receivers (${name})"
      ) secrets;

    services.prometheus.alertmanager = {
      enable = true;
      port = cfg.ports.ALERTMANAGER_PORT;
      listenAddress = "127.0.0.1";
      # There is nobody to gossip with.
      extraFlags = [ "--cluster.listen-address=" ];
      # NixOS passes the text through envsubst.
      configText = builtins.replaceStrings [ "$" ] [ "$$" ] withReceivers;
    };

    systemd.services.alertmanager.serviceConfig.LoadCredential = mkIf (secrets != { }) (
      lib.mapAttrsToList (name: path: "${name}:${path}") secrets
    );
  };
}
