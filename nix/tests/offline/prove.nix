# Everything that the proof takes out of the evaluation, as one value for `nix-instantiate --eval --strict --json`.
#   nixpkgs: the stand-in (nixpkgs.nix beside lib)   crane: crane's sources   project: this repository
{
  nixpkgs,
  crane,
  project,
}:
let
  stand-in = import "${nixpkgs}/nixpkgs.nix";
  inherit (stand-in) lib;
  outputs = (import "${project}/flake.nix").outputs {
    inherit self;
    nixpkgs = stand-in;
    crane = (import "${crane}/flake.nix").outputs { self = crane; };
  };
  self = outputs // {
    outPath = project;
  };
  cases = import ./cases.nix { inherit lib; };

  machine =
    configuration:
    stand-in.lib.nixosSystem {
      system = "x86_64-linux";
      modules = [
        self.nixosModules.default
        configuration
        {
          networking.hostName = "proof";
          system.stateVersion = "26.05";
          fileSystems."/" = {
            device = "/dev/vda";
            fsType = "ext4";
          };
          boot.loader.grub.device = "/dev/vda";
        }
      ];
    };

  isOurs = name: lib.hasPrefix "crypto-telemetry-" name;
  # NixOS's own, as options/ has them, with what our modules add.
  isBackend =
    name:
    lib.elem name [
      "alertmanager"
      "grafana"
      "loki"
      "opentelemetry-collector"
      "prometheus"
      "redis-crypto-telemetry"
      "tempo"
    ];
  # Store paths differ with every change: what is committed has their names only.
  plain =
    text:
    let
      parts = builtins.split "/nix/store/[0-9a-z]{32}-" text;
    in
    lib.concatStrings (map (part: if lib.isList part then "/nix/store/" else part) parts);

  # What units lean on beside themselves, as scripts/boot-units.sh makes it.
  besideUnits = config: {
    groups = lib.filter isOurs (lib.attrNames config.users.groups);
    tmpfiles = lib.concatLists (
      lib.mapAttrsToList
        (
          path: kinds:
          lib.mapAttrsToList (
            _: rule: "${rule.type} ${path} ${rule.mode} ${rule.user} ${rule.group} ${rule.age} ${rule.argument}"
          ) kinds
        )
        (
          lib.concatMapAttrs (_: paths: paths) (
            lib.filterAttrs (name: _: isOurs name) config.systemd.tmpfiles.settings
          )
        )
    );
    postgresql =
      let
        own = config.services.postgresql;
      in
      if own.enable then
        {
          databases = own.ensureDatabases;
          roles = map (user: user.name) own.ensureUsers;
          connections = own.settings.max_connections;
          inherit (own) authentication identMap;
        }
      else
        null;
    # redis.conf, by server.
    redis = lib.mapAttrs (_: server: server.settings) config.services.redis.servers;
    # What login shells have.
    variables = lib.filterAttrs (
      name: _:
      lib.hasSuffix "_PORT" name || lib.hasPrefix "CRYPTO_TELEMETRY_" name || name == "DOCTOR_SKIP"
    ) config.environment.variables;
  };

  described =
    { config, ... }:
    # The whole machine, so that an error anywhere in it is an error here.
    builtins.seq config.system.build.toplevel.drvPath {
      units = lib.mapAttrs (_: unit: plain unit.text) (
        lib.filterAttrs (name: _: isOurs name) config.systemd.services
      );
      backends = lib.mapAttrs (_: unit: plain unit.text) (
        lib.filterAttrs (name: _: isBackend name) config.systemd.services
      );
      environments = lib.mapAttrs (
        _: unit: lib.mapAttrs (_: plain) (lib.filterAttrs (_: value: value != null) unit.environment)
      ) (lib.filterAttrs (name: _: isBackend name) config.systemd.services);
      prometheus =
        if config.services.prometheus.enable then plain config.services.prometheus.configText else null;
      alertmanager =
        if config.services.prometheus.alertmanager.enable then
          plain config.services.prometheus.alertmanager.configText
        else
          null;
      caddy = lib.mapAttrs (_: host: host.extraConfig) config.services.caddy.virtualHosts;
      beside = besideUnits config;
      openPorts = config.networking.firewall.allowedTCPPorts;
      inherit (config) warnings;
    };
in
{
  proven = {
    machines = lib.mapAttrs (_: configuration: described (machine configuration)) cases.machines;
    vm = described outputs.nixosConfigurations.vm;
    scripts = lib.genAttrs [ "stack" "full" ] (name: plain outputs.packages.x86_64-linux.${name}.text);
    # What the flake puts before the script that all of them share.
    vmTests = lib.mapAttrs (
      _: check:
      plain (lib.removeSuffix (builtins.readFile "${project}/nix/tests/vm/machine.py") check.script)
    ) (lib.filterAttrs (name: _: lib.hasPrefix "vm-" name) outputs.checks.x86_64-linux);
    # Every output on every system, by name, with what it evaluates to.
    outputs = {
      packages = lib.mapAttrs (
        _: lib.mapAttrs (_: package: builtins.seq package.drvPath package.name)
      ) outputs.packages;
      checks = lib.mapAttrs (
        _: lib.mapAttrs (_: check: builtins.seq check.drvPath check.name)
      ) outputs.checks;
      devShells = lib.mapAttrs (
        _: lib.mapAttrs (_: shell: builtins.seq shell.drvPath shell.name)
      ) outputs.devShells;
      formatter = lib.mapAttrs (
        _: formatter: builtins.seq formatter.drvPath formatter.name
      ) outputs.formatter;
      apps = lib.mapAttrs (
        _: lib.mapAttrs (_: app: builtins.seq app.program app.meta.description)
      ) outputs.apps;
      nixosConfigurations = lib.attrNames outputs.nixosConfigurations;
      nixosModules = lib.attrNames outputs.nixosModules;
    };
    mistakes = lib.mapAttrs (_: mistake: mistake.says) cases.mistakes;
  };
  # One by one, because each must fail.
  mistake = lib.mapAttrs (_: mistake: (described (machine mistake.machine)).units) cases.mistakes;
}
