# security: sudo, PKI and a few kernel switches (acme has its own file).
# Follows nixos/modules/security/sudo.nix (Swarsel 4aa6836a648c); the rest from knowledge, and only in part.
{ lib, pkgs, ... }:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };
  who = c.opt (types.listOf (types.either types.str types.int)) [ ];
in
{
  options.security = {
    sudo = {
      enable = c.on;
      package = c.package "sudo";
      wheelNeedsPassword = c.on;
      execWheelOnly = c.off;
      defaultOptions = c.opt (types.listOf types.str) [ "SETENV" ];
      extraConfig = c.text;
      extraRules = c.opt (types.listOf (
        c.strict {
          users = who;
          groups = who;
          host = c.opt types.str "ALL";
          runAs = c.opt types.str "ALL:ALL";
          commands = c.need (
            types.listOf (
              types.either types.str (
                c.strict {
                  command = c.need types.str;
                  options = c.strings;
                }
              )
            )
          );
        }
      )) [ ];
    };
    pki = {
      certificateFiles = c.opt (types.listOf types.path) [ ];
      certificates = c.strings;
      installCACerts = c.on;
    };
    pam.loginLimits = c.opt (types.listOf types.attrs) [ ];
    polkit.enable = c.off;
    allowUserNamespaces = c.on;
    protectKernelImage = c.off;
    lockKernelModules = c.off;
  };
}
