# The commands of this project where there is no Nix. Needs Rust (rustup takes the version of
# rust-toolchain.toml), Go and bash; everything else is built here. `make` alone lists the targets.

.DEFAULT_GOAL := help
SHELL := bash

# A target's text for `make help` stands after ## in its first line.
.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: up
up: backends binary ## Build what is missing and start everything (DETACH=1: in the background; ENGINES=full: with PostgreSQL, Kafka, Valkey)
	@scripts/up.sh

.PHONY: down
down: ## Stop what `make up` started
	@scripts/down.sh

.PHONY: status
status: ## List the processes of the stack
	@scripts/status.sh

.PHONY: test
test: check-config ## Check all configuration and run all tests
	cargo test --workspace --locked --no-fail-fast

.PHONY: bench
bench: backends binary ## Measure on this machine (WRITE=1: and put the table into docs/PERFORMANCE.md)
	@scripts/bench.sh $(if $(WRITE),--write)
	@scripts/bench-alerts.sh $(if $(WRITE),--write)
	@scripts/bench-pipelines.sh $(if $(WRITE),--write)

.PHONY: profile
profile: backends ## Draw a flame graph of a service under load (SERVICE=order-service RATE=150; wants perf and inferno)
	@scripts/profile.sh $(or $(SERVICE),order-service) $(or $(RATE),150)

.PHONY: check-config
check-config: backends ## Have every program check its configuration
	@scripts/check-config.sh

.PHONY: check-nix
check-nix: backends ## Check the flake as far as that goes without Nix (see nix/tests/offline/README.md)
	@scripts/check-nix.sh

.PHONY: boot-units
boot-units: ## Start the NixOS units under a real systemd in namespaces of their own (wants root and NIX_ROOT; BINARY=…)
	@scripts/boot-units.sh $(or $(BINARY),target/release/crypto-telemetry) offline-sqlite offline-postgresql offline-cache offline-watched

.PHONY: test-stack
test-stack: backends ## Test what `nix run` starts, from a folder that cannot be written, with PostgreSQL (crypto-telemetry on PATH)
	@scripts/test-stack.sh

.PHONY: prove-flake
prove-flake: ## Evaluate the whole flake offline after a change of nix/ (LIB_GIT=… CRANE_GIT=…)
	@scripts/prove-flake.sh "$(LIB_GIT)" "$(CRANE_GIT)"

# In `nix develop` the backends are nixpkgs'.
.PHONY: backends
backends: ## Build the backends (about 10 minutes, once); CRYPTO_TELEMETRY_BACKENDS=path takes those on PATH
	@scripts/$(if $(filter path,$(CRYPTO_TELEMETRY_BACKENDS)),link,build)-backends.sh

.PHONY: binary
binary: ## Build the crypto-telemetry binary
	@cargo build --release --locked -p crypto-telemetry

.PHONY: regenerate-otelcol
regenerate-otelcol: ## Make backends/otelcol anew after a change of its builder-config.yaml
	@scripts/regenerate-otelcol.sh

.PHONY: clean-data
clean-data: ## Remove everything the stack wrote: databases, metrics, traces, logs
	@scripts/clean-data.sh

.PHONY: clean
clean: clean-data ## Remove everything built and written here (not the cache that clones share)
	rm -rf .build
	cargo clean
