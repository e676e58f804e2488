# services.opentelemetry-collector.
# Follows nixos/modules/services/monitoring/opentelemetry-collector.nix (Swarsel 4aa6836a648c).
# In master since September 2026 validation is on with `settings` and validateConfigOverrides exists; not in 26.05.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.opentelemetry-collector;
  generated =
    if cfg.configFile == null then
      (pkgs.formats.yaml { }).generate "config.yaml" cfg.settings
    else
      cfg.configFile;
  # `validate` resolves ${file:…} and ${env:…} in the build sandbox, where secrets do not exist.
  file =
    if cfg.validateConfigFile then
      pkgs.runCommand "config.yaml" { inherit generated; } ''
        cp $generated $out
        ${lib.getExe cfg.package} validate --config=file:$out
      ''
    else
      generated;
in
{
  options.services.opentelemetry-collector = {
    enable = c.off;
    package = c.package "opentelemetry-collector";
    settings = c.opt c.yaml { };
    configFile = c.nullable types.path;
    validateConfigFile = c.flag (cfg.configFile != null && lib.isStorePath cfg.configFile);
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      (c.check (
        (cfg.settings == { }) != (cfg.configFile == null)
      ) "services.opentelemetry-collector: set either settings or configFile")
    ];
    systemd.services.opentelemetry-collector = {
      description = "OpenTelemetry Collector";
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        ExecStart = "${lib.getExe cfg.package} --config=file:${file}";
        DynamicUser = true;
        Restart = "always";
        ProtectSystem = "full";
        DevicePolicy = "closed";
        NoNewPrivileges = true;
        WorkingDirectory = "%S/opentelemetry-collector";
        StateDirectory = "opentelemetry-collector";
        SupplementaryGroups = [ "systemd-journal" ];
      };
    };
    system.build.offlineConfig.opentelemetry-collector = cfg.settings;
  };
}
