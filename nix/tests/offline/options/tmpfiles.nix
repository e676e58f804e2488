# systemd.tmpfiles. Follows nixos/modules/system/boot/systemd/tmpfiles.nix (Swarsel 4aa6836a648c).
{ lib, pkgs, ... }:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };
  entry = types.submodule (
    { name, ... }:
    {
      options = {
        type = c.opt types.str name;
        mode = c.opt types.str "-";
        user = c.opt types.str "-";
        group = c.opt types.str "-";
        age = c.opt types.str "-";
        argument = c.opt types.str "";
      };
    }
  );
in
{
  options.systemd.tmpfiles = {
    packages = c.packages;
    rules = c.strings;
    # File name, then path, then kind of rule.
    settings = c.opt (types.attrsOf (types.attrsOf (types.attrsOf entry))) { };
  };
}
