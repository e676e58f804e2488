# The options of a QEMU machine: inside virtualisation.vmVariant, and directly on VM test nodes.
# Follows nixos/modules/virtualisation/qemu-vm.nix (Swarsel 4aa6836a648c); disk-size-option.nix and
# credentials-options.nix from knowledge. The start script is not modelled.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkVMOverride types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.virtualisation;
  size = types.ints.positive;
  name = config.system.name;
in
{
  options.virtualisation = {
    memorySize = c.opt size 1024;
    cores = c.opt size 1;
    diskSizeAutoSupported = c.on;
    diskSize = c.opt (types.either (types.enum [ "auto" ]) size) (
      if cfg.diskSizeAutoSupported then "auto" else 1024
    );
    diskImage = c.opt (types.nullOr types.str) "./${name}.qcow2";
    msize = c.opt size 16384;
    graphics = c.on;
    resolution =
      c.opt
        (c.strict {
          x = c.need types.ints.positive;
          y = c.need types.ints.positive;
        })
        {
          x = 1024;
          y = 768;
        };
    forwardPorts = c.opt (types.listOf (
      c.strict {
        from = c.opt (types.enum [
          "host"
          "guest"
        ]) "host";
        proto = c.opt (types.enum [
          "tcp"
          "udp"
        ]) "tcp";
        host.address = c.opt types.str "";
        host.port = c.need types.port;
        guest.address = c.opt types.str "";
        guest.port = c.need types.port;
      }
    )) [ ];
    restrictNetwork = c.off;
    sharedDirectories = c.opt (types.attrsOf (
      c.strict {
        source = c.need types.str;
        target = c.need types.path;
        securityModel = c.opt (types.enum [
          "passthrough"
          "mapped-xattr"
          "mapped-file"
          "none"
        ]) "mapped-xattr";
      }
    )) { };
    additionalPaths = c.opt (types.listOf types.path) [ ];
    emptyDiskImages = c.opt (types.listOf (
      types.coercedTo size (size: { inherit size; }) (
        c.strict {
          size = c.need types.ints.positive;
          driveConfig = c.opt types.attrs { };
        }
      )
    )) [ ];
    fileSystems = c.opt (types.attrsOf types.attrs) { };
    rootDevice = c.opt (types.nullOr types.path) "/dev/disk/by-label/nixos";
    bootLoaderDevice = c.opt types.path "/dev/disk/by-id/virtio-root";
    useBootLoader = c.off;
    useEFIBoot = c.off;
    useBIOSBoot = c.off;
    useSecureBoot = c.off;
    useDefaultFilesystems = c.on;
    useHostCerts = c.off;
    useNixStoreImage = c.off;
    mountHostNixStore = c.flag (!cfg.useNixStoreImage && !cfg.useBootLoader);
    writableStore = c.flag cfg.mountHostNixStore;
    writableStoreUseTmpfs = c.on;
    directBoot.enable = c.flag (!cfg.useBootLoader);
    host.pkgs = c.opt types.unspecified pkgs;
    credentials = c.opt (types.attrsOf (
      c.strict {
        mechanism = c.opt (types.enum [
          "fw_cfg"
          "smbios"
        ]) "smbios";
        source = c.nullable types.str;
        text = c.nullable types.str;
      }
    )) { };
    tpm.enable = c.off;
    qemu = {
      package = c.package "qemu_kvm";
      options = c.strings;
      networkingOptions = c.strings;
      consoles = c.opt (types.listOf types.str) [
        "ttyS0,115200n8"
        "tty0"
      ];
      diskInterface = c.opt (types.enum [
        "virtio"
        "scsi"
        "ide"
      ]) "virtio";
      guestAgent.enable = c.on;
      virtioKeyboard = c.on;
      forceAccel = c.off;
      enableSharedMemory = c.off;
    };
  };

  config = {
    virtualisation.diskSizeAutoSupported = false;
    virtualisation.fileSystems = lib.mkIf cfg.useDefaultFilesystems {
      "/" = {
        device = cfg.rootDevice;
        fsType = "ext4";
      };
    };
    fileSystems = lib.mkIf (cfg.fileSystems != { }) (mkVMOverride cfg.fileSystems);
    swapDevices = mkVMOverride [ ];
    boot.loader.grub.device = mkVMOverride cfg.bootLoaderDevice;
    networking.usePredictableInterfaceNames = false;
    services.qemuGuest.enable = cfg.qemu.guestAgent.enable;
    services.timesyncd.enable = false;

    # The text names all that the start script takes from the configuration, so that it is evaluated.
    system.build.vm = pkgs.runCommand "nixos-vm" {
      meta.mainProgram = "run-${name}-vm";
      system = "${config.system.build.toplevel}";
      settings = builtins.toJSON {
        inherit (cfg)
          memorySize
          cores
          diskSize
          diskImage
          graphics
          forwardPorts
          sharedDirectories
          restrictNetwork
          ;
        qemu = { inherit (cfg.qemu) options networkingOptions; };
      };
    } "mkdir -p $out/bin";

    assertions = lib.concatMap (r: [
      (c.check (
        r.from == "guest" -> r.proto == "tcp"
      ) "virtualisation.forwardPorts: guest forwarding supports only TCP.")
      (c.check (
        r.from == "guest" -> lib.hasPrefix "10.0.2." r.guest.address
      ) "virtualisation.forwardPorts: the guest address must be in 10.0.2.0/24.")
    ]) cfg.forwardPorts;
  };
}
