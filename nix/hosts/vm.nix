# A machine to look at: `nix run .#vm` starts it in QEMU with everything on, offline, and its pages on this machine's
# loopback. Also the example of a configuration: nothing in it is secret, because nothing in it is real.
{
  config,
  lib,
  ...
}:
let
  cfg = config.services.crypto-telemetry;

  # Under which port of the host each page is: the guest's own number.
  pages = [
    "GATEWAY_PORT"
    "SIMULATOR_PORT"
    "GRAFANA_PORT"
    "PROMETHEUS_PORT"
  ];
  # What QEMU's user network calls the guest.
  guest = "10.0.2.15";
in
{
  system.stateVersion = "26.05";
  networking.hostName = "crypto-telemetry";

  services.crypto-telemetry = {
    enable = true;
    environment = "vm";
    simulator.enable = true;
    observability.enable = true;
  };

  # Every service listens on loopback only, and so it stays: what QEMU forwards arrives at the network card, where systemd
  # listens and passes it on. Nobody but this machine's QEMU reaches that card.
  systemd.sockets = lib.listToAttrs (
    map (
      port:
      lib.nameValuePair "page-${toString cfg.ports.${port}}" {
        description = "${port} for the host of this virtual machine";
        wantedBy = [ "sockets.target" ];
        socketConfig = {
          ListenStream = "${guest}:${toString cfg.ports.${port}}";
          # The address may come after the socket.
          FreeBind = true;
        };
      }
    ) pages
  );
  systemd.services = lib.listToAttrs (
    map (
      port:
      lib.nameValuePair "page-${toString cfg.ports.${port}}" {
        description = "Passes ${port} on";
        serviceConfig = {
          ExecStart = "${config.systemd.package}/lib/systemd/systemd-socket-proxyd 127.0.0.1:${toString cfg.ports.${port}}";
          DynamicUser = true;
        };
      }
    ) pages
  );
  networking.firewall.interfaces.eth0.allowedTCPPorts = map (port: cfg.ports.${port}) pages;
  networking.usePredictableInterfaceNames = false;

  # root without a password at the console, which is this machine's terminal; nothing else lets anybody in.
  users.users.root.initialHashedPassword = "";
  services.getty.autologinUser = "root";
  services.getty.helpLine = ''

    crypto-telemetry doctor      which hop loses what, if one does
    crypto-telemetry ask BTCUSDT
    systemctl list-units 'crypto-telemetry-*'
    poweroff                     ends the machine
  '';

  # Only for those who install this configuration rather than run the virtual machine, which brings its own disk.
  fileSystems."/" = {
    device = "/dev/disk/by-label/nixos";
    fsType = "ext4";
  };
  boot.loader.grub.device = "/dev/vda";

  virtualisation.vmVariant.virtualisation = {
    memorySize = 3072;
    cores = 2;
    diskSize = 8192;
    graphics = false;
    forwardPorts = map (port: {
      from = "host";
      host.address = "127.0.0.1";
      host.port = cfg.ports.${port};
      guest.address = guest;
      guest.port = cfg.ports.${port};
    }) pages;
  };
}
