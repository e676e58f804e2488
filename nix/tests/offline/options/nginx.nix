# services.nginx. Follows nixos/modules/services/web-servers/nginx/{default,vhost-options,location-options}.nix
# (Swarsel 4aa6836a648c). nginx.conf is not rendered; a text that names every value used stands for it.
# Left out: lua, logrotate, the deprecated proxyCache.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.nginx;
  nstr = c.nullable types.str;
  npath = c.nullable types.path;

  location = types.submodule {
    options = {
      proxyPass = nstr;
      proxyWebsockets = c.off;
      recommendedProxySettings = c.flag cfg.recommendedProxySettings;
      uwsgiPass = nstr;
      recommendedUwsgiSettings = c.flag cfg.recommendedUwsgiSettings;
      index = nstr;
      tryFiles = nstr;
      root = npath;
      alias = npath;
      return = c.nullable (
        types.oneOf [
          types.str
          types.int
        ]
      );
      fastcgiParams = c.opt (types.attrsOf (types.either types.str types.path)) { };
      basicAuth = c.opt (types.attrsOf types.str) { };
      basicAuthFile = npath;
      priority = c.opt types.int 1000;
      extraConfig = c.text;
    };
  };

  listen = ssl: {
    addr = c.need types.str;
    port = c.nullable types.port;
    inherit ssl;
    proxyProtocol = c.off;
    extraParameters = c.strings;
  };

  host = types.submodule {
    options = {
      serverName = nstr;
      serverAliases = c.strings;
      listen = c.opt (types.listOf (c.strict (listen c.off))) [ ];
      listenAddresses = c.strings;
      enableACME = c.off;
      useACMEHost = nstr;
      acmeRoot = c.opt (types.nullOr types.str) "/var/lib/acme/acme-challenge";
      acmeFallbackHost = nstr;
      addSSL = c.off;
      onlySSL = c.off;
      forceSSL = c.off;
      rejectSSL = c.off;
      redirectCode = c.opt (types.ints.between 300 399) 301;
      kTLS = c.off;
      sslCertificate = c.need types.path;
      sslCertificateKey = c.need types.path;
      sslTrustedCertificate = npath;
      http2 = c.on;
      http3 = c.on;
      http3_hq = c.off;
      quic = c.off;
      reuseport = c.off;
      root = npath;
      default = c.off;
      globalRedirect = nstr;
      basicAuth = c.opt (types.attrsOf types.str) { };
      basicAuthFile = npath;
      extraConfig = c.text;
      locations = c.opt (types.attrsOf location) { };
    };
  };

  hosts = lib.mapAttrs (
    name: h: h // { serverName = if h.serverName != null then h.serverName else name; }
  ) cfg.virtualHosts;
  hostList = lib.attrValues hosts;
  certName = h: if h.useACMEHost != null then h.useACMEHost else h.serverName;
  withACME = lib.filter (h: h.enableACME || h.useACMEHost != null) hostList;
  certs = lib.unique (map certName withACME);
  ssl = h: h.addSSL || h.onlySSL || h.forceSSL;
  certOf =
    h:
    if h.enableACME || h.useACMEHost != null then
      "${config.security.acme.certs.${certName h}.directory}/fullchain.pem"
    else
      # No default: TLS without a certificate is an error.
      "${toString h.sslCertificate} ${toString h.sslCertificateKey}";

  all = builtins.toJSON {
    hosts = lib.mapAttrs (
      _: h:
      removeAttrs h [
        "_module"
        "sslCertificate"
        "sslCertificateKey"
        "locations"
      ]
      // {
        certificate = if ssl h then certOf h else null;
        locations = lib.mapAttrs (_: l: removeAttrs l [ "_module" ]) h.locations;
      }
    ) hosts;
    inherit (cfg)
      config
      httpConfig
      commonHttpConfig
      appendHttpConfig
      appendConfig
      eventsConfig
      streamConfig
      upstreams
      resolver
      ;
  };
  file = pkgs.writeText "nginx.conf" all;
  command = "${cfg.package}/bin/nginx -c '${
    if cfg.enableReload then "/etc/nginx/nginx.conf" else file
  }'";
  readable =
    svc: cert:
    let
      s = svc.serviceConfig;
      group = config.security.acme.certs.${cert}.group;
    in
    (s.User or "root") == "root"
    || lib.elem s.User (config.users.groups.${group}.members or [ ])
    || lib.elem group ([ (s.Group or "") ] ++ lib.toList (s.SupplementaryGroups or [ ]));
