# services.tempo: no package option, no validation. Follows nixos/modules/services/tracing/tempo.nix (Swarsel 4aa6836a648c).
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.services.tempo;
  tempo = c.pkg "tempo";
  file =
    if cfg.configFile == null then
      (pkgs.formats.yaml { }).generate "config.yaml" cfg.settings
    else
      cfg.configFile;
in
{
  options.services.tempo = {
    enable = c.off;
    settings = c.opt c.yaml { };
    configFile = c.nullable types.path;
    extraFlags = c.strings;
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ tempo ];
    assertions = [
      (c.check (
        (cfg.settings == { }) != (cfg.configFile == null)
      ) "services.tempo: set either settings or configFile")
    ];
    systemd.services.tempo = {
      description = "Grafana Tempo";
      wantedBy = [ "multi-user.target" ];
      serviceConfig = {
        ExecStart = "${tempo}/bin/tempo --config.file=${file} ${lib.escapeShellArgs cfg.extraFlags}";
        DynamicUser = true;
        Restart = "always";
        ProtectSystem = "full";
        DevicePolicy = "closed";
        NoNewPrivileges = true;
        WorkingDirectory = "/var/lib/tempo";
        StateDirectory = "tempo";
      };
    };
    system.build.offlineConfig.tempo = cfg.settings;
  };
}
