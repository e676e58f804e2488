# `nix run .#NAME`, on every system.
{ lib, rust }:
{
  # `nix run .#doctor`: which hop of the running stack loses what.
  doctor = {
    type = "app";
    program = "${rust.doctor}/bin/crypto-telemetry-doctor";
    meta.description = "Sends one probe through the running stack and names the hop that loses it";
  };
  crypto-telemetry = {
    type = "app";
    program = lib.getExe rust.package;
    meta.description = "The binary: one subcommand a service or tool";
  };
}
