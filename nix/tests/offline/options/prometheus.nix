# services.prometheus and services.prometheus.exporters.node (no other exporter is declared).
# Follows nixos/modules/services/monitoring/prometheus/{default,exporters,exporters/node}.nix (Swarsel 4aa6836a648c).
# Of the service discoveries only static, file, dns, http and consul are typed; the others take any list of attribute sets.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf optional types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.prometheus;
  node = cfg.exporters.node;

  n = c.nullable;
  nstr = n types.str;
  nint = n types.int;
  nbool = n types.bool;
  nstrings = n (types.listOf types.str);
  nlabels = n (types.attrsOf types.str);
  listOf = type: n (types.listOf type);

  basicAuth = c.strict {
    username = c.need types.str;
    password = nstr;
    password_file = nstr;
  };
  tls = c.strict {
    ca_file = nstr;
    cert_file = nstr;
    key_file = nstr;
    server_name = nstr;
    insecure_skip_verify = nbool;
  };
  staticConfig = c.strict {
    targets = c.need (types.listOf types.str);
    labels = c.opt (types.attrsOf types.str) { };
  };
  relabel = c.strict {
    source_labels = nstrings;
    separator = nstr;
    target_label = nstr;
    regex = nstr;
    modulus = nint;
    replacement = nstr;
    action = n (
      types.enum [
        "replace"
        "lowercase"
        "uppercase"
        "keep"
        "drop"
        "hashmod"
        "labelmap"
        "labeldrop"
        "labelkeep"
      ]
    );
  };
  fileSd = c.strict {
    files = c.need (types.listOf types.str);
    refresh_interval = nstr;
  };
  dnsSd = c.strict {
    names = c.need (types.listOf types.str);
    type = n (
      types.enum [
        "SRV"
        "A"
        "AAAA"
        "MX"
        "NS"
      ]
    );
    port = n types.port;
    refresh_interval = nstr;
  };
  httpSd = c.strict {
    url = c.need types.str;
    refresh_interval = nstr;
    basic_auth = n basicAuth;
    proxy_url = nstr;
    follow_redirects = nbool;
    tls_config = n tls;
  };

  # Newer keys of Prometheus (native histograms, enable_compression, …) are not options; they need configText.
  scrape = c.strict (
    {
      job_name = c.need types.str;
      authorization = n types.attrs;
      basic_auth = n basicAuth;
      bearer_token = nstr;
      bearer_token_file = nstr;
      tls_config = n tls;
      proxy_url = nstr;
      scrape_interval = nstr;
      scrape_timeout = nstr;
      scrape_protocols = nstrings;
      fallback_scrape_protocol = nstr;
      metrics_path = nstr;
      honor_labels = nbool;
      honor_timestamps = nbool;
      scheme = n (
        types.enum [
          "http"
          "https"
        ]
      );
      params = n (types.attrsOf (types.listOf types.str));
      body_size_limit = nstr;
      sample_limit = nint;
      label_limit = nint;
      label_name_length_limit = nint;
      label_value_length_limit = nint;
      target_limit = nint;
      static_configs = listOf staticConfig;
      file_sd_configs = listOf fileSd;
      dns_sd_configs = listOf dnsSd;
      http_sd_configs = listOf httpSd;
      relabel_configs = listOf relabel;
      metric_relabel_configs = listOf relabel;
    }
    // lib.genAttrs (map (s: "${s}_sd_configs") [
      "azure"
      "consul"
      "digitalocean"
      "docker"
      "dockerswarm"
      "ec2"
      "eureka"
      "gce"
      "hetzner"
      "kubernetes"
      "kuma"
      "lightsail"
      "linode"
      "marathon"
      "nerve"
      "openstack"
      "puppetdb"
      "scaleway"
      "serverset"
      "triton"
      "uyuni"
    ]) (_: listOf types.attrs)
  );

  remote = {
    url = c.need types.str;
    name = nstr;
    remote_timeout = nstr;
    headers = nlabels;
    basic_auth = n basicAuth;
    bearer_token = nstr;
    bearer_token_file = nstr;
    tls_config = n tls;
    proxy_url = nstr;
  };
  remoteWrite = c.strict (
    remote
    // {
      write_relabel_configs = listOf relabel;
      sigv4 = n (
        c.strict (
          lib.genAttrs [
            "region"
            "access_key"
            "secret_key"
            "profile"
            "role_arn"
          ] (_: nstr)
        )
      );
      queue_config = n (
        c.strict {
          capacity = nint;
          max_shards = nint;
          min_shards = nint;
          max_samples_per_send = nint;
          batch_send_deadline = nstr;
          min_backoff = nstr;
          max_backoff = nstr;
        }
      );
      metadata_config = n (
        c.strict {
          send = nbool;
          send_interval = nstr;
        }
      );
    }
  );
  remoteRead = c.strict (
    remote
    // {
      required_matchers = nlabels;
      read_recent = nbool;
    }
  );

  withoutNull =
    v:
    if lib.isList v then
      map withoutNull v
    else if lib.isAttrs v && !lib.isDerivation v then
      lib.mapAttrs (_: withoutNull) (lib.filterAttrs (k: x: k != "_module" && x != null) v)
    else
      v;

  # promtool is in the package's `cli` output. "syntax-only" still checks rule files in full.
  promtool =
    what: name: file:
    if cfg.checkConfig == false then
      file
    else
      pkgs.runCommand "${name}-${lib.replaceStrings [ " " ] [ "" ] what}-checked"
        {
          preferLocalBuild = true;
          nativeBuildInputs = [ (cfg.package.cli or cfg.package) ];
        }
        ''
          ln -s ${file} $out
          promtool ${what} $out
        '';

  ruleFiles =
    cfg.ruleFiles
    ++ optional (cfg.rules != [ ]) (
      pkgs.writeText "prometheus.rules" (lib.concatStringsSep "\n" cfg.rules)
    );
  settings = {
    global = withoutNull cfg.globalConfig;
    scrape_configs = withoutNull cfg.scrapeConfigs;
    remote_write = withoutNull cfg.remoteWrite;
    remote_read = withoutNull cfg.remoteRead;
    rule_files = lib.optionals (!cfg.enableAgentMode) (
      map (f: "${promtool "check rules" "rules" f}") ruleFiles
    );
    alerting = { inherit (cfg) alertmanagers; };
  };
  # With configText none of the structured options is used, ruleFiles neither.
  file =
    promtool "check config ${lib.optionalString (cfg.checkConfig == "syntax-only") "--syntax-only"}"
      "prometheus.yml"
      (
        if cfg.configText != null then
          pkgs.writeText "prometheus.yml" cfg.configText
        else
          (pkgs.formats.yaml { }).generate "prometheus.yml" settings
      );

  # Not escaped: each flag goes into the command line as it is.
  flags =
    cfg.extraFlags
    ++ [
      "--config.file=${if cfg.enableReload then "/etc/prometheus/prometheus.yaml" else file}"
      "--web.listen-address=${cfg.listenAddress}:${toString cfg.port}"
    ]
    ++ (
      if cfg.enableAgentMode then
        [ "--agent" ]
      else
        [
          "--alertmanager.notification-queue-capacity=${toString cfg.alertmanagerNotificationQueueCapacity}"
          "--storage.tsdb.path=/var/lib/${cfg.stateDir}/data/"
        ]
    )
    ++ optional (cfg.webExternalUrl != null) "--web.external-url=${cfg.webExternalUrl}"
    ++ optional (cfg.retentionTime != null) "--storage.tsdb.retention.time=${cfg.retentionTime}"
    ++ optional (cfg.webConfigFile != null) "--web.config.file=${cfg.webConfigFile}";
