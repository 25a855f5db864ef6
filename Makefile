# The verbs of this project. Each is a few lines of shell below scripts/; all
# that they install or build lies in ${XDG_CACHE_HOME:-~/.cache}/amid.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/amid
export CARGO_TARGET_DIR ?= $(CACHE)/target

.PHONY: help tools build demo up pipeline todo test lint test-unit test-todo test-page test-dashboards test-terraform test-infra test-crash test-e2e test-images test-dist dist bench fmt clean

help: ## list the verbs
	@scripts/help.sh

tools: ## bring terragrunt, moto and a terraform configuration (quick when there)
	@scripts/tools.sh

build: tools ## build everything
	@cargo build --workspace

demo: tools ## the life of an app in five minutes, on this machine alone
	@scripts/scenes.sh demo

up: tools ## the demo's world without its script, until Ctrl-C
	@scripts/scenes.sh up

pipeline: tools ## my code change in production, as root: edit, image, bump, roll under traffic
	@scripts/pipeline.sh

todo: ## the sample app with a database, until Ctrl-C
	@todo/scripts/run.sh

test: tools ## every check there is
	@scripts/test.sh

lint: tools ## formatting, clippy, documentation, shell scripts
	@scripts/lint.sh

test-unit: tools ## the Rust tests
	@scripts/test-unit.sh

test-todo: tools ## the sample app against its OpenAPI document and in a browser
	@scripts/test-todo.sh

test-page: tools ## the page in a browser, while a real amid rolls
	@scripts/test-page.sh

test-dashboards: tools ## boards, alerts and runbooks against promtool and a real Prometheus
	@scripts/test-dashboards.sh

test-terraform: tools ## the modules' own tests, with mocked providers
	@scripts/test-terraform.sh

test-infra: tools ## linters, policies and machines' scripts (INFRA_APPLY=1 applies staging to an emulator)
	@scripts/test-infra.sh

test-crash: tools ## kill the real binary at every crash point
	@scripts/test-crash.sh

test-e2e: tools ## all scenes with real git, terragrunt and terraform (SCENES="2 6" for some)
	@scripts/scenes.sh e2e $(SCENES)

test-images: tools ## images, as root: templates, provisioning in a chroot, suites, a boot
	@scripts/test-images.sh

test-dist: tools ## what dist packs, as root: installed, booted, through a registry
	@scripts/test-dist.sh

dist: tools ## programs, Debian package, OCI image, bills of materials
	@scripts/dist.sh

bench: tools ## measure against the bars, write bench/RESULTS.md and bench/CLEANERS.md
	@scripts/bench.sh

fmt: tools ## format everything
	@scripts/fmt.sh

clean: ## remove what was built (tools stay)
	@cargo clean
