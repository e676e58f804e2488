# Shows that the declarations accept what NixOS accepts and reject what it rejects.
#   nix eval --impure --expr 'import ./selftest.nix { inherit lib pkgs; }'   → "ok: …"
# Each rejected case differs from the accepted one in a single definition.
# With `only = "name"` the rejected case of that name is evaluated alone, to read its message.
{
  lib,
  pkgs,
  only ? null,
}:
let
  eval =
    modules:
    lib.evalModules {
      class = "nixos";
      modules = [
        ./.
        { _module.args.pkgs = lib.mkDefault pkgs; }
      ]
      ++ modules;
    };
  forced =
    modules:
    let
      inherit ((eval modules).config.system) build;
    in
    [
      build.toplevel.drvPath
      build.vm.drvPath
    ];
  works = modules: (builtins.tryEval (builtins.deepSeq (forced modules) true)).success;

  machine = {
    system.stateVersion = "26.05";
    nixpkgs.hostPlatform = "x86_64-linux";
    boot.loader.grub.device = "/dev/vda";
    fileSystems."/" = {
      device = "/dev/vda1";
      fsType = "ext4";
    };
  };

  services = {
    services.opentelemetry-collector = {
      enable = true;
      settings.receivers.otlp.protocols.grpc.endpoint = "127.0.0.1:4317";
    };
    services.tempo = {
      enable = true;
      settings.server.http_listen_port = 3200;
      extraFlags = [ "-config.expand-env=true" ];
    };
    services.loki = {
      enable = true;
      configuration.auth_enabled = false;
    };
    services.prometheus = {
      enable = true;
      listenAddress = "127.0.0.1";
      retentionTime = "15d";
      extraFlags = [ "--web.enable-remote-write-receiver" ];
      globalConfig.scrape_interval = "15s";
      ruleFiles = [ ./selftest.nix ];
      scrapeConfigs = [
        {
          job_name = "self";
          static_configs = [ { targets = [ "127.0.0.1:9090" ]; } ];
        }
      ];
      alertmanagers = [ { static_configs = [ { targets = [ "127.0.0.1:9093" ]; } ]; } ];
      exporters.node = {
        enable = true;
        listenAddress = "127.0.0.1";
        enabledCollectors = [ "systemd" ];
      };
      alertmanager = {
        enable = true;
        listenAddress = "127.0.0.1";
        configText = "route: { receiver: none }\nreceivers: [ { name: none } ]\n";
        environmentFile = "/run/secrets/alertmanager";
      };
    };
    services.grafana = {
      enable = true;
      settings = {
        security.secret_key = "$__file{/run/secrets/grafana}";
        security.admin_password = "$__file{/run/secrets/admin}";
        "auth.anonymous".enabled = true;
        server.some_new_key = "free";
      };
      provision = {
        enable = true;
        datasources.settings.datasources = [
          {
            name = "Prometheus";
            type = "prometheus";
            url = "http://127.0.0.1:9090";
            isDefault = true;
          }
        ];
        dashboards.settings.providers = [ { options.path = "/etc/dashboards"; } ];
        alerting.rules.settings.groups = [
          {
            name = "g";
            folder = "f";
            interval = "60s";
            rules = [ ];
          }
        ];
      };
    };
    services.postgresql = {
      enable = true;
      ensureDatabases = [ "app" ];
      ensureUsers = [
        {
          name = "app";
          ensureDBOwnership = true;
          ensureClauses.login = true;
        }
      ];
      authentication = "local app app peer map=app";
      identMap = "app app app";
      settings.max_connections = 50;
    };
    services.redis.servers.cache = {
      enable = true;
      port = 6379;
      settings.maxmemory = "256mb";
    };
    services.apache-kafka = {
      enable = true;
      clusterId = "abc";
      formatLogDirs = true;
      settings = {
        "node.id" = 1;
        "log.dirs" = [ "/var/lib/kafka" ];
        "process.roles" = [ "broker" ];
      };
    };
    services.caddy = {
      enable = true;
      email = "me@example.org";
      virtualHosts."example.org".extraConfig = "reverse_proxy 127.0.0.1:8080";
    };
    services.nginx = {
      enable = true;
      recommendedProxySettings = true;
      virtualHosts."www.example.org" = {
        forceSSL = true;
        enableACME = true;
        locations."/" = {
          proxyPass = "http://127.0.0.1:8080";
          proxyWebsockets = true;
        };
      };
    };
    security.acme = {
      acceptTerms = true;
      defaults.email = "me@example.org";
    };
    services.openssh = {
      enable = true;
      settings.PermitRootLogin = "no";
    };
    networking = {
      hostName = "node";
      firewall.allowedTCPPorts = [ 443 ];
    };
    users.users.app = {
      isSystemUser = true;
      group = "app";
    };
    users.groups.app = { };
    systemd.services.app = {
      description = "App";
      documentation = [ "https://example.org" ];
      after = [ "postgresql.target" ];
      wants = [ "network-online.target" ];
      wantedBy = [ "multi-user.target" ];
      startAt = "daily";
      startLimitBurst = 5;
      environment = {
        LEVEL = "info";
        UNSET = null;
      };
      path = [ pkgs.jq ];
      preStart = "true";
      serviceConfig = {
        ExecStart = "${pkgs.jq}/bin/jq";
        Restart = "on-failure";
        LoadCredential = [ "key:/run/secrets/key" ];
        NoNewPrivileges = true;
      };
    };
    systemd.slices.app.sliceConfig.MemoryMax = "1G";
    systemd.sockets.app.listenStreams = [ "/run/app" ];
    systemd.paths.app.pathConfig.PathExists = "/run/x";
    systemd.tmpfiles.rules = [ "d /var/lib/app 0750 app app -" ];
    systemd.tmpfiles.settings.app."/var/lib/app".d.mode = "0750";
    environment.etc."app.conf".text = "x";
    virtualisation.vmVariant.virtualisation = {
      memorySize = 2048;
      cores = 2;
      diskSize = 8192;
      graphics = false;
      forwardPorts = [
        {
          from = "host";
          host.port = 8080;
          guest.port = 80;
        }
      ];
    };
    # What our own modules add to units of NixOS.
    systemd.services.grafana = {
      serviceConfig.LoadCredential = [ "key:/run/secrets/key" ];
      serviceConfig.User = "grafana";
      environment.GF_X = "y";
    };
  };
  good = [
    machine
    services
  ];

  rejected = {
    unknownOption = {
      services.tempo.package = pkgs.jq;
    };
    unknownServiceOption.systemd.services.app.excStart = "x";
    unknownUserOption.users.users.app.shel = "x";
    unknownScrapeKey.services.prometheus.scrapeConfigs = [
      {
        job_name = "x";
        enable_compression = true;
      }
    ];
    unknownLocationKey.services.nginx.virtualHosts."www.example.org".locations."/".proxypass = "x";
    unknownVmOption.virtualisation.vmVariant.virtualisation.memory = 1;
    vmOptionOnPlainSystem.virtualisation.memorySize = 1024;
    wrongType.services.prometheus.port = "9090";
    wrongEnvironment.systemd.services.app.environment.N = 5;
    wrongUnitName.systemd.services.app.after = [ "postgresql" ];
    wrongRestart.systemd.services.extra.serviceConfig.Restart = "sometimes";
    functionInSettings.services.loki.configuration.x = a: a;
    quoteInLoki.services.loki.configuration.x = "it's";
    wrongGrafanaType.services.grafana.settings.server.http_port = "3000";
    secondExecStart.systemd.services.app.serviceConfig.ExecStart = "other";
    secondExecStartOfNixos.systemd.services.tempo.serviceConfig.ExecStart = "other";
    scriptAndExecStart.systemd.services.app.script = "true";
    scriptOfGrafana.systemd.services.grafana.serviceConfig.ExecStart = "other";
    otherRestart.systemd.services.loki.serviceConfig.Restart = "on-failure";
    otherProtectSystem.systemd.services.opentelemetry-collector.serviceConfig.ProtectSystem = "strict";
    otherPath.systemd.services.app.environment.PATH = "/bin";
    afterTwice.systemd.services.app.unitConfig.After = "x.service";
    redisSettingTwice.services.redis.servers.cache.settings.bind = "0.0.0.0";
    noGroup.users.users.other.isSystemUser = true;
    unknownGroup.users.users.other = {
      isSystemUser = true;
      group = "nowhere";
    };
    bothCollectorSources.services.opentelemetry-collector.configFile = "/etc/x";
    ownershipWithoutDatabase.services.postgresql.ensureUsers = [
      {
        name = "b";
        ensureDBOwnership = true;
      }
    ];
    noTerms.security.acme.acceptTerms = lib.mkForce false;
    tlsWithoutCertificate.services.nginx.virtualHosts.b.onlySSL = true;
    noRoot.fileSystems = lib.mkForce { };
    noSecretKey.services.grafana.settings.security.secret_key = lib.mkForce null;
    networkdTypo.systemd.targets.app.wantedBY = [ ];
  };
  # Accepted because NixOS merges or overrides them.
  accepted = {
    forcedRestart.systemd.services.loki.serviceConfig.Restart = lib.mkForce "on-failure";
    sameValue.systemd.services.loki.serviceConfig.PrivateTmp = true;
    longerList.systemd.services.prometheus.serviceConfig.RestrictAddressFamilies = [ "AF_NETLINK" ];
    listBesideValue.systemd.services.redis-cache.preStart = "true";
    moreStart.systemd.services.grafana.preStart = "true";
    override.services.redis.servers.cache.settings.bind = lib.mkForce "0.0.0.0";
  };

  node =
    more:
    works [
      ./test-node.nix
      (removeAttrs machine [ "nixpkgs" ])
      services
      { virtualisation.memorySize = 2048; }
      more
    ];
  unit = (eval good).config.systemd.services.app.text;
  expect = {
    sampleConfiguration = works good;
    configurations =
      (builtins.tryEval (
        builtins.deepSeq (builtins.toJSON (eval good).config.system.build.offlineConfig) true
      )).success;
    testNode = node { };
    testNodeNixpkgs = !node { nixpkgs.config.allowUnfree = true; };
    unitText = lib.all (l: lib.elem l (lib.splitString "\n" unit)) [
      "[Unit]"
      "After=postgresql.target"
      "StartLimitBurst=5"
      "[Service]"
      "Environment=\"LEVEL=info\""
      "LoadCredential=key:/run/secrets/key"
      "NoNewPrivileges=true"
    ];
  }
  // lib.mapAttrs' (n: m: lib.nameValuePair "rejects ${n}" (!works (good ++ [ m ]))) rejected
  // lib.mapAttrs' (n: m: lib.nameValuePair "accepts ${n}" (works (good ++ [ m ]))) accepted;
  wrong = lib.attrNames (lib.filterAttrs (_: ok: !ok) expect);
in
if only != null then
  forced (good ++ [ rejected.${only} ])
else if wrong == [ ] then
  "ok: ${toString (lib.length (lib.attrNames expect))} cases"
else
  throw "wrong: ${lib.concatStringsSep ", " wrong}"
