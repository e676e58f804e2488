# What the flake asks of its input nixpkgs: lib, legacyPackages, lib.nixosSystem. Expects nixpkgs' lib in ./lib.
let
  lib = (import ./lib).extend (
    _: _: {
      nixosSystem =
        {
          system,
          modules,
          specialArgs ? { },
        }:
        import ./machine.nix {
          inherit lib modules specialArgs;
          pkgs = packages system;
        };
    }
  );
  packages = system: import ./pkgs.nix { inherit lib system; };
in
{
  inherit lib;
  legacyPackages = lib.genAttrs [
    "x86_64-linux"
    "aarch64-linux"
    "aarch64-darwin"
  ] packages;
}
