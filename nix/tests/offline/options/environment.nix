# environment, time, i18n, console and a few programs.
# Follows nixos/modules/system/etc/etc.nix, config/{system-path,shells-environment,system-environment,i18n,console}.nix
# (Swarsel 4aa6836a648c); config/locale.nix and programs.* from knowledge. programs.* holds only what a server would use.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) types;
  c = import ./common.nix { inherit lib pkgs; };

  etcFile =
    {
      name,
      config,
      options,
      ...
    }:
    {
      options = {
        enable = c.on;
        target = c.opt types.str name;
        text = c.nullable types.lines;
        source = c.need types.path;
        mode = c.opt types.str "symlink";
        uid = c.opt types.int 0;
        gid = c.opt types.int 0;
        user = c.opt types.str "+${toString config.uid}";
        group = c.opt types.str "+${toString config.gid}";
      };
      config.source = lib.mkIf (config.text != null) (
        lib.mkDerivedConfig options.text (pkgs.writeText "etc-${lib.replaceStrings [ "/" ] [ "-" ] name}")
      );
    };

  variables = lib.mkOption {
    default = { };
    type =
      with types;
      attrsOf (
        nullOr (oneOf [
          (listOf (oneOf [
            int
            str
            path
          ]))
          int
          str
          path
        ])
      );
    apply =
      set:
      let
        str = v: if lib.isPath v then "${v}" else toString v;
      in
      lib.mapAttrs (_: v: if lib.isList v then lib.concatMapStringsSep ":" str v else str v) (
        lib.filterAttrs (_: v: v != null) set
      );
  };
in
{
  options = {
    environment = {
      etc = c.opt (types.attrsOf (types.submodule etcFile)) { };
      systemPackages = c.packages;
      defaultPackages = c.packages;
      corePackages = c.packages;
      pathsToLink = c.strings;
      extraOutputsToInstall = c.strings;
      extraSetup = c.text;
      inherit variables;
      sessionVariables = variables;
      shellAliases = c.opt (types.attrsOf (types.nullOr (types.either types.str types.path))) { };
      shellInit = c.text;
      loginShellInit = c.text;
      interactiveShellInit = c.text;
      extraInit = c.text;
      shells = c.opt (types.listOf (types.either types.shellPackage types.path)) [ ];
      profiles = c.strings;
      homeBinInPath = c.off;
      localBinInPath = c.off;
      stub-ld.enable = c.on;
    };

    time = {
      timeZone = c.nullable (types.strMatching "[^ ]*");
      hardwareClockInLocalTime = c.off;
    };

    i18n = {
      defaultLocale = c.opt types.str "en_US.UTF-8";
      defaultCharset = c.opt types.str "UTF-8";
      extraLocales = c.opt (types.either (types.listOf types.str) (types.enum [ "all" ])) [ ];
      extraLocaleSettings = c.opt (types.attrsOf types.str) { };
      localeCharsets = c.opt (types.attrsOf types.str) { };
      supportedLocales = c.opt (types.listOf types.str) [
        "C.UTF-8/UTF-8"
        "en_US.UTF-8/UTF-8"
      ];
      glibcLocales = c.opt (types.nullOr types.path) (c.pkg "glibcLocales");
    };

    console = {
      enable = c.on;
      keyMap = c.opt (types.either types.str types.path) "us";
      font = c.nullable (types.either types.str types.path);
      colors = c.opt (types.listOf (types.strMatching "[[:xdigit:]]{6}")) [ ];
      packages = c.packages;
      earlySetup = c.off;
      useXkbConfig = c.off;
    };

    programs = {
      git = {
        enable = c.off;
        package = c.package "git";
      };
      vim = {
        enable = c.off;
        defaultEditor = c.off;
      };
      nano.enable = c.on;
      command-not-found.enable = c.on;
      bash.completion.enable = c.on;
      zsh.enable = c.off;
      fish.enable = c.off;
    };
  };

  config = {
    environment.variables = config.environment.sessionVariables;
    environment.sessionVariables = {
      LANG = config.i18n.defaultLocale;
      LOCALE_ARCHIVE = "/run/current-system/sw/lib/locale/locale-archive";
    }
    // config.i18n.extraLocaleSettings;
    # Every unit gets it.
    systemd.globalEnvironment = lib.mkIf (config.i18n.glibcLocales != null) {
      LOCALE_ARCHIVE = "${config.i18n.glibcLocales}/lib/locale/locale-archive";
    };
  };
}
