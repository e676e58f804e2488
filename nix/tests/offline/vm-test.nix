# pkgs.testers.runNixOSTest: each node is a machine, and the script is given to the derivation.
{
  lib,
  pkgs,
  mkDerivation,
}:
test:
let
  nodes = lib.mapAttrs (
    name: module:
    import ./machine.nix {
      inherit lib pkgs;
      modules = [
        module
        ./options/test-node.nix
        {
          networking.hostName = lib.mkDefault name;
          system.stateVersion = lib.mkDefault "26.05";
        }
      ];
    }
  ) test.nodes;
  script =
    if lib.isFunction test.testScript then
      test.testScript { nodes = lib.mapAttrs (_: node: node.config) nodes; }
    else
      test.testScript;
in
mkDerivation {
  name = "vm-test-run-${test.name}";
  testScript = script;
  machines = lib.mapAttrsToList (_: node: node.config.system.build.toplevel) nodes;
  passthru = { inherit nodes script; };
}
