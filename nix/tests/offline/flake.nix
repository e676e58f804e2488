# Stands in for nixpkgs in the offline proof: nixpkgs' own lib is put beside this file as ./lib, the rest is made up.
{
  description = "A stand-in for nixpkgs: its lib, invented packages, declared options";

  outputs = _: import ./nixpkgs.nix;
}
