# `nix run`: the whole stack from the repository's own process-compose.yaml, with nixpkgs' programs on PATH.
{
  pkgs,
  programs,
  package,
}:
let
  inherit (pkgs) lib;

  # At a place of its own in the store: nothing is ever written there.
  configuration = lib.fileset.toSource {
    root = ../.;
    fileset = import ./configuration.nix { inherit lib; };
  };

  # crypto-telemetry-stack, under this name or another, with further programs and arguments.
  make =
    {
      name,
      engines ? [ ],
      arguments ? [ ],
      # Shell, before the stack starts.
      setUp ? "",
    }:
    pkgs.writeShellApplication {
      inherit name;
      runtimeInputs = stackPrograms ++ engines;
      text = ''
        # As it was called: a path in the store, where `nix run` found it, works when it is typed again.
        export CRYPTO_TELEMETRY_COMMAND=''${CRYPTO_TELEMETRY_COMMAND:-$0}
        ${setUp}
        exec bash ${configuration}/scripts/stack.sh ${lib.escapeShellArgs arguments} "$@"
      '';
      meta = {
        description = "crypto-telemetry with its observability stack, on this machine, with no container";
        inherit (package.meta) license;
        platforms = lib.platforms.linux;
      };
    };
  stackPrograms = [ package ] ++ programs.backends ++ programs.shell;
in
{
  stack = make { name = "crypto-telemetry-stack"; };
  full = make {
    name = "crypto-telemetry-full";
    inherit (programs) engines;
    arguments = [ "--full" ];
    setUp = ''
      export KAFKA_JARS=''${KAFKA_JARS:-${programs.kafkaJars}}
    '';
  };
}
