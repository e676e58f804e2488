# Machines that boot, are asked, broken and asked again: `nix build .#checks.x86_64-linux.vm-sqlite` and so on.
{
  pkgs,
  module,
  package,
}:
let
  arguments = { inherit pkgs module package; };
in
{
  sqlite = import ./machine.nix (arguments // { engine = "sqlite"; });
  postgresql = import ./machine.nix (arguments // { engine = "postgresql"; });
}
