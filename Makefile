# `make` alone prints the targets.

.DEFAULT_GOAL := help
.PHONY: help run test soak soak-servers lint doc demo servers bench release-check

help: ## print this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

run: ## build and run the service, embedded log and views under ./data
	cargo run --release

# Built first, so that the servers need not share the processors with the compiler.
test: ## all tests and examples, the live ones on a real Kafka and a real Redis
	cargo test --all-features --no-run
	dev/with-servers cargo test --all-features

# RETELL_SOAK_SECONDS bounds it. A history that breaks a law ends it and prints its seed.
soak: ## simulated histories from a random seed on, until Ctrl-C
	RETELL_SOAK_SECONDS=$${RETELL_SOAK_SECONDS:-0} cargo test --all-features --test integration \
	  -- --nocapture simulation::no_history_breaks_a_law

soak-servers: ## faults on a real Kafka and a real Redis under load, until Ctrl-C
	RETELL_SOAK_SECONDS=$${RETELL_SOAK_SECONDS:-0} dev/with-servers cargo test --all-features \
	  --test integration -- --nocapture faults::soak

lint: ## formatting, and clippy with warnings denied
	cargo fmt --check
	cargo clippy --all-targets --all-features -- -D warnings

doc: ## the library's documentation, warnings denied
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps --all-features

demo: ## a tour on a real Kafka and a real Redis; stays until Ctrl-C
	cargo build --release
	dev/demo

servers: ## a Kafka and a Redis for development; prints their settings; until Ctrl-C
	dev/with-servers

bench: ## throughput and latency beside their floors
	cargo bench --bench throughput --no-run
	dev/with-servers cargo bench --bench throughput

# The core must compile without C, and each feature without the others.
release-check: ## what a release needs besides the tests: features alone, release build, package
	cargo check --locked --no-default-features
	for feature in http kafka redis cli; do \
	  cargo check --locked --no-default-features --features $$feature || exit 1; \
	done
	cargo build --locked --release
	cargo package --locked
	@# Advisories change without us, so that no test can hold them.
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny --all-features check advisories
