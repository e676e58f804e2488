# boot, fileSystems, swapDevices: what a minimal system and its VM need.
# Follows nixos/modules/tasks/filesystems.nix and config/sysctl.nix (Swarsel 4aa6836a648c); boot loaders, initrd, kernel
# and the root file system assertion (system/boot/stage-1.nix, loader/grub/grub.nix) from knowledge, and only in part.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };
  notBlank = types.addCheck types.str (s: builtins.match "[ \t\n]*" s == null);

  fileSystem =
    { name, config, ... }:
    {
      options = {
        enable = c.on;
        device = c.nullable notBlank;
        label = c.nullable notBlank;
        # No default: leaving it out is an error.
        fsType = c.need notBlank;
        mountPoint = c.opt notBlank name;
        options = c.opt (types.nonEmptyListOf notBlank) [ "defaults" ];
        depends = c.opt (types.listOf notBlank) [ ];
        neededForBoot = c.off;
        noCheck = c.off;
        autoFormat = c.off;
        autoResize = c.off;
      };
      config.device = lib.mkMerge [
        (lib.mkIf (config.label != null) (lib.mkDefault "/dev/disk/by-label/${config.label}"))
        (lib.mkIf (lib.elem config.fsType [
          "tmpfs"
          "ramfs"
          "proc"
          "sysfs"
          "devtmpfs"
          "devpts"
        ]) (lib.mkDefault config.fsType))
      ];
    };

  sysctlValue = lib.mkOptionType {
    name = "sysctl value";
    check =
      v:
      let
        ok = x: lib.isBool x || lib.isString x || lib.isInt x || x == null;
      in
      ok v || ((v._type or "") == "override" && ok v.content);
    merge = lib.mergeOneOption;
  };
  largest = types.ints.unsigned // {
    merge = _: defs: lib.foldl' (a: d: lib.max a d.value) 0 defs;
  };
  kernelParam = types.strMatching ''([^"[:space:]]|"[^"]*")+'';
  names = types.coercedTo (types.listOf types.str) (l: lib.genAttrs l (_: true)) (
    types.attrsOf types.bool
  );
in
{
  options = {
    fileSystems = lib.mkOption {
      type = types.attrsOf (types.submodule fileSystem);
      default = { };
      apply = lib.filterAttrs (_: f: f.enable);
    };
    swapDevices = c.opt (types.listOf (
      c.strict {
        device = c.need types.str;
        size = c.nullable types.int;
        priority = c.nullable types.int;
      }
    )) [ ];

    boot = {
      isContainer = c.off;
      consoleLogLevel = c.opt types.int 4;
      growPartition = c.off;
      kernelPackages = c.opt types.raw (pkgs.linuxPackages or { });
      kernelParams = c.opt (types.listOf kernelParam) [ ];
      kernelModules = c.strings;
      extraModulePackages = c.packages;
      blacklistedKernelModules = c.strings;
      extraModprobeConfig = c.text;
      supportedFilesystems = c.opt names { };
      kernel.sysctl = c.opt (c.free (types.attrsOf sysctlValue) {
        "net.core.rmem_max" = c.opt (types.nullOr largest) null;
        "net.core.wmem_max" = c.opt (types.nullOr largest) null;
      }) { };
      initrd = {
        enable = c.flag (!config.boot.isContainer);
        availableKernelModules = c.strings;
        kernelModules = c.strings;
        verbose = c.on;
        systemd.enable = c.on;
        luks.devices = c.opt (types.attrsOf types.attrs) { };
      };
      tmp = {
        cleanOnBoot = c.off;
        useTmpfs = c.off;
        tmpfsSize = c.opt (types.oneOf [
          types.str
          types.ints.positive
        ]) "50%";
      };
      loader = {
        timeout = c.opt (types.nullOr types.int) 5;
        grub = {
          enable = c.flag (!config.boot.isContainer);
          device = c.opt types.str "";
          devices = c.strings;
          efiSupport = c.off;
          efiInstallAsRemovable = c.off;
          configurationLimit = c.opt types.int 100;
          useOSProber = c.off;
          extraConfig = c.text;
        };
        systemd-boot = {
          enable = c.off;
          configurationLimit = c.nullable types.int;
          editor = c.on;
        };
        efi = {
          canTouchEfiVariables = c.off;
          efiSysMountPoint = c.opt types.str "/boot";
        };
        generic-extlinux-compatible.enable = c.off;
      };
    };
  };

  config = {
    boot.loader.grub.devices = lib.optional (
      config.boot.loader.grub.enable && config.boot.loader.grub.device != ""
    ) config.boot.loader.grub.device;
    boot.loader.grub.enable = lib.mkIf config.boot.loader.systemd-boot.enable (lib.mkDefault false);
    boot.kernel.sysctl = {
      "fs.inotify.max_user_instances" = lib.mkDefault 524288;
      "fs.inotify.max_user_watches" = lib.mkDefault 524288;
      "kernel.kptr_restrict" = lib.mkDefault 1;
      "vm.max_map_count" = lib.mkDefault 1048576;
    };
    assertions =
      lib.optionals (!config.boot.isContainer) [
        (c.check (
          config.fileSystems ? "/"
        ) "The 'fileSystems' option does not specify your root file system.")
        (c.check (
          config.boot.loader.grub.enable -> config.boot.loader.grub.devices != [ ]
        ) "You must set the option 'boot.loader.grub.devices' to make the system bootable.")
      ]
      ++ lib.mapAttrsToList (
        n: f: c.check (f.device != null) "No device specified for mount point ${n}."
      ) config.fileSystems;
  };
}