in
{
  options.services.prometheus = {
    enable = c.off;
    package = c.package "prometheus";
    port = c.opt types.port 9090;
    listenAddress = c.opt types.str "0.0.0.0";
    stateDir = c.opt types.str "prometheus2";
    extraFlags = c.strings;
    enableReload = c.off;
    enableAgentMode = c.off;
    configText = n types.lines;
    globalConfig = c.opt (c.strict {
      scrape_interval = nstr;
      scrape_timeout = nstr;
      evaluation_interval = nstr;
      external_labels = nlabels;
      query_log_file = nstr;
    }) { };
    scrapeConfigs = c.opt (types.listOf scrape) [ ];
    remoteRead = c.opt (types.listOf remoteRead) [ ];
    remoteWrite = c.opt (types.listOf remoteWrite) [ ];
    rules = c.strings;
    ruleFiles = c.opt (types.listOf types.path) [ ];
    alertmanagers = c.opt (types.listOf types.attrs) [ ];
    alertmanagerNotificationQueueCapacity = c.opt types.int 10000;
    webExternalUrl = nstr;
    webConfigFile = n types.path;
    checkConfig = c.opt (types.either types.bool (types.enum [ "syntax-only" ])) true;
    retentionTime = nstr;

    exporters = c.opt (c.strict {
      node = c.opt (c.strict {
        enable = c.off;
        port = c.opt types.port 9100;
        listenAddress = c.opt types.str "0.0.0.0";
        extraFlags = c.strings;
        openFirewall = c.off;
        firewallFilter = nstr;
        firewallRules = n types.lines;
        user = c.opt types.str "node-exporter";
        group = c.opt types.str "node-exporter";
        enabledCollectors = c.strings;
        disabledCollectors = c.strings;
      }) { };
    }) { };
  };

  config = lib.mkMerge [
    (mkIf cfg.enable {
      assertions = [
        (c.check (
          builtins.match "(.*\\..*|.*]):([[:digit:]]+)" cfg.listenAddress == null
        ) "services.prometheus.listenAddress holds a port; use services.prometheus.port")
      ];
      users.groups.prometheus.gid = 255;
      users.users.prometheus = {
        description = "Prometheus";
        uid = 255;
        group = "prometheus";
      };
      environment.etc."prometheus/prometheus.yaml" = mkIf cfg.enableReload { source = file; };
      systemd.services.prometheus = {
        wantedBy = [ "multi-user.target" ];
        after = [ "network.target" ];
        serviceConfig = {
          ExecStart = lib.concatStringsSep " \\\n  " ([ (lib.getExe cfg.package) ] ++ flags);
          ExecReload = mkIf cfg.enableReload "+${c.pkg "reload-prometheus"}/bin/reload-prometheus";
          User = "prometheus";
          Restart = "always";
          RuntimeDirectory = "prometheus";
          RuntimeDirectoryMode = "0700";
          WorkingDirectory = "/var/lib/${cfg.stateDir}";
          StateDirectory = cfg.stateDir;
          StateDirectoryMode = "0700";
          CapabilityBoundingSet = [ "" ];
          DeviceAllow = [ "/dev/null rw" ];
          DevicePolicy = "strict";
          LockPersonality = true;
          MemoryDenyWriteExecute = true;
          NoNewPrivileges = true;
          PrivateDevices = true;
          PrivateTmp = true;
          PrivateUsers = true;
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
          ];
        };
      };
      systemd.services.prometheus-config-reload = mkIf cfg.enableReload {
        wantedBy = [ "prometheus.service" ];
        after = [ "prometheus.service" ];
        reloadIfChanged = true;
        restartTriggers = [ file ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          TimeoutSec = 60;
          ExecStart = "${c.pkg "logger"}/bin/logger 'waits for a reload'";
          ExecReload = [ "${c.pkg "trigger-reload-prometheus"}/bin/trigger-reload-prometheus" ];
        };
      };
      system.build.offlineConfig.prometheus = if cfg.configText != null then cfg.configText else settings;
    })

    (mkIf node.enable {
      users.groups = mkIf (node.group == "node-exporter") { node-exporter = { }; };
      users.users = mkIf (node.user == "node-exporter") {
        node-exporter = {
          isSystemUser = true;
          group = node.group;
        };
      };
      networking.firewall.extraCommands =
        mkIf (node.openFirewall && !config.networking.nftables.enable)
          ''
            ip46tables -A nixos-fw ${
              if node.firewallFilter == null then
                "-p tcp -m tcp --dport ${toString node.port}"
              else
                node.firewallFilter
            } -m comment --comment node-exporter -j nixos-fw-accept
          '';
      systemd.services.prometheus-node-exporter = {
        wantedBy = [ "multi-user.target" ];
        after = [ "network.target" ];
        serviceConfig = {
          ExecStart = lib.concatStringsSep " " (
            [ "${c.pkg "prometheus-node-exporter"}/bin/node_exporter" ]
            ++ map (x: "--collector.${x}") node.enabledCollectors
            ++ map (x: "--no-collector.${x}") node.disabledCollectors
            ++ [ "--web.listen-address ${node.listenAddress}:${toString node.port}" ]
            ++ node.extraFlags
          );
          DynamicUser = false;
          User = lib.mkDefault node.user;
          Group = node.group;
          Restart = lib.mkDefault "always";
          WorkingDirectory = lib.mkDefault "/tmp";
          RuntimeDirectory = "prometheus-node-exporter";
          CapabilityBoundingSet = lib.mkDefault [ "" ];
          DeviceAllow = [ "" ];
          LockPersonality = true;
          MemoryDenyWriteExecute = true;
          NoNewPrivileges = true;
          PrivateDevices = lib.mkDefault true;
          PrivateTmp = lib.mkDefault true;
          ProtectClock = lib.elem "timex" node.disabledCollectors;
          ProtectControlGroups = true;
          ProtectHome = true;
          ProtectHostname = true;
          ProtectKernelLogs = true;
          ProtectKernelModules = true;
          ProtectKernelTunables = true;
          ProtectSystem = lib.mkDefault "strict";
          RemoveIPC = true;
          RestrictAddressFamilies = [
            "AF_INET"
            "AF_INET6"
          ]
          ++ optional (lib.any (x: lib.elem x node.enabledCollectors) [
            "logind"
            "systemd"
          ]) "AF_UNIX"
          ++ optional (!lib.elem "netdev" node.disabledCollectors) "AF_NETLINK";
          RestrictNamespaces = true;
          RestrictRealtime = true;
          RestrictSUIDSGID = true;
          SystemCallArchitectures = "native";
          UMask = "0077";
        };
      };
    })
  ];
}
