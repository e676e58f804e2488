# Strict declarations of the NixOS options this project uses, for an offline proof of its modules.
# An option that is not declared here, or a value of a wrong type, is an evaluation error, as on NixOS 26.05.
#
# Source of the facts: nixpkgs modules as stored in Swarsel/nixpkgs at 4aa6836a648c (the same modules as NixOS/nixpkgs,
# sorted; taken shortly after the branch-off of 26.05, since it already knows "26.11"). Each file names its modules
# and what could not be checked. Nothing here is copied: only names, types, defaults and unit settings are the same.
#
# Use: lib.evalModules { class = "nixos"; modules = [ ./. { _module.args.pkgs = pkgs; } ] ++ yours; }
# and then force config.system.build.toplevel.drvPath: it throws the failed assertions and forces every unit,
# file in /etc, user, check and package. Do not turn a whole unit into JSON: as in NixOS, options without a default
# (startLimitBurst, startLimitIntervalSec) throw when they are read. Read its `text` instead.
# system.build.offlineConfig.<service> holds the configuration a service gets (values or text), for its own checker.
# `utils` is a special argument in NixOS: the caller gives it.
#
# Not imported here: qemu-vm.nix (only inside virtualisation.vmVariant) and test-node.nix (add it for VM test nodes).
{
  imports = [
    ./acme.nix
    ./alertmanager.nix
    ./apache-kafka.nix
    ./boot.nix
    ./caddy.nix
    ./environment.nix
    ./grafana.nix
    ./host.nix
    ./loki.nix
    ./networking.nix
    ./nginx.nix
    ./opentelemetry-collector.nix
    ./postgresql.nix
    ./prometheus.nix
    ./redis.nix
    ./security.nix
    ./system.nix
    ./tempo.nix
    ./tmpfiles.nix
    ./units.nix
    ./users.nix
    ./virtualisation.nix
  ];
}
