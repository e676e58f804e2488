# The flake's outputs, put together from the files beside this one.
{
  self,
  nixpkgs,
  crane,
  ...
}:
let
  inherit (nixpkgs) lib;

  # Where the stack runs. macOS has the package and the development shell, for whoever works on it there.
  linux = [
    "x86_64-linux"
    "aarch64-linux"
  ];
  darwin = [ "aarch64-darwin" ];

  on =
    systems: make:
    lib.genAttrs systems (
      system:
      make rec {
        pkgs = nixpkgs.legacyPackages.${system};
        rust = import ./package.nix { inherit pkgs crane; };
        programs = import ./programs.nix { inherit pkgs; };
        inherit
          (import ./stack.nix {
            inherit pkgs programs;
            inherit (rust) package;
          })
          stack
          full
          ;
        vm = self.nixosConfigurations."vm-${system}".config.system.build.vm;
      }
    );
  everywhere = on (linux ++ darwin);
  onLinux = on linux;

  # One attribute set a system, from two that know different systems.
  merge = lib.recursiveUpdate;

  vm =
    system:
    lib.nixosSystem {
      inherit system;
      modules = [
        self.nixosModules.default
        ./hosts/vm.nix
      ];
    };
in
{
  packages = merge (everywhere (
    { rust, ... }:
    {
      default = rust.package;
      crypto-telemetry = rust.package;
    }
  )) (onLinux ({ stack, full, ... }: { inherit stack full; }));

  apps = merge (everywhere ({ rust, ... }: import ./apps.nix { inherit lib rust; })) (
    onLinux (
      {
        stack,
        full,
        vm,
        ...
      }:
      import ./apps-linux.nix {
        inherit
          lib
          stack
          full
          vm
          ;
      }
    )
  );

  checks = merge (everywhere ({ rust, ... }: rust.checks)) (
    onLinux (
      {
        pkgs,
        rust,
        programs,
        ...
      }:
      import ./checks.nix {
        inherit pkgs rust programs;
        module = self.nixosModules.default;
      }
    )
  );

  devShells = everywhere (
    {
      pkgs,
      rust,
      programs,
      ...
    }:
    {
      default = import ./dev-shell.nix { inherit pkgs rust programs; };
    }
  );

  formatter = everywhere ({ pkgs, ... }: pkgs.nixfmt-tree);

  nixosModules = {
    default = self.nixosModules.crypto-telemetry;
    crypto-telemetry =
      { pkgs, ... }:
      {
        imports = [ ./modules ];
        services.crypto-telemetry.package =
          lib.mkDefault
            self.packages.${pkgs.stdenv.hostPlatform.system}.crypto-telemetry;
      };
  };

  nixosConfigurations = {
    vm = self.nixosConfigurations.vm-x86_64-linux;
  }
  // lib.listToAttrs (map (system: lib.nameValuePair "vm-${system}" (vm system)) linux);
}
