# services.grafana. Follows nixos/modules/services/monitoring/grafana.nix (Swarsel 4aa6836a648c).
# Sections without declared keys are free (auth.anonymous, log, …); a declared key has its type checked.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf optional types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.grafana;
  server = cfg.settings.server;

  nstr = c.nullable types.str;
  str = c.opt types.str;
  int = c.opt types.int;
  words = c.opt (types.oneOf [
    types.str
    (types.listOf types.str)
  ]) [ ];
  # The free keys of a submodule hold any YAML value.
  freeSet = c.free (types.attrsOf c.yaml);
  nsub = options: c.nullable (c.strict options);
  version = int 1;

  deleted =
    key:
    c.opt (types.listOf (
      c.strict {
        ${key} = c.need types.str;
        orgId = int 1;
      }
    )) [ ];
  provisioned = settings: {
    path = c.nullable types.path;
    settings = nsub ({ apiVersion = version; } // settings);
  };
  listOf = options: c.opt (types.listOf (freeSet options)) [ ];

  datasource = freeSet {
    name = c.need types.str;
    type = c.need types.str;
    access = c.opt (types.enum [
      "proxy"
      "direct"
    ]) "proxy";
    uid = nstr;
    url = str "";
    editable = c.off;
    jsonData = c.nullable types.attrs;
    secureJsonData = c.nullable types.attrs;
  };
  provider = freeSet {
    name = str "default";
    type = str "file";
    options.path = c.need types.path;
  };

  alerting = {
    rules = provisioned {
      groups = listOf {
        name = c.need types.str;
        folder = c.need types.str;
        interval = c.need types.str;
      };
      deleteRules = deleted "uid";
    };
    contactPoints = provisioned {
      contactPoints = listOf { name = c.need types.str; };
      deleteContactPoints = deleted "uid";
    };
    policies = provisioned {
      policies = listOf { };
      resetPolicies = c.opt (types.listOf types.int) [ ];
    };
    templates = provisioned {
      templates = listOf {
        name = c.need types.str;
        template = c.need types.str;
      };
      deleteTemplates = deleted "name";
    };
    muteTimings = provisioned {
      muteTimes = listOf { name = c.need types.str; };
      deleteMuteTimes = deleted "name";
    };
  };

  settings = c.free c.ini {
    paths = {
      plugins = c.opt types.path "${cfg.dataDir}/plugins";
      provisioning = c.opt types.path provisioning;
    };
    plugins.preinstall_disabled = c.flag (cfg.declarativePlugins != null);
    server = {
      protocol = c.opt (types.enum [
        "http"
        "https"
        "h2"
        "socket"
      ]) "http";
      http_addr = str "127.0.0.1";
      http_port = c.opt types.port 3000;
      domain = str "localhost";
      enforce_domain = c.off;
      root_url = str "%(protocol)s://%(domain)s:%(http_port)s/";
      serve_from_sub_path = c.off;
      router_logging = c.off;
      static_root_path = str "${cfg.package}/share/grafana/public";
      enable_gzip = c.off;
      cert_file = nstr;
      cert_key = nstr;
      cdn_url = nstr;
      read_timeout = str "0";
      socket = str "/run/grafana/grafana.sock";
      socket_gid = int (-1);
      socket_mode = str "0660";
    };
    database = {
      type = c.opt (types.enum [
        "mysql"
        "sqlite3"
        "postgres"
      ]) "sqlite3";
      host = str "127.0.0.1:3306";
      name = str "grafana";
      user = str "root";
      password = str "";
      path = c.opt types.path "${cfg.dataDir}/data/grafana.db";
      max_idle_conn = int 2;
      max_open_conn = int 0;
      conn_max_lifetime = int 14400;
      locking_attempt_timeout_sec = int 0;
      log_queries = c.off;
      ssl_mode = c.opt (types.enum [
        "disable"
        "require"
        "verify-full"
        "true"
        "false"
        "skip-verify"
      ]) "disable";
      isolation_level = c.nullable (
        types.enum [
          "READ-UNCOMMITTED"
          "READ-COMMITTED"
          "REPEATABLE-READ"
          "SERIALIZABLE"
        ]
      );
      ca_cert_path = nstr;
      client_cert_path = nstr;
      client_key_path = nstr;
      server_cert_name = nstr;
      cache_mode = c.opt (types.enum [
        "private"
        "shared"
      ]) "private";
      wal = c.off;
      query_retries = int 0;
      transaction_retries = int 5;
    };
    security = {
      admin_user = str "admin";
      admin_password = str "admin";
      admin_email = str "admin@localhost";
      secret_key = nstr;
      disable_initial_admin_creation = c.off;
      disable_gravatar = c.off;
      disable_brute_force_login_protection = c.off;
      data_source_proxy_whitelist = words;
      cookie_secure = c.off;
      cookie_samesite = c.opt (types.enum [
        "lax"
        "strict"
        "none"
        "disabled"
      ]) "lax";
      allow_embedding = c.off;
      strict_transport_security = c.off;
      strict_transport_security_max_age_seconds = int 86400;
      strict_transport_security_preload = c.off;
      strict_transport_security_subdomains = c.off;
      x_content_type_options = c.on;
      x_xss_protection = c.off;
      content_security_policy = c.off;
      content_security_policy_report_only = c.off;
      csrf_trusted_origins = words;
      csrf_additional_headers = words;
    };
    users = {
      allow_sign_up = c.off;
      allow_org_create = c.off;
      auto_assign_org = c.on;
      auto_assign_org_id = int 1;
      auto_assign_org_role = c.opt (types.enum [
        "Viewer"
        "Editor"
        "Admin"
      ]) "Viewer";
      verify_email_enabled = c.off;
      login_hint = str "email or username";
      password_hint = str "password";
      default_theme = c.opt (types.enum [
        "dark"
        "light"
        "system"
      ]) "dark";
      default_language = str "en-US";
      home_page = str "";
      viewers_can_edit = c.off;
      user_invite_max_lifetime_duration = str "24h";
      hidden_users = str "";
    };
    smtp = {
      enabled = c.off;
      host = str "localhost:25";
      user = nstr;
      password = str "";
      cert_file = nstr;
      key_file = nstr;
      skip_verify = c.off;
      from_address = str "admin@grafana.localhost";
      from_name = str "Grafana";
      ehlo_identity = nstr;
      startTLS_policy = c.nullable (
        types.enum [
          "OpportunisticStartTLS"
          "MandatoryStartTLS"
          "NoStartTLS"
        ]
      );
    };
    analytics = {
      reporting_enabled = c.off;
      check_for_updates = c.off;
      check_for_plugin_updates = c.flag (cfg.declarativePlugins == null);
      feedback_links_enabled = c.on;
    };
  };

  # One file for each kind, as the real directory of provisioning files.
  part =
    name: p: empty:
    if p.path != null then
      "${p.path}"
    else
      "${(pkgs.formats.yaml { }).generate "${name}.yaml" (
        if p.settings != null then p.settings else empty
      )}";
  provisioning = pkgs.runCommand "grafana-provisioning" (
    {
      datasource = part "datasource" cfg.provision.datasources {
        apiVersion = 1;
        datasources = [ ];
      };
      dashboard = part "dashboard" cfg.provision.dashboards {
        apiVersion = 1;
        providers = [ ];
      };
    }
    // lib.mapAttrs (name: p: part name p null) cfg.provision.alerting
  ) "mkdir $out";
  iniFile = (pkgs.formats.ini { }).generate "config.ini" cfg.settings;

  # Given as a reference ($__file{…}, $__env{…}, $VAR) or left at its default.
  reference =
    default: value:
    builtins.match "${lib.optionalString (default != null) "^${default}$|"}^\\$__(file|env)\\{.*}$|^\\$[^_\\$][^ ]+$" value
    != null;
  datasources = lib.optionals (
    cfg.provision.datasources.settings != null
  ) cfg.provision.datasources.settings.datasources;
  low = server.http_port < 1024;
