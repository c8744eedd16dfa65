# `make help` says what there is.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.tools/bin:$(PATH)
ifneq ($(CI),)
# A build from nothing gains nothing from incremental compilation, and pays for it in disk.
export CARGO_INCREMENTAL := 0
endif
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
# What is built in only for who asks for it is tested all the same.
FEATURES := --features netkeep/eventstore
# Arguments for `make up`, as in `make up ARGS='--listen 0.0.0.0:8080'`.
ARGS ?=

.PHONY: help
help:
	@sed -n 's/^## //p' Makefile

## make demo    a rule created over HTTP is enforced on a router, and its traffic answers SQL
.PHONY: demo
demo:
	@infra/get-tools.sh run
	@echo '==> building netkeep; the first time takes some minutes'
	@cargo build --locked -p netkeep
	@python3 infra/demo/demo.py

## make test    formatting, lints and all tests
.PHONY: test
test:
	@infra/get-tools.sh test
	@infra/get-esdb-client.sh
	@infra/get-test-clients.sh
	@echo '==> checking the formatting'
	@cargo fmt --all --check
	@echo '==> linting'
	@cargo clippy --workspace --all-targets $(FEATURES) --locked -- -D warnings
	@echo '==> testing'
	@if cargo nextest --version >/dev/null 2>&1; then \
		cargo nextest run --workspace $(FEATURES) --locked; \
	else \
		cargo test --workspace $(FEATURES) --locked; \
	fi

## make build   target/release/netkeep
.PHONY: build
build:
	@infra/get-tools.sh build
	@echo '==> building netkeep for release'
	@cargo build --release --locked -p netkeep
	@echo '==> built $(TARGET_DIR)/release/netkeep'

## make up      runs everything on this machine, until Ctrl-C
.PHONY: up
up:
	@infra/get-tools.sh run
	@echo '==> building netkeep'
	@cargo build --locked -p netkeep
	@echo '==> running netkeep up; Ctrl-C stops it'
	@exec $(TARGET_DIR)/debug/netkeep up $(ARGS)

## make bench   the benchmarks, built for release
.PHONY: bench
bench:
	@infra/get-tools.sh run
	@echo '==> running the benchmarks'
	@cargo bench --locked -p netkeep

## make fmt     formats the code
.PHONY: fmt
fmt:
	@echo '==> formatting'
	@cargo fmt --all

## make tools   gets what is missing: nats-server, nftables, iproute2, curl, a C compiler
.PHONY: tools
tools:
	@infra/get-tools.sh test
