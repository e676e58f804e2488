# `nix flake check`, on Linux: tests, configuration, scripts and virtual machines. (What looks at the sources alone is in
# package.nix.)
{
  pkgs,
  rust,
  programs,
  module,
}:
let
  inherit (pkgs) lib;
  # The configuration, and what check-config.sh compares it with. scripts/check-nix.sh runs that in the same files.
  checkedConfiguration = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      (import ./configuration.nix { inherit lib; })
      ../README.md
      ../docs/runbooks
    ];
  };
  repository = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../flake.nix
      ../nix
      ../scripts
      ../statix.toml
    ];
  };
  vmTests = import ./tests/vm {
    inherit pkgs module;
    inherit (rust) package;
  };
in
{
  tests = rust.tests {
    nativeBuildInputs = programs.tests;
    KAFKA_JARS = programs.kafkaJars;
    # The end-to-end tests want fixed ports and all backends: the virtual machines do what they do.
    cargoTestExtraArgs = "--workspace --lib --bins --test it --test command_line --test garbage --test gauges";
  };

  # Every program checks its own file, as `make check-config` has it.
  configuration =
    pkgs.runCommand "crypto-telemetry-configuration"
      {
        nativeBuildInputs =
          programs.backends ++ programs.configurationCheckers ++ programs.shell ++ [ rust.package ];
      }
      ''
        cp -r ${checkedConfiguration} work
        chmod -R u+w work
        patchShebangs work/scripts
        cd work
        bash scripts/check-config.sh
        touch $out
      '';

  scripts =
    pkgs.runCommand "crypto-telemetry-scripts"
      {
        nativeBuildInputs = [
          pkgs.shellcheck
          pkgs.deadnix
          pkgs.nixfmt
          pkgs.statix
        ];
      }
      ''
        cd ${repository}
        shellcheck -x scripts/*.sh
        nixfmt --check flake.nix $(find nix -name '*.nix')
        deadnix --fail .
        statix check .
        touch $out
      '';
}
// lib.mapAttrs' (name: lib.nameValuePair "vm-${name}") vmTests
