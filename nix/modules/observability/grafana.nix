# Grafana, provisioned from grafana/: data sources, dashboards. Its secrets are files that are made at the first start
# unless they are given.
{
  config,
  lib,
  ...
}:
let
  inherit (lib)
    mkIf
    mkMerge
    mkOption
    types
    ;
  cfg = config.services.crypto-telemetry;
  own = cfg.observability.grafana;
  notInStore = import ../not-in-store.nix { inherit lib; };
  inherit (cfg) ports;

  # Where the unit finds what LoadCredential hands it, and what it makes itself.
  credential = name: "/run/credentials/grafana.service/${name}";
  made = name: "${config.services.grafana.dataDir}/${name}";
  fileOf = given: name: if given != null then credential name else made name;
  # Grafana reads a file where a setting says so, which keeps the value out of the store.
  readFrom = file: "$__file{${file}}";

  given =
    lib.filterAttrs (_: file: file != null) {
      secret_key = own.secretKeyFile;
      admin_password = own.adminPasswordFile;
    }
    // lib.optionalAttrs own.oauth.enable { oauth_client_secret = own.oauth.clientSecretFile; }
    // lib.optionalAttrs (own.ldap.configFile != null) { ldap = own.ldap.configFile; };

  text =
    description:
    mkOption {
      type = types.str;
      default = "";
      inherit description;
    };
  file =
    description:
    mkOption {
      type = types.nullOr types.str;
      default = null;
      inherit description;
    };
in
{
  options.services.crypto-telemetry.observability.grafana = {
    adminPasswordFile = file ''
      File with the password of Grafana's user admin, taken at the first start. Without it one is made, which root finds in
      /var/lib/grafana/admin_password.
    '';
    secretKeyFile = file ''
      File with the key that Grafana signs sessions and encrypts stored secrets with; it must never change. Without it one
      is made at the first start.
    '';
    oauth = {
      enable = lib.mkEnableOption "logging in to Grafana through OAuth 2 / OpenID Connect";
      name = mkOption {
        type = types.str;
        default = "OAuth";
        description = "What the button says.";
      };
      clientId = text "Client id.";
      clientSecretFile = file "File with the client secret, outside the store.";
      authUrl = text "Authorization endpoint.";
      tokenUrl = text "Token endpoint.";
      apiUrl = text "User info endpoint.";
      scopes = mkOption {
        type = types.listOf types.str;
        default = [
          "openid"
          "email"
          "profile"
        ];
        description = "Scopes that are asked for.";
      };
      allowedDomains = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Domains of e-mail addresses that may log in; all that the provider lets through where empty.";
      };
      roleAttributePath = text "JMESPath expression that gives Viewer, Editor or Admin; everybody is a Viewer without it.";
    };
    ldap.configFile = file ''
      Grafana's ldap.toml, which holds the bind password, outside the store; with it people log in with their LDAP accounts.
    '';
  };

  config = mkIf (cfg.enable && own.enable) {
    assertions =
      map
        (option: {
          assertion = !own.oauth.enable || own.oauth.${option} != "" && own.oauth.${option} != null;
          message = "services.crypto-telemetry.observability.grafana.oauth.${option} is not set, and logging in through OAuth needs it.";
        })
        [
          "clientId"
          "clientSecretFile"
          "authUrl"
          "tokenUrl"
          "apiUrl"
        ]
      ++ lib.mapAttrsToList (
        name: notInStore "services.crypto-telemetry.observability.grafana (${name})"
      ) given;

    services.grafana = {
      enable = true;
      settings = mkMerge [
        {
          server = {
            http_addr = "127.0.0.1";
            http_port = ports.GRAFANA_PORT;
          };
          security = {
            admin_password = readFrom (fileOf own.adminPasswordFile "admin_password");
            secret_key = readFrom (fileOf own.secretKeyFile "secret_key");
          };
          users.allow_sign_up = false;
          "auth.anonymous".enabled = false;
          # Tells nobody anything, and asks nobody for updates.
          analytics = {
            reporting_enabled = false;
            check_for_updates = false;
            check_for_plugin_updates = false;
          };
          news.news_feed_enabled = false;
          plugins = {
            preinstall_disabled = true;
            public_key_retrieval_disabled = true;
          };
          # Prometheus scrapes it.
          metrics.enabled = true;
        }
        (mkIf (cfg.web.grafanaDomain != null) {
          server = {
            domain = cfg.web.grafanaDomain;
            root_url = "https://${cfg.web.grafanaDomain}/";
          };
          # It is reached through TLS only.
          security.cookie_secure = true;
        })
        (mkIf own.oauth.enable {
          "auth.generic_oauth" = {
            enabled = true;
            inherit (own.oauth) name;
            client_id = own.oauth.clientId;
            client_secret = readFrom (credential "oauth_client_secret");
            auth_url = own.oauth.authUrl;
            token_url = own.oauth.tokenUrl;
            api_url = own.oauth.apiUrl;
            scopes = lib.concatStringsSep " " own.oauth.scopes;
            allowed_domains = lib.concatStringsSep " " own.oauth.allowedDomains;
            role_attribute_path = own.oauth.roleAttributePath;
            allow_sign_up = true;
            use_pkce = true;
          };
        })
        (mkIf (own.ldap.configFile != null) {
          "auth.ldap" = {
            enabled = true;
            config_file = credential "ldap";
          };
        })
      ];
      provision = {
        enable = true;
        datasources.path = ../../../grafana/provisioning/datasources/datasources.yaml;
        dashboards.path = ../../../grafana/provisioning/dashboards/dashboards.yaml;
      };
    };

    systemd.services.grafana = {
      # What the provisioned files take from their environment.
      environment = {
        PROMETHEUS_URL = "http://127.0.0.1:${toString ports.PROMETHEUS_PORT}";
        ALERTMANAGER_URL = "http://127.0.0.1:${toString ports.ALERTMANAGER_PORT}";
        TEMPO_URL = "http://127.0.0.1:${toString ports.TEMPO_PORT}";
        LOKI_URL = "http://127.0.0.1:${toString ports.LOKI_PORT}";
        GRAFANA_DASHBOARDS_DIR = "${../../../grafana/dashboards}";
      };
      serviceConfig.LoadCredential = lib.mapAttrsToList (name: path: "${name}:${path}") given;
      # Made once, readable by Grafana and root only.
      preStart = lib.mkBefore (
        lib.concatMapStrings
          (name: ''
            if [ ! -s ${made name} ]; then
              (umask 077 && head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >${made name})
            fi
          '')
          (
            lib.optional (own.secretKeyFile == null) "secret_key"
            ++ lib.optional (own.adminPasswordFile == null) "admin_password"
          )
      );
    };
  };
}
