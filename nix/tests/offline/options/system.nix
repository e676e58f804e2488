# assertions, warnings, meta, lib, system.*, nix, nixpkgs, documentation.
# Follows nixos/modules/misc/{assertions,meta,lib,documentation,nixpkgs,version}.nix, system/activation/{top-level,
# activation-script}.nix, system/build.nix, config/nix.nix (Swarsel 4aa6836a648c); assertions, meta, lib, version, build
# and nixpkgs.nix from knowledge. Left out: specialisation, system.autoUpgrade, nix.registry's inner options.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  c = import ./common.nix { inherit lib pkgs; };
  failed = map (a: a.message) (lib.filter (a: !a.assertion) config.assertions);

  # Everything a real toplevel depends on, in one text, so that no error stays hidden behind laziness.
  everything = builtins.toJSON {
    services = lib.mapAttrs (_: u: u.text) config.systemd.services;
    targets = lib.mapAttrs (_: u: u.text) config.systemd.targets;
    timers = lib.mapAttrs (_: u: u.text) config.systemd.timers;
    sockets = lib.mapAttrs (_: u: u.text) config.systemd.sockets;
    paths = lib.mapAttrs (_: u: u.text) config.systemd.paths;
    slices = lib.mapAttrs (_: u: u.text) config.systemd.slices;
    userServices = lib.mapAttrs (_: u: u.text) config.systemd.user.services;
    tmpfiles = { inherit (config.systemd.tmpfiles) rules settings; };
    etc = lib.mapAttrsToList (_: f: {
      inherit (f) target mode;
      source = "${f.source}";
    }) (lib.filterAttrs (_: f: f.enable) config.environment.etc);
    packages = map (p: "${p}") config.environment.systemPackages;
    inherit (config.environment) variables sessionVariables;
    inherit (config.boot) kernelParams;
    sysctl = config.boot.kernel.sysctl;
    inherit (config) fileSystems swapDevices;
    users = lib.mapAttrs (_: u: { inherit (u) name group home; }) config.users.users;
    groups = lib.mapAttrs (_: g: g.members) config.users.groups;
    firewall = {
      inherit (config.networking.firewall) allowedTCPPorts allowedUDPPorts interfaces;
    };
    activation = lib.mapAttrs (
      _: s: if lib.isString s then s else s.text
    ) config.system.activationScripts;
    checks = map (x: "${x}") config.system.checks;
    nix = config.nix.settings;
  };

  toplevel =
    if failed != [ ] then
      throw "\nFailed assertions:\n${lib.concatMapStringsSep "\n" (m: "- ${m}") failed}"
    else
      lib.showWarnings config.warnings (
        pkgs.writeText "nixos-system-${config.system.name}-${config.system.nixos.label}" everything
      );

  scriptOrText = types.either types.str (
    c.strict {
      deps = c.strings;
      text = c.need types.lines;
      supportsDryActivation = c.off;
    }
  );

  nixAtom = types.nullOr (
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
      types.path
      types.package
    ]
  );
in
{
  options = {
    assertions = c.opt (types.listOf types.unspecified) [ ];
    warnings = c.strings;
    lib = c.opt (types.attrsOf types.attrs) { };
    meta = {
      maintainers = c.opt (types.listOf types.unspecified) [ ];
      teams = c.opt (types.listOf types.unspecified) [ ];
      doc = c.nullable types.path;
      buildDocsInSandbox = c.on;
    };

    system = {
      name = c.opt types.str (
        if config.networking.hostName == "" then "unnamed" else config.networking.hostName
      );
      stateVersion = c.opt types.str "26.05";
      nixos = {
        release = mkOption {
          type = types.str;
          default = "26.05";
          readOnly = true;
        };
        label = c.opt types.str "26.05";
        tags = c.strings;
        variant_id = c.nullable types.str;
      };
      configurationRevision = c.nullable types.str;
      build = mkOption {
        default = { };
        type = types.submoduleWith {
          modules = [
            {
              freeformType = types.lazyAttrsOf (types.uniq types.unspecified);
              options.toplevel = mkOption {
                type = types.package;
                readOnly = true;
              };
              # Not in NixOS: see default.nix.
              options.offlineConfig = c.opt (types.lazyAttrsOf types.raw) { };
            }
          ];
        };
      };
      checks = c.packages;
      extraDependencies = c.opt (types.listOf types.pathInStore) [ ];
      forbiddenDependenciesRegexes = c.strings;
      activationScripts = c.opt (types.attrsOf scriptOrText) { };
      disableInstallerTools = c.off;
      switch.enable = c.on;
      etc.overlay.enable = c.off;
    };

    documentation = {
      enable = c.on;
      dev.enable = c.off;
      doc.enable = c.on;
      info.enable = c.on;
      man = {
        enable = c.on;
        cache.enable = c.off;
      };
      nixos = {
        enable = c.on;
        includeAllModules = c.off;
      };
    };

    nix = {
      enable = c.on;
      package = c.package "nix";
      checkConfig = c.on;
      extraOptions = c.text;
      channel.enable = c.on;
      nixPath = c.strings;
      registry = c.opt (types.attrsOf types.attrs) { };
      gc = {
        automatic = c.off;
        dates = c.opt (types.either types.singleLineStr (types.listOf types.str)) [ "03:15" ];
        options = c.opt types.singleLineStr "";
      };
      optimise.automatic = c.off;
      settings = c.opt (c.free (types.attrsOf (types.either nixAtom (types.listOf nixAtom))) {
        allowed-users = c.opt (types.listOf types.str) [ "*" ];
        auto-optimise-store = c.off;
        cores = c.opt types.int 0;
        extra-sandbox-paths = c.strings;
        max-jobs = c.opt (types.either types.int (types.enum [ "auto" ])) "auto";
        require-sigs = c.on;
        sandbox = c.opt (types.either types.bool (types.enum [ "relaxed" ])) true;
        substituters = c.need (types.listOf types.str);
        trusted-public-keys = c.need (types.listOf types.str);
        trusted-substituters = c.strings;
        trusted-users = c.need (types.listOf types.str);
      }) { };
    };

    nixpkgs = {
      hostPlatform = c.need (types.either types.str types.attrs);
      buildPlatform = c.opt (types.either types.str types.attrs) pkgs.stdenv.hostPlatform.system;
      config = c.opt types.attrs { };
      overlays = c.opt (types.listOf types.unspecified) [ ];
      pkgs = c.need types.unspecified;
    };
  };

  config = {
    system.build.toplevel = toplevel;
    system.extraDependencies = [ ];
    nix.settings = {
      substituters = lib.mkAfter [ "https://cache.nixos.org/" ];
      trusted-public-keys = [ "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=" ];
      trusted-users = [ "root" ];
    };
    warnings = lib.optional (
      options.system.stateVersion.highestPrio == (lib.mkOptionDefault { }).priority
    ) "system.stateVersion is not set, defaulting to ${config.system.nixos.release}";
  };
}
