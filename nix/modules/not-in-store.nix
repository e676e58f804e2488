# The assertion that a secret's file is not in the store, where every user of the machine reads it. `option` names it in the
# sentence; no file is no mistake.
{ lib }:
option: file: {
  assertion = file == null || !lib.hasPrefix builtins.storeDir (toString file);
  message = "${option} is ${toString file}: what is in the Nix store can be read by everybody. Give the path as a text (\"/run/keys/…\"), not as a Nix path, to a file that is put there by hand, by sops-nix or by agenix.";
}
