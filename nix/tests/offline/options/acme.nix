# security.acme. Follows nixos/modules/security/acme/default.nix (Swarsel 4aa6836a648c): options, assertions, and the
# names and settings of its units; their scripts are stand-ins.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.security.acme;
  user = if cfg.useRoot then "root" else "acme";

  # The options that certs take from `defaults`.
  shared =
    isDefaults:
    { config, ... }:
    let
      inherited =
        name: type: default:
        c.opt type (if isDefaults || !config.inheritDefaults then default else cfg.defaults.${name});
    in
    {
      options = lib.mapAttrs (name: d: inherited name d.type d.default) {
        server = {
          type = types.nullOr types.str;
          default = "https://acme-v02.api.letsencrypt.org/directory";
        };
        email = {
          type = types.nullOr types.str;
          default = null;
        };
        group = {
          type = types.str;
          default = "acme";
        };
        keyType = {
          type = types.str;
          default = "ec256";
        };
        profile = {
          type = types.nullOr types.str;
          default = null;
        };
        webroot = {
          type = types.nullOr types.str;
          default = null;
        };
        listenHTTP = {
          type = types.nullOr types.str;
          default = null;
        };
        dnsProvider = {
          type = types.nullOr types.str;
          default = null;
        };
        dnsResolver = {
          type = types.nullOr types.str;
          default = null;
        };
        dnsPropagationCheck = {
          type = types.bool;
          default = true;
        };
        environmentFile = {
          type = types.nullOr types.path;
          default = null;
        };
        credentialFiles = {
          type = types.attrsOf types.path;
          default = { };
        };
        reloadServices = {
          type = types.listOf types.str;
          default = [ ];
        };
        postRun = {
          type = types.lines;
          default = "";
        };
        renewInterval = {
          type = types.str;
          default = "daily";
        };
        renewJitter = {
          type = types.str;
          default = "24h";
        };
        ocspMustStaple = {
          type = types.bool;
          default = false;
        };
        enableDebugLogs = {
          type = types.bool;
          default = true;
        };
        extraLegoFlags = {
          type = types.listOf types.str;
          default = [ ];
        };
        extraLegoRunFlags = {
          type = types.listOf types.str;
          default = [ ];
        };
        extraLegoRenewFlags = {
          type = types.listOf types.str;
          default = [ ];
        };
      };
    };
  cert =
    { name, ... }:
    {
      options = {
        inheritDefaults = c.on;
        validMinDays = c.nullable types.int;
        domain = c.opt types.str name;
        extraDomainNames = c.strings;
        csr = c.nullable types.str;
        csrKey = c.nullable types.str;
        s3Bucket = c.nullable types.str;
        directory = lib.mkOption {
          type = types.str;
          default = "/var/lib/acme/${name}";
          readOnly = true;
        };
      };
    };

  hardened = {
    Type = "oneshot";
    User = user;
    Group = lib.mkDefault "acme";
    UMask = "0022";
    StateDirectoryMode = "750";
    ProtectSystem = "strict";
    ReadWritePaths = [
      "/var/lib/acme"
      "/run/acme/"
    ];
    PrivateTmp = true;
    WorkingDirectory = "/tmp";
    CapabilityBoundingSet = [ "" ];
    NoNewPrivileges = true;
  };
in
{
  options.security.acme = {
    acceptTerms = c.off;
    useRoot = c.off;
    maxConcurrentRenewals = c.opt types.int 5;
    defaults = c.opt (types.submodule {
      imports = [ (shared true) ];
      options.validMinDays = c.nullable types.int;
    }) { };
    certs = c.opt (types.attrsOf (
      types.submodule [
        (shared false)
        cert
      ]
    )) { };
  };

  config = lib.mkIf (cfg.certs != { }) {
    assertions = [
      (c.check cfg.acceptTerms "security.acme.acceptTerms must be true to use the ACME module")
    ]
    ++ lib.concatLists (
      lib.mapAttrsToList (n: d: [
        (c.check (!lib.hasInfix "*" n) "security.acme.certs.${n}: the name holds a *; set domain instead")
        (c.check (
          lib.count (x: x != null) [
            d.dnsProvider
            d.webroot
            d.listenHTTP
            d.s3Bucket
          ] == 1
        ) "security.acme.certs.${n}: set exactly one of dnsProvider, webroot, listenHTTP and s3Bucket")
        (c.check (lib.all (k: lib.hasSuffix "_FILE" k || lib.hasSuffix "_PATH" k) (
          lib.attrNames d.credentialFiles
        )) "security.acme.certs.${n}.credentialFiles: names must end in _FILE or _PATH")
        (c.check (
          (d.csr == null) == (d.csrKey == null)
        ) "security.acme.certs.${n}: csr and csrKey belong together")
      ]) cfg.certs
    );
    users.users.acme = {
      home = "/var/lib/acme";
      homeMode = "755";
      group = "acme";
      isSystemUser = true;
    };
    users.groups.acme = { };
    systemd.services = {
      acme-setup = {
        description = "Set up the ACME certificate renewal infrastructure";
        script = "true";
        serviceConfig = hardened // {
          RemainAfterExit = true;
          RuntimeDirectory = "acme";
        };
      };
    }
    // lib.concatMapAttrs (n: d: {
      "acme-${n}" = {
        description = "Ensure certificate for ${n}";
        wantedBy = [ "multi-user.target" ];
        after = [ "acme-setup.service" ];
        before = [ "acme-order-renew-${n}.service" ];
        wants = [
          "acme-setup.service"
          "acme-order-renew-${n}.service"
        ];
        unitConfig.StartLimitIntervalSec = 0;
        script = "true";
        serviceConfig = hardened // {
          Group = d.group;
          RemainAfterExit = true;
          StateDirectory = "acme/${n}";
        };
      };
      "acme-order-renew-${n}" = {
        description = "Order (and renew) ACME certificate for ${n}";
        after = [
          "network.target"
          "network-online.target"
          "acme-setup.service"
          "nss-lookup.target"
          "acme-${n}.service"
        ];
        wants = [
          "network-online.target"
          "acme-setup.service"
          "acme-${n}.service"
        ];
        script = "true";
        serviceConfig = hardened // {
          Group = d.group;
          RestartSec = 15 * 60;
          EnvironmentFile = lib.mkIf (d.environmentFile != null) d.environmentFile;
          LoadCredential = lib.mapAttrsToList (k: v: "${k}:${v}") d.credentialFiles;
        };
      };
    }) cfg.certs;
    systemd.timers = lib.mapAttrs' (
      n: d:
      lib.nameValuePair "acme-renew-${n}" {
        wantedBy = [ "timers.target" ];
        timerConfig = {
          OnCalendar = d.renewInterval;
          Unit = "acme-order-renew-${n}.service";
          Persistent = "yes";
          RandomizedDelaySec = d.renewJitter;
        };
      }
    ) cfg.certs;
  };
}