in
{
  options.services.nginx = {
    enable = c.off;
    package = c.package "nginxStable";
    user = c.opt types.str "nginx";
    group = c.opt types.str "nginx";
    enableReload = c.off;
    validateConfigFile = c.on;
    additionalModules = c.opt (types.listOf (types.attrsOf types.anything)) [ ];
    statusPage = c.off;
    recommendedTlsSettings = c.off;
    recommendedOptimisation = c.off;
    recommendedBrotliSettings = c.off;
    recommendedGzipSettings = c.off;
    recommendedProxySettings = c.off;
    recommendedUwsgiSettings = c.off;
    experimentalZstdSettings = c.off;
    enableQuicBPF = c.off;
    proxyTimeout = c.opt types.str "60s";
    uwsgiTimeout = c.opt types.str "60s";
    proxyResolveWhileRunning = c.off;
    uwsgiResolveWhileRunning = c.off;
    clientMaxBodySize = c.opt types.str "10m";
    serverTokens = c.off;
    sslCiphers = c.opt (types.nullOr (types.either types.str (types.listOf types.str))) [
      "ECDHE-ECDSA-AES128-GCM-SHA256"
      "ECDHE-RSA-AES128-GCM-SHA256"
      "ECDHE-ECDSA-AES256-GCM-SHA384"
      "ECDHE-RSA-AES256-GCM-SHA384"
      "ECDHE-ECDSA-CHACHA20-POLY1305"
      "ECDHE-RSA-CHACHA20-POLY1305"
    ];
    sslProtocols = c.opt types.str "TLSv1.2 TLSv1.3";
    logError = c.opt types.str "stderr";
    preStart = c.text;
    config = c.opt types.str "";
    prependConfig = c.text;
    appendConfig = c.text;
    httpConfig = c.text;
    commonHttpConfig = c.text;
    appendHttpConfig = c.text;
    eventsConfig = c.text;
    streamConfig = c.text;
    defaultMimeTypes = c.opt types.path "${c.pkg "mailcap"}/etc/nginx/mime.types";
    typesHashMaxSize = c.opt types.ints.positive 2688;
    mapHashBucketSize = c.nullable types.ints.positive;
    mapHashMaxSize = c.nullable types.ints.positive;
    serverNamesHashBucketSize = c.nullable types.ints.positive;
    serverNamesHashMaxSize = c.nullable types.ints.positive;
    defaultHTTPListenPort = c.opt types.port 80;
    defaultSSLListenPort = c.opt types.port 443;
    defaultListen = c.opt (types.listOf (c.strict (listen (c.nullable types.bool)))) [ ];
    defaultListenAddresses = c.opt (types.listOf types.str) (
      [ "0.0.0.0" ] ++ lib.optional config.networking.enableIPv6 "[::0]"
    );
    resolver = c.opt (c.strict {
      addresses = c.strings;
      valid = c.opt types.str "";
      ipv4 = c.on;
      ipv6 = c.flag config.networking.enableIPv6;
    }) { };
    proxyCachePath = c.opt (types.attrsOf (
      c.strict {
        enable = c.off;
        inactive = c.opt types.str "10m";
        keysZoneName = c.opt types.str "cache";
        keysZoneSize = c.opt types.str "10m";
        levels = c.opt types.str "1:2";
        maxSize = c.opt types.str "1g";
        useTempPath = c.off;
      }
    )) { };
    upstreams = c.opt (types.attrsOf (
      c.strict {
        servers = c.opt (types.attrsOf (
          c.free (types.attrsOf (
            types.oneOf [
              types.bool
              types.int
              types.str
            ]
          )) { backup = c.off; }
        )) { };
        extraConfig = c.text;
      }
    )) { };
    virtualHosts = c.opt (types.attrsOf host) { localhost = { }; };
  };

  config = mkIf cfg.enable {
    assertions = [
      (c.check (lib.all (
        h: lib.all (l: l.root == null || l.alias == null) (lib.attrValues h.locations)
      ) hostList) "services.nginx: a location has both root and alias")
      (c.check (lib.all (
        h:
        lib.count lib.id [
          h.addSSL
          h.onlySSL
          h.forceSSL
          h.rejectSSL
        ] <= 1
      ) hostList) "services.nginx: addSSL, onlySSL, forceSSL and rejectSSL are mutually exclusive")
      (c.check (lib.all (
        h: !(h.enableACME && h.useACMEHost != null)
      ) hostList) "services.nginx: enableACME and useACMEHost are mutually exclusive")
      (c.check (lib.all (
        h: lib.all (l: l.proxyPass == null || l.uwsgiPass == null) (lib.attrValues h.locations)
      ) hostList) "services.nginx: proxyPass and uwsgiPass are mutually exclusive")
      (c.check (
        cfg.resolver.ipv4 || cfg.resolver.ipv6
      ) "services.nginx.resolver: one of ipv4 and ipv6 must be true")
    ]
    ++ map (
      cert:
      c.check (readable config.systemd.services.nginx cert) "services.nginx cannot read the certificate ${cert}"
    ) certs;

    environment.etc."nginx/nginx.conf".source = file;
    security.acme.certs = lib.listToAttrs (
      map (
        h:
        if h.useACMEHost != null then
          lib.nameValuePair h.useACMEHost { reloadServices = [ "nginx.service" ]; }
        else
          lib.nameValuePair h.serverName {
            group = lib.mkDefault cfg.group;
            webroot = lib.mkOverride (if h.acmeRoot != null then 1000 else 2000) h.acmeRoot;
            dnsProvider = lib.mkOverride (if h.acmeRoot != null then 1000 else 2000) null;
            extraDomainNames = h.serverAliases;
            reloadServices = [ "nginx.service" ];
          }
      ) withACME
    );
    users.users = lib.optionalAttrs (cfg.user == "nginx") {
      nginx = {
        uid = 60;
        group = cfg.group;
        isSystemUser = true;
      };
    };
    users.groups = lib.optionalAttrs (cfg.group == "nginx") { nginx.gid = 60; };

    # Ports are not opened in the firewall.
    systemd.services.nginx = {
      description = "Nginx Web Server";
      wantedBy = [ "multi-user.target" ];
      wants = lib.optionals (!cfg.enableReload) (map (n: "acme-${n}.service") certs);
      after = [
        "network.target"
      ]
      ++ lib.optionals (!cfg.enableReload) (map (n: "acme-${n}.service") certs);
      before = lib.optionals (!cfg.enableReload) (map (n: "acme-order-renew-${n}.service") certs);
      stopIfChanged = false;
      startLimitIntervalSec = 60;
      preStart = ''
        ${cfg.preStart}
        ${command} -t
      '';
      serviceConfig = {
        ExecStart = command;
        ExecReload = [
          "${command} -t"
          "${c.pkg "coreutils"}/bin/kill -HUP $MAINPID"
        ];
        Restart = "always";
        RestartSec = "10s";
        User = cfg.user;
        Group = cfg.group;
        RuntimeDirectory = "nginx";
        RuntimeDirectoryMode = "0750";
        CacheDirectory = "nginx";
        CacheDirectoryMode = "0750";
        LogsDirectory = "nginx";
        LogsDirectoryMode = "0750";
        UMask = "0027";
        AmbientCapabilities = [
          "CAP_NET_BIND_SERVICE"
          "CAP_SYS_RESOURCE"
        ];
        CapabilityBoundingSet = [
          "CAP_NET_BIND_SERVICE"
          "CAP_SYS_RESOURCE"
        ];
        NoNewPrivileges = true;
        ProtectSystem = "strict";
        ProtectHome = lib.mkDefault true;
        ProtectProc = "invisible";
        ProcSubset = "pid";
        PrivateTmp = true;
        PrivateDevices = true;
        PrivateMounts = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        RemoveIPC = true;
        RestrictAddressFamilies = [
          "AF_UNIX"
          "AF_INET"
          "AF_INET6"
        ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = [ "~@cpu-emulation @debug @keyring @mount @obsolete @privileged @setuid" ];
      };
    };
    systemd.services.nginx-config-reload = mkIf (cfg.enableReload || certs != [ ]) {
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        Type = "oneshot";
        TimeoutSec = 60;
        ExecCondition = "/run/current-system/systemd/bin/systemctl -q is-active nginx.service";
        ExecStart = "/run/current-system/systemd/bin/systemctl reload nginx.service";
      };
    };
  };
}
