# networking. Follows nixos/modules/services/networking/firewall.nix (Swarsel 4aa6836a648c); firewall-iptables.nix,
# firewall-nftables.nix, tasks/network-interfaces.nix and config/networking.nix from knowledge, and only in part.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };

  ports = lib.mkOption {
    type = types.listOf types.port;
    default = [ ];
    apply = list: lib.unique (lib.sort lib.lessThan list);
  };
  ranges = c.opt (types.listOf (types.attrsOf types.port)) [ ];
  openPorts = {
    allowedTCPPorts = ports;
    allowedTCPPortRanges = ranges;
    allowedUDPPorts = ports;
    allowedUDPPortRanges = ranges;
  };

  address = c.strict {
    address = c.need types.str;
    prefixLength = c.need types.ints.unsigned;
  };
  family = {
    addresses = c.opt (types.listOf address) [ ];
  };
  gateway = types.nullOr (
    types.coercedTo types.str (address: { inherit address; }) (
      c.strict {
        address = c.need types.str;
        interface = c.nullable types.str;
        metric = c.nullable types.int;
      }
    )
  );
in
{
  options.networking = {
    hostName = c.opt (types.strMatching "^$|^[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?$") "nixos";
    domain = c.nullable types.str;
    hostId = c.nullable types.str;
    hosts = c.opt (types.attrsOf (types.listOf types.str)) { };
    extraHosts = c.text;
    nameservers = c.strings;
    search = c.strings;
    timeServers = c.strings;
    enableIPv6 = c.on;
    useDHCP = c.on;
    useNetworkd = c.off;
    usePredictableInterfaceNames = c.on;
    defaultGateway = c.opt gateway null;
    defaultGateway6 = c.opt gateway null;
    dhcpcd = {
      enable = c.on;
      extraConfig = c.text;
    };
    interfaces = c.opt (types.attrsOf (
      c.strict {
        useDHCP = c.nullable types.bool;
        ipv4 = family;
        ipv6 = family;
        macAddress = c.nullable types.str;
        mtu = c.nullable types.int;
      }
    )) { };
    networkmanager.enable = c.off;
    resolvconf.enable = c.on;
    proxy = {
      default = c.nullable types.str;
      noProxy = c.nullable types.str;
    };
    nftables = {
      enable = c.off;
      ruleset = c.text;
      checkRuleset = c.on;
    };
    firewall = openPorts // {
      enable = c.on;
      package = c.package "iptables";
      backend = c.opt (types.enum [
        "iptables"
        "nftables"
        "firewalld"
      ]) (if config.networking.nftables.enable then "nftables" else "iptables");
      allowPing = c.on;
      pingLimit = c.nullable (types.separatedString " ");
      checkReversePath = c.opt (types.either types.bool (
        types.enum [
          "strict"
          "loose"
        ]
      )) true;
      filterForward = c.off;
      interfaces = c.opt (types.attrsOf (c.strict openPorts)) { };
      trustedInterfaces = c.strings;
      rejectPackets = c.off;
      logRefusedConnections = c.off;
      logRefusedPackets = c.off;
      logRefusedUnicastsOnly = c.on;
      logReversePathDrops = c.off;
      connectionTrackingModules = c.strings;
      autoLoadConntrackHelpers = c.off;
      extraPackages = c.packages;
      extraCommands = c.text;
      extraStopCommands = c.text;
      extraInputRules = c.text;
      extraForwardRules = c.text;
    };
  };

  config = {
    networking.firewall.trustedInterfaces = lib.mkIf config.networking.firewall.enable [ "lo" ];
    assertions = lib.optionals config.networking.firewall.enable [
      (c.check (
        config.networking.firewall.filterForward -> config.networking.nftables.enable
      ) "filterForward only works with the nftables based firewall")
      (c.check (
        config.networking.nftables.enable -> config.networking.firewall.extraCommands == ""
      ) "extraCommands is incompatible with the nftables based firewall")
    ];
  };
}
