# `nix run .#NAME`, where the stack and the virtual machine run.
{
  lib,
  stack,
  full,
  vm,
}:
let
  app = program: description: {
    type = "app";
    inherit program;
    meta = { inherit description; };
  };
in
{
  default = app (lib.getExe stack) "The whole stack, on this machine";
  full = app (lib.getExe full) "The whole stack, with PostgreSQL, Kafka and Valkey";
  vm = app (lib.getExe vm) "The whole stack as a NixOS machine in QEMU";
}
