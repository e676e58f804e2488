# `nix develop`: everything that building, testing, checking and looking at this project takes, at the versions of the lock.
{
  pkgs,
  rust,
  programs,
}:
let
  inherit (pkgs) lib;
  onLinux = lib.optionals pkgs.stdenv.hostPlatform.isLinux;
in
rust.craneLib.devShell {
  packages = [
    # Rust comes with craneLib.devShell.
    pkgs.rust-analyzer
    pkgs.cargo-deny
    pkgs.cargo-nextest
    pkgs.pkg-config
    pkgs.openssl
    pkgs.zlib

    # Nix
    pkgs.deadnix
    pkgs.nixfmt
    pkgs.statix

    # Scripts
    pkgs.git
    pkgs.gnumake
    pkgs.shellcheck
  ]
  ++ programs.shell
  ++ programs.tests
  # The stack of `make up` and the pages' tests. What of it macOS has, people there take from nixpkgs themselves.
  ++ onLinux (programs.backends ++ programs.configurationCheckers ++ programs.browser);

  # `make up` then starts these instead of compiling the Go programs.
  CRYPTO_TELEMETRY_BACKENDS = "path";
  KAFKA_JARS = programs.kafkaJars;
}
