# What runNixOSTest adds to a node. Import it beside default.nix when nodes of a VM test are evaluated.
# Follows nixos/lib/testing/{nodes,network}.nix and modules/testing/test-instrumentation.nix, all from knowledge.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };
in
{
  imports = [ ./qemu-vm.nix ];

  options = {
    networking.primaryIPAddress = c.opt types.str "192.168.1.1";
    networking.primaryIPv6Address = c.opt types.str "2001:db8:1::1";
    virtualisation.vlans = c.opt (types.listOf types.ints.unsigned) [ 1 ];
    virtualisation.interfaces = c.opt (types.attrsOf (
      c.strict {
        vlan = c.need types.ints.unsigned;
        assignIP = c.off;
      }
    )) { };
    virtualisation.test.nodeName = c.opt types.str config.networking.hostName;
    testing.initrdBackdoor = c.off;
  };

  config = {
    virtualisation.graphics = lib.mkDefault false;
    documentation.enable = lib.mkDefault false;
    # runNixOSTest gives the nodes a finished package set; nixpkgs.* is read-only there.
    assertions =
      map
        (
          name:
          c.check (
            !options.nixpkgs.${name}.isDefined
            || options.nixpkgs.${name}.highestPrio >= (lib.mkOptionDefault { }).priority
          ) "nixpkgs.${name} is read-only in the nodes of runNixOSTest"
        )
        [
          "config"
          "overlays"
          "hostPlatform"
          "buildPlatform"
        ];
  };
}
