{
  description = "crypto-telemetry: Buy, Sell or Hold from real prices, every step of it one trace";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    crane.url = "github:ipetkov/crane";
  };

  outputs = inputs: import ./nix inputs;
}
