# Packages that are a name and a version, and the functions that make files, scripts and sources. A package that is not in
# `programs` does not exist, and a derivation argument that Nix would refuse is refused.
{ lib, system }:
let
  platform = lib.systems.elaborate system;

  # What Nix takes as a derivation's argument.
  isArgument =
    value:
    value == null
    || lib.isString value
    || lib.isInt value
    || lib.isBool value
    || lib.isPath value
    || lib.isDerivation value
    || (lib.isList value && lib.all isArgument value);

  mkDerivation =
    given:
    let
      arguments = if lib.isFunction given then given (arguments // { finalPackage = made; }) else given;
      name = arguments.name or "${arguments.pname}-${arguments.version}";
      kept = lib.filterAttrs (key: value: !(lib.elem key own) && isArgument value) (
        arguments // (arguments.env or { })
      );
      own = [
        "name"
        "meta"
        "passthru"
        "env"
        "outputs"
        "system"
        "builder"
        "args"
      ];
      raw = derivation (
        kept
        // {
          inherit name system;
          builder = "/bin/sh";
          args = [
            "-c"
            "exit 1"
          ];
        }
      );
      made = lib.extendDerivation true (
        {
          inherit name;
          pname = arguments.pname or name;
          version = arguments.version or "0";
          meta = arguments.meta or { };
          passthru = arguments.passthru or { };
          override = _: made;
          overrideAttrs =
            change: mkDerivation (arguments // (if lib.isFunction change then change arguments else change));
        }
        // arguments.passthru or { }
      ) raw;
    in
    made;

  program =
    name:
    {
      main ? name,
      version ? "1",
      platforms ? lib.platforms.all,
    }:
    lib.throwIfNot (lib.elem system platforms) "${name} is not available on ${system}" (mkDerivation {
      pname = name;
      inherit version;
      meta = {
        mainProgram = main;
        inherit platforms;
      };
    });

  # By the name they have in nixpkgs, with the name of the program and, where something depends on it, the version.
  programs = lib.mapAttrs program {
    apacheKafka_4_2 = {
      main = "kafka-server-start.sh";
    };
    bash = { };
    cacert = { };
    cargo = { };
    cargo-deny = { };
    cargo-nextest = { };
    chromedriver.platforms = lib.platforms.linux;
    chromium.platforms = lib.platforms.linux;
    clippy = { };
    coreutils = { };
    curl = { };
    deadnix = { };
    findutils = { };
    gawk = { };
    git = { };
    gnugrep = { };
    gnumake = { };
    gnused = { };
    grafana.version = "13.0.2";
    grafana-loki = {
      main = "loki";
      version = "3.7.2";
    };
    inferno = { };
    jdk17_headless.main = "java";
    jq = { };
    libiconv = { };
    lld = { };
    nixfmt = { };
    nixfmt-tree = { };
    opentelemetry-collector.main = "otelcol";
    opentelemetry-collector-contrib = {
      main = "otelcol-contrib";
      version = "0.151.0";
    };
    openssl = { };
    pkg-config = { };
    postgresql_17.main = "postgres";
    process-compose.version = "1.110.0";
    prometheus.version = "3.11.3";
    prometheus-alertmanager = {
      main = "alertmanager";
      version = "0.31.1";
    };
    prometheus-node-exporter.main = "node_exporter";
    python3 = { };
    redis.main = "redis-cli";
    removeReferencesTo = { };
    rsync = { };
    rust-analyzer = { };
    rustc = { };
    rustfmt = { };
    shellcheck = { };
    statix = { };
    systemd.platforms = lib.platforms.linux;
    tempo.version = "2.10.5";
    util-linux.platforms = lib.platforms.linux;
    valkey.main = "valkey-cli";
    writableTmpDirAsHomeHook = { };
    zlib = { };
    zstd = { };
  };

  file =
    name: text:
    mkDerivation {
      inherit name text;
      passthru = { inherit text; };
    };
  toolchain = name: mkDerivation { inherit name; } // { targetPrefix = ""; };
in
lib.fix (
  pkgs:
  programs
  // {
    inherit lib system pkgs;
    config = { };
    stdenv = {
      inherit mkDerivation system;
      buildPlatform = platform;
      hostPlatform = platform;
      targetPlatform = platform;
      inherit (platform) isDarwin isLinux;
      cc = toolchain "cc" // {
        bintools = toolchain "bintools";
      };
    };
    stdenvNoCC = pkgs.stdenv;
    clangStdenv = pkgs.stdenv;
    postgresql = pkgs.postgresql_17;
    apacheKafka = pkgs.apacheKafka_4_2;
    # crane asks for these.
    newScope = extra: lib.callPackageWith (pkgs // extra);
    callPackage = pkgs.newScope { };
    splicePackages = { pkgsHostTarget, ... }: pkgsHostTarget;
    makeScopeWithSplicing' = lib.makeScopeWithSplicing' { inherit (pkgs) splicePackages newScope; };
    pkgsBuildBuild = pkgs;
    pkgsBuildHost = pkgs;
    pkgsBuildTarget = pkgs;
    pkgsHostHost = pkgs;
    pkgsHostTarget = pkgs;
    pkgsTargetTarget = pkgs;
    buildPackages = pkgs;
    targetPackages = pkgs;
    pkgsCross = { };

    writeText = file;
    writeTextDir = path: file (baseNameOf path);
    writeShellScript = file;
    writeTextFile = arguments: file arguments.name arguments.text;
    writeShellScriptBin = name: text: file name text // { meta.mainProgram = name; };
    # Its arguments are named, so that one that it does not have is an error. The text is what the real one writes.
    writeShellApplication =
      {
        name,
        text,
        runtimeInputs ? [ ],
        meta ? { },
        passthru ? { },
      }:
      let
        whole = ''
          #!/usr/bin/env bash
          set -o errexit
          set -o nounset
          set -o pipefail

          export PATH="${lib.makeBinPath runtimeInputs}:$PATH"

          ${text}
        '';
      in
      mkDerivation {
        inherit name runtimeInputs;
        text = whole;
        meta = {
          mainProgram = name;
        }
        // meta;
        passthru = {
          text = whole;
        }
        // passthru;
      };
    runCommand =
      name: environment: buildCommand:
      mkDerivation (environment // { inherit name buildCommand; });
    runCommandLocal = pkgs.runCommand;
    linkFarm =
      name: entries:
      mkDerivation {
        inherit name;
        entries = builtins.toJSON entries;
      };
    symlinkJoin = mkDerivation;
    makeSetupHook =
      arguments: script:
      mkDerivation {
        name = arguments.name or "hook";
        inherit script;
      };
    mkShell = arguments: mkDerivation ({ name = "shell"; } // arguments);
    mkShellNoCC = pkgs.mkShell;
    fetchurl =
      {
        url ? "",
        name ? "source",
        ...
      }:
      mkDerivation { inherit name url; };
    formats =
      lib.genAttrs
        [
          "ini"
          "json"
          "keyValue"
          "javaProperties"
          "toml"
          "yaml"
        ]
        (
          _: _: {
            type = lib.types.anything;
            generate = name: value: file name (builtins.toJSON value);
          }
        );
    # crane builds a program of its own with it, which takes further functions as arguments.
    rustPlatform = {
      buildRustPackage =
        arguments: mkDerivation (lib.filterAttrs (_: value: !lib.isFunction value) arguments);
      importCargoLock = _: mkDerivation { name = "vendored"; };
    };
    testers.runNixOSTest = import ./vm-test.nix { inherit lib pkgs mkDerivation; };
  }
)
