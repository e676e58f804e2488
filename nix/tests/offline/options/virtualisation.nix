# virtualisation.vmVariant: the same system once more, with the options of qemu-vm.nix.
# Follows nixos/modules/virtualisation/build-vm.nix (Swarsel 4aa6836a648c).
# On a plain system virtualisation.memorySize and the like do not exist; VM test nodes have them (test-node.nix).
{
  config,
  extendModules,
  lib,
  ...
}:
let
  variant = extendModules { modules = [ ./qemu-vm.nix ]; };
  withBootLoader = variant.extendModules { modules = [ { virtualisation.useBootLoader = true; } ]; };
  nested = lib.mkOption {
    apply = _: throw "virtualisation.vmVariant*.virtualisation.vmVariant is not supported";
  };
in
{
  options.virtualisation = {
    vmVariant = lib.mkOption {
      inherit (variant) type;
      default = { };
    };
    vmVariantWithBootLoader = lib.mkOption {
      inherit (withBootLoader) type;
      default = { };
    };
  };

  config = {
    system.build.vm = lib.mkDefault config.virtualisation.vmVariant.system.build.vm;
    system.build.vmWithBootLoader = lib.mkDefault config.virtualisation.vmVariantWithBootLoader.system.build.vm;
    virtualisation.vmVariant.options.virtualisation = {
      vmVariant = nested;
      vmVariantWithBootLoader = nested;
    };
  };
}
