# users.users and users.groups, with the checks NixOS makes on them.
# Follows nixos/modules/config/users-groups.nix and services/networking/ssh/sshd.nix (Swarsel 4aa6836a648c);
# the numbers of misc/ids.nix from knowledge.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkDefault mkIf types;
  c = import ./common.nix { inherit lib pkgs; };
  cfg = config.users;

  entry = types.passwdEntry types.str;
  short =
    what:
    lib.mkOption {
      type = types.str;
      apply =
        s: if lib.stringLength s < 32 then s else throw "${what} '${s}' is longer than 31 characters";
    };
  idRange =
    start:
    c.opt (types.listOf (
      c.strict {
        ${start} = c.need types.int;
        count = c.opt types.int 1;
      }
    )) [ ];

  user =
    { name, config, ... }:
    {
      options = {
        name = short "Username" // {
          default = name;
        };
        enable = c.on;
        description = c.opt entry "";
        uid = c.nullable types.int;
        isNormalUser = c.off;
        isSystemUser = c.off;
        group = short "Group name" // {
          default = "";
        };
        extraGroups = c.strings;
        home = c.opt (types.passwdEntry types.path) "/var/empty";
        homeMode = c.opt (types.strMatching "[0-7]{1,5}") "700";
        createHome = c.off;
        shell = c.opt (types.nullOr (types.either types.shellPackage (types.passwdEntry types.path))) "${c.pkg "shadow"}/bin/nologin";
        useDefaultShell = c.off;
        ignoreShellProgramCheck = c.off;
        packages = c.packages;
        expires = c.nullable (types.strMatching "[[:digit:]]{4}-[[:digit:]]{2}-[[:digit:]]{2}");
        linger = c.nullable types.bool;
        autoSubUidGidRange = c.off;
        subUidRanges = idRange "startUid";
        subGidRanges = idRange "startGid";
        password = c.nullable types.str;
        initialPassword = c.nullable types.str;
        hashedPassword = c.nullable entry;
        initialHashedPassword = c.nullable entry;
        hashedPasswordFile = c.nullable types.str;
        openssh = {
          authorizedKeys = {
            keys = c.opt (types.listOf types.singleLineStr) [ ];
            keyFiles = c.opt (types.listOf types.path) [ ];
          };
          authorizedPrincipals = c.opt (types.listOf types.singleLineStr) [ ];
        };
      };
      config = lib.mkMerge [
        (mkIf config.useDefaultShell { shell = mkDefault cfg.defaultUserShell; })
        (mkIf config.isNormalUser {
          group = mkDefault "users";
          createHome = mkDefault true;
          home = mkDefault "${cfg.defaultUserHome}/${config.name}";
          useDefaultShell = mkDefault true;
        })
      ];
    };

  group =
    { name, config, ... }:
    {
      options = {
        name = c.opt entry name;
        gid = c.nullable types.int;
        members = c.opt (types.listOf entry) [ ];
      };
      config.members = lib.mapAttrsToList (_: u: u.name) (
        lib.filterAttrs (_: u: u.enable && lib.elem config.name u.extraGroups) cfg.users
      );
    };

  known = map (g: g.name) (lib.attrValues cfg.groups);
  unique =
    key: set:
    let
      ids = lib.filter (x: x != null) (lib.mapAttrsToList (_: x: x.${key}) set);
    in
    lib.length ids == lib.length (lib.unique ids);
  mayLogin =
    n: u:
    (n == "root" || u.group == "wheel" || lib.elem "wheel" u.extraGroups)
    && (
      u.password != null
      || u.hashedPasswordFile != null
      || !lib.elem u.hashedPassword [
        null
        "!"
        "!!"
        "*"
      ]
      || u.openssh.authorizedKeys.keys != [ ]
      || u.openssh.authorizedKeys.keyFiles != [ ]
    );
in
{
  options.users = {
    users = c.opt (types.attrsOf (types.submodule user)) { };
    groups = c.opt (types.attrsOf (types.submodule group)) { };
    mutableUsers = c.on;
    allowNoPasswordLogin = c.off;
    enforceIdUniqueness = c.on;
    manageLingering = c.on;
    defaultUserHome = c.opt types.str "/home";
    defaultUserShell = c.opt (types.either types.path types.shellPackage) "/run/current-system/sw/bin/bash";
    motd = c.nullable types.lines;
  };

  config = {
    users.users = {
      root = {
        uid = 0;
        group = "root";
        home = "/root";
        shell = mkDefault cfg.defaultUserShell;
      };
      nobody = {
        uid = 65534;
        isSystemUser = true;
        group = "nogroup";
      };
    };
    users.groups = {
      root.gid = 0;
      wheel.gid = 1;
      adm.gid = 55;
      users.gid = 100;
      keys.gid = 96;
      systemd-journal.gid = 62;
      nogroup.gid = 65534;
    };

    assertions = [
      (c.check (
        !cfg.enforceIdUniqueness || (unique "uid" cfg.users && unique "gid" cfg.groups)
      ) "UIDs and GIDs must be unique!")
      (c.check (
        cfg.mutableUsers
        || cfg.allowNoPasswordLogin
        || lib.any lib.id (lib.mapAttrsToList mayLogin cfg.users)
      ) "Neither the root account nor any wheel user has a password or SSH authorized key.")
    ]
    ++ lib.concatLists (
      lib.mapAttrsToList (
        n: u:
        let
          system = u.isSystemUser || (u.uid != null && u.uid < 1000 && !u.isNormalUser);
        in
        [
          (c.check (
            system != u.isNormalUser
          ) "Exactly one of users.users.${n}.isSystemUser and users.users.${n}.isNormalUser must be set.")
          (c.check (u.group != "") "users.users.${n}.group is unset.")
          (c.check (
            u.group == "" || lib.elem u.group known
          ) "users.users.${n} has a primary group that is undefined: ${u.group}")
          (c.check (
            builtins.match "[a-zA-Z0-9_.][a-zA-Z0-9_.-]*" u.name != null
          ) "The username \"${u.name}\" is not valid.")
          (c.check (
            u.isNormalUser && u.uid != null -> u.uid >= 1000
          ) "users.users.${n}: a normal user cannot have a uid below 1000.")
        ]
      ) cfg.users
    );

    warnings = lib.concatLists (
      lib.mapAttrsToList (
        n: u:
        lib.optional (
          lib.length (
            lib.filter (x: x != null) (
              [
                u.hashedPassword
                u.hashedPasswordFile
                u.password
              ]
              ++ lib.optionals cfg.mutableUsers [
                u.initialHashedPassword
                u.initialPassword
              ]
            )
          ) > 1
        ) "The user '${n}' has more than one of the password options set."
      ) cfg.users
    );
  };
}
