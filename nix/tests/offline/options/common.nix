# Short forms used by the declarations: option makers and the value types of pkgs.formats.
# Follows pkgs/pkgs-lib/formats.nix (from knowledge, not read). The types are written here, not taken from
# pkgs.formats, because the fake packages accept anything.
{ lib, pkgs }:
let
  inherit (lib) mkOption types;

  jsonValue =
    types.nullOr (
      types.oneOf [
        types.bool
        types.int
        types.float
        types.str
        types.path
        (types.attrsOf jsonValue)
        (types.listOf jsonValue)
      ]
    )
    // {
      description = "JSON value";
    };

  iniAtom = types.nullOr (
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
    ]
  );

  # A package the modules use inside; the fake package set need not have it.
  pkg = name: pkgs.${name} or (pkgs.runCommand name { meta.mainProgram = name; } "mkdir $out");
in
rec {
  inherit pkg;

  json = jsonValue;
  yaml = jsonValue;
  ini = types.attrsOf (types.attrsOf (types.either iniAtom (types.nonEmptyListOf iniAtom)));

  opt = type: default: mkOption { inherit type default; };
  need = type: mkOption { inherit type; };
  nullable = type: opt (types.nullOr type) null;
  flag = opt types.bool;
  off = flag false;
  on = flag true;
  text = opt types.lines "";
  strings = opt (types.listOf types.str) [ ];
  packages = opt (types.listOf types.package) [ ];
  package = name: opt types.package (pkg name);

  # A submodule without and with free keys.
  strict = options: types.submodule { inherit options; };
  free = freeformType: options: types.submodule { inherit freeformType options; };

  # An assertion as NixOS wants it.
  check = assertion: message: { inherit assertion message; };
}
