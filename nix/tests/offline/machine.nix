# A NixOS machine: the modules evaluated against the declared options, with its failed assertions as an error, as
# nixos-rebuild gives them.
{
  lib,
  pkgs,
  modules,
  specialArgs ? { },
}:
let
  machine = lib.evalModules {
    class = "nixos";
    specialArgs = {
      # The one function of nixpkgs' nixos/lib/utils.nix that is used: arguments quoted for systemd.
      utils.escapeSystemdExecArgs = lib.concatMapStringsSep " " (
        argument: lib.replaceStrings [ "%" "$" ] [ "%%" "$$" ] (builtins.toJSON "${argument}")
      );
    }
    // specialArgs;
    modules = [
      ./options
      { _module.args.pkgs = lib.mkDefault pkgs; }
    ]
    ++ modules;
  };
  failed = lib.filter (assertion: !assertion.assertion) machine.config.assertions;
in
if failed == [ ] then
  machine
else
  throw "\nFailed assertions:\n${lib.concatMapStrings (assertion: "- ${assertion.message}\n") failed}"
