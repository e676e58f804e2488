# Services of the machine itself: openssh, getty, journald, timesyncd, qemuGuest.
# Follows nixos/modules/services/networking/ssh/sshd.nix and services/ttys/getty.nix (Swarsel 4aa6836a648c);
# journald, timesyncd and qemuGuest from knowledge. sshd's own units are not modelled.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };
  ssh = config.services.openssh;
  nstrings = c.nullable (types.listOf types.str);
  nbool = default: c.opt (types.nullOr types.bool) default;
  sshValue = types.attrsOf (
    types.nullOr (
      types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        types.path
        (types.listOf types.str)
      ]
    )
  );
in
{
  options.services = {
    openssh = {
      enable = c.off;
      package = c.package "openssh";
      ports = c.opt (types.listOf types.port) [ 22 ];
      openFirewall = c.on;
      startWhenNeeded = c.off;
      allowSFTP = c.on;
      sftpFlags = c.strings;
      authorizedKeysFiles = c.strings;
      authorizedKeysInHomedir = c.on;
      enableRecommendedAlgorithms = c.on;
      generateHostKeys = c.flag ssh.enable;
      hostKeys = c.opt (types.listOf types.attrs) [ ];
      extraConfig = c.text;
      listenAddresses = c.opt (types.listOf (
        c.strict {
          addr = c.nullable types.str;
          port = c.nullable types.port;
        }
      )) [ ];
      settings = c.opt (c.free sshValue {
        AllowUsers = nstrings;
        AllowGroups = nstrings;
        DenyUsers = nstrings;
        DenyGroups = nstrings;
        AcceptEnv = nstrings;
        Ciphers = nstrings;
        KexAlgorithms = nstrings;
        Macs = nstrings;
        Banner = c.nullable types.path;
        GatewayPorts = c.opt (types.nullOr types.str) "no";
        KbdInteractiveAuthentication = nbool true;
        LogLevel = c.opt (types.nullOr types.str) "INFO";
        PasswordAuthentication = nbool true;
        PermitRootLogin = c.opt (types.nullOr (
          types.enum [
            "yes"
            "without-password"
            "prohibit-password"
            "forced-commands-only"
            "no"
          ]
        )) "prohibit-password";
        PrintMotd = nbool false;
        StrictModes = nbool true;
        UseDns = nbool false;
        UsePAM = nbool true;
        X11Forwarding = nbool false;
      }) { };
    };

    getty = {
      enable = c.on;
      autologinUser = c.nullable types.str;
      autologinOnce = c.off;
      loginOptions = c.nullable types.str;
      extraArgs = c.strings;
      greetingLine = c.opt types.str "<<< Welcome to NixOS >>>";
      helpLine = c.text;
    };

    journald = {
      storage = c.opt (types.enum [
        "persistent"
        "volatile"
        "auto"
        "none"
      ]) "persistent";
      rateLimitInterval = c.opt types.str "30s";
      rateLimitBurst = c.opt types.int 10000;
      extraConfig = c.text;
    };
    timesyncd.enable = c.on;
    qemuGuest.enable = c.off;
    dbus.enable = c.on;
  };

  config = lib.mkIf ssh.enable {
    networking.firewall.allowedTCPPorts = lib.optionals ssh.openFirewall ssh.ports;
    assertions = map (
      a: c.check (a.addr != null) "addr must be specified in each listenAddresses entry"
    ) ssh.listenAddresses;
  };
}
