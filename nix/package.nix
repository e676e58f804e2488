# The binary, and what checks its sources, built by crane: the dependencies once, for all of them.
{ pkgs, crane }:
let
  inherit (pkgs) lib;
  inherit (lib) fileset;

  craneLib = crane.mkLib pkgs;
  manifest = lib.importTOML ../Cargo.toml;

  # Everything under crates/ belongs to a crate: sources, migrations, pages, recorded prices, what tests compare with.
  workspace = fileset.unions [
    ../Cargo.toml
    ../Cargo.lock
    ../crates
  ];
  sourceOf =
    files:
    fileset.toSource {
      root = ../.;
      fileset = files;
    };
  # With the settings of the tools that look at the sources.
  checked = sourceOf (
    fileset.unions [
      workspace
      ../clippy.toml
      ../deny.toml
      ../rustfmt.toml
    ]
  );

  common = {
    pname = "crypto-telemetry";
    inherit (manifest.workspace.package) version;
    src = sourceOf workspace;
    strictDeps = true;
    # librdkafka is built from source; its configure begins with /usr/bin/env, which there is not while Nix builds.
    cargoVendorDir = craneLib.vendorCargoDeps {
      src = sourceOf workspace;
      overrideVendorCargoPackage =
        crate: vendored:
        if crate.name == "rdkafka-sys" then
          vendored.overrideAttrs { postPatch = "patchShebangs librdkafka"; }
        else
          vendored;
    };
    nativeBuildInputs = [ pkgs.pkg-config ];
    buildInputs = [
      pkgs.openssl
      pkgs.zlib
    ];
  };
  cargoArtifacts = craneLib.buildDepsOnly common;
  # Tests and lints are built without the release profile's link-time optimisation.
  development = common // {
    src = checked;
    CARGO_PROFILE = "dev";
  };
  developmentArtifacts = craneLib.buildDepsOnly development;
in
rec {
  inherit craneLib;

  # `crypto-telemetry doctor` as a program of its own, for `nix run .#doctor`.
  doctor = pkgs.writeShellApplication {
    name = "crypto-telemetry-doctor";
    text = ''exec ${lib.getExe package} doctor "$@"'';
  };

  package = craneLib.buildPackage (
    common
    // {
      inherit cargoArtifacts;
      cargoExtraArgs = "--locked -p crypto-telemetry";
      # checks.tests runs them, once, with the programs that they need.
      doCheck = false;
      meta = {
        description = "A trading-signal platform that can be watched from end to end";
        license = with lib.licenses; [
          mit
          asl20
        ];
        mainProgram = "crypto-telemetry";
        platforms = lib.platforms.linux ++ lib.platforms.darwin;
      };
    }
  );

  # The repository as its tests read it, which compare documents, dashboards and process-compose.yaml with the code.
  tests =
    arguments:
    craneLib.cargoTest (
      development
      // {
        src = sourceOf (
          fileset.unions [
            workspace
            (import ./configuration.nix { inherit lib; })
            ../docs
            ../nix
          ]
        );
        cargoArtifacts = developmentArtifacts;
        # Tests that cannot find a program they need then fail rather than say so.
        CI = "true";
      }
      // arguments
      // {
        nativeBuildInputs = development.nativeBuildInputs ++ arguments.nativeBuildInputs or [ ];
      }
    );

  checks = {
    format = craneLib.cargoFmt (common // { src = checked; });
    lint = craneLib.cargoClippy (
      development
      // {
        cargoArtifacts = developmentArtifacts;
        cargoClippyExtraArgs = "--workspace --all-targets -- --deny warnings";
      }
    );
    documentation = craneLib.cargoDoc (
      development
      // {
        cargoArtifacts = developmentArtifacts;
        cargoDocExtraArgs = "--workspace --no-deps";
        RUSTDOCFLAGS = "-D warnings";
      }
    );
    licences = craneLib.cargoDeny (common // { src = checked; });
  };
}
