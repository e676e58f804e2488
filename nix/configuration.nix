# What is read while the stack runs: the files of `nix run`, and of every check and test that looks at them.
# scripts/test-stack.sh and scripts/check-nix.sh read this list, too.
{ lib }:
lib.fileset.unions [
  ../alertmanager
  ../grafana
  ../loki
  ../otel-collector
  ../process-compose.full.yaml
  ../process-compose.yaml
  ../prometheus
  ../scripts
  ../tempo
]