in
{
  options.services.grafana = {
    enable = c.off;
    package = c.package "grafana";
    dataDir = c.opt types.path "/var/lib/grafana";
    openFirewall = c.off;
    declarativePlugins = lib.mkOption {
      type = types.nullOr (types.listOf types.path);
      default = null;
      apply = x: if lib.isList x then lib.unique x else x;
    };
    settings = c.opt settings { };
    provision = {
      enable = c.off;
      datasources = c.opt (c.strict (provisioned {
        datasources = c.opt (types.listOf datasource) [ ];
        deleteDatasources = c.opt (types.listOf (
          c.strict {
            name = c.need types.str;
            orgId = c.need types.int;
          }
        )) [ ];
        prune = c.off;
      })) { };
      dashboards = c.opt (c.strict (provisioned {
        providers = c.opt (types.listOf provider) [ ];
      })) { };
      inherit alerting;
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      (c.check (cfg.settings.security.secret_key != null)
        "services.grafana.settings.security.secret_key has no default any more (26.05): give your own, by a file provider"
      )
      (c.check (
        !(cfg.settings.users ? editors_can_admin)
      ) "services.grafana: users.editors_can_admin was removed in Grafana 12")
      (c.check (lib.all (
        d: d.type == "prometheus" -> d.access != "direct"
      ) datasources) "services.grafana: Prometheus data sources cannot have direct access")
    ]
    ++
      lib.mapAttrsToList
        (
          n: p:
          c.check (
            p.settings == null || p.path == null
          ) "services.grafana.provision: both settings and path of ${n}"
        )
        (
          {
            inherit (cfg.provision) datasources dashboards;
          }
          // cfg.provision.alerting
        );

    warnings =
      optional
        (
          !reference "" cfg.settings.database.password
          || !reference "admin" cfg.settings.security.admin_password
        )
        "Grafana passwords will be stored as plaintext in the Nix store! Use file provider or an env-var instead."
      ++ optional (lib.any (
        d: d.secureJsonData != null && !lib.all (reference null) (lib.attrValues d.secureJsonData)
      ) datasources) "secureJsonData of a Grafana data source will be leaked to the Nix store";

    environment.systemPackages = [ cfg.package ];
    networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall [ server.http_port ];
    users.groups.grafana = { };
    users.users.grafana = {
      description = "Grafana";
      uid = 196;
      group = "grafana";
      home = cfg.dataDir;
      createHome = true;
    };

    # No StateDirectory: the home directory is made when the system is activated.
    # ExecStart comes from `script`, so neither may be set again.
    systemd.services.grafana = {
      description = "Grafana";
      wantedBy = [ "multi-user.target" ];
      after = [
        "network.target"
      ]
      ++ optional (cfg.settings.database.type == "postgres") "postgresql.target"
      ++ optional (cfg.settings.database.type == "mysql") "mysql.service";
      preStart = ''
        ln -fs ${cfg.package}/share/grafana/conf ${cfg.dataDir}
        ln -fs ${cfg.package}/share/grafana/tools ${cfg.dataDir}
      '';
      script = ''
        set -o errexit -o pipefail -o nounset -o errtrace
        shopt -s inherit_errexit
        exec ${lib.getExe cfg.package} server -homepath ${cfg.dataDir} -config ${iniFile}
      '';
      serviceConfig = {
        WorkingDirectory = cfg.dataDir;
        User = "grafana";
        Restart = "on-failure";
        RuntimeDirectory = "grafana";
        RuntimeDirectoryMode = "0755";
        UMask = "0027";
        AmbientCapabilities = mkIf low [ "CAP_NET_BIND_SERVICE" ];
        CapabilityBoundingSet = [ (if low then "CAP_NET_BIND_SERVICE" else "") ];
        DeviceAllow = [ "" ];
        LockPersonality = true;
        NoNewPrivileges = true;
        PrivateDevices = true;
        PrivateTmp = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHome = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "full";
        RemoveIPC = true;
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
        ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = [
          "@system-service"
          "~@privileged"
        ]
        ++ optional (server.protocol == "socket") "@chown";
      };
    };
    system.build.offlineConfig.grafana = cfg.settings;
  };
}
