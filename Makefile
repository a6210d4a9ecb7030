# Every target installs what it needs; only Python 3.11, make and a package index are assumed.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
UV_VERSION := $(shell sed -n 's/.*"uv==\([0-9.]*\)".*/\1/p' pyproject.toml)
READY := $(VENV)/.ready
LOCAL := $(VENV)/.local
ACTIONLINT_VERSION := v1.7.12
HELM_VERSION := v3.19.5
CHECKOV_VERSION := 3.3.30
OSV_SCANNER_VERSION := v2.5.0
# The image builder (anything with the options of `docker build`), the command that writes image $(1)
# into archive $(2), the base image and the registry.
BUILD ?= docker build
SAVE ?= docker save $(1) -o $(2)
# Options of osv-scanner, such as `--offline` for a database that was fetched before.
OSV_FLAGS ?=
PYTHON_IMAGE ?= $(shell sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)
REGISTRY ?= localhost
TAG := $(shell sed -n 's/^appVersion: //p' charts/skyclass/Chart.yaml)
SBOM := $(VENV)/bin/uv export --quiet --frozen --no-dev --format cyclonedx1.5
IMAGE := $(BUILD) --build-arg PYTHON_IMAGE=$(PYTHON_IMAGE) --build-arg VERSION=$(TAG)
TEST_IMAGE := $(BUILD) --build-arg PYTHON_IMAGE=$(PYTHON_IMAGE) -f tests/cluster/Dockerfile
# An installed program, or else this version, built once.
HELM := $(or $(shell command -v helm 2>/dev/null),$(CURDIR)/.tools/helm)
export HELM
PROMTOOL := $(or $(shell command -v promtool 2>/dev/null),$(CURDIR)/.tools/promtool)
export PROMTOOL
OSV_SCANNER := $(or $(shell command -v osv-scanner 2>/dev/null),$(CURDIR)/.tools/osv-scanner)
export OSV_SCANNER
ACTIONLINT := $(or $(shell command -v actionlint 2>/dev/null),$(CURDIR)/.tools/actionlint)
RCLONE := $(or $(shell command -v rclone 2>/dev/null),$(CURDIR)/.tools/rclone)
# The commit of the previous version, from which the cluster tests upgrade.
PREVIOUS := 492b083
OAUTH2_PROXY_VERSION := v7.15.6
# Duration of the soak.
MINUTES ?= 60
# Records of the fault tests.
FAULTS := $(CURDIR)/.tools/faults
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
# Without bytecode, each of the many processes of the tests compiles the libraries again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup browser clock demo test test-fast coverage test-cluster test-faults soak lint lint-chart images test-images previous-images sbom audit format bench compile manifests pictures clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(READY) ## create the environment in .venv

$(VENV)/bin/uv:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is missing: install Python 3.11 or set PYTHON=/path/to/it" >&2; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install --quiet uv==$(UV_VERSION)

$(READY): pyproject.toml uv.lock | $(VENV)/bin/uv
	$(VENV)/bin/uv sync --frozen --compile-bytecode
	@touch $@ $(LOCAL)

# What runs skyclass, without what tests it.
$(LOCAL): pyproject.toml uv.lock | $(VENV)/bin/uv
	$(VENV)/bin/uv sync --frozen --compile-bytecode --inexact --no-dev --extra local
	@touch $@

demo: $(LOCAL) ## train, serve, detect drift and retrain here (SOURCE=file.csv MODE=photometric CANDIDATES=all)
	$(VENV)/bin/skyclass demo $(if $(SOURCE),--source '$(SOURCE)') $(if $(MODE),--mode '$(MODE)') $(if $(CANDIDATES),--candidates '$(CANDIDATES)')

browser: ## install Chromium and its driver from Debian's packages, for the tests of the pages
	@command -v chromium >/dev/null && command -v chromedriver >/dev/null || { \
	  command -v apt-get >/dev/null || { echo "error: install chromium and chromedriver, no apt-get is here" >&2; exit 1; }; \
	  $(SUDO) apt-get -qq update && $(SUDO) apt-get -qq install -y --no-install-recommends chromium chromium-driver >/dev/null; }

clock: ## install libfaketime from Debian's packages, for the tests of wrong clocks
	@ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1 || { \
	  command -v apt-get >/dev/null || { echo "error: install libfaketime, no apt-get is here" >&2; exit 1; }; \
	  $(SUDO) apt-get -qq update && $(SUDO) apt-get -qq install -y --no-install-recommends libfaketime >/dev/null; }

test: $(READY) browser clock ## run the unit, contract, pipeline, fault and browser tests
	$(VENV)/bin/pytest

test-fast: $(READY) ## run the unit and contract tests that are not slow, for use before each commit
	$(VENV)/bin/pytest tests/unit tests/contract -m "not slow"

coverage: $(READY) ## measure the branch coverage of the unit tests; fails below the threshold
	$(VENV)/bin/pytest --cov=skyclass tests/unit components

pictures: $(READY) browser ## retake the screenshots in docs/pictures
	$(VENV)/bin/pytest -n 0 tests/browser/pictures.py

test-cluster: $(READY) $(HELM) $(RCLONE) browser ## run the cluster tests on the cluster that KUBECONFIG names (docs/kubernetes.md)
	PATH="$(dir $(HELM)):$(dir $(RCLONE)):$$PATH" $(VENV)/bin/pytest tests/cluster -n 0 --timeout 1800

test-faults: $(READY) clock $(HELM) ## inject every fault, some on the cluster that KUBECONFIG names, and write docs/reliability.md
	@rm -rf $(FAULTS) && mkdir -p $(FAULTS)
	SKYCLASS_FAULT_RECORDS=$(FAULTS) $(VENV)/bin/pytest -m fault
	SKYCLASS_FAULT_RECORDS=$(FAULTS) PATH="$(dir $(HELM)):$$PATH" $(VENV)/bin/pytest tests/cluster -m fault -n 0 --timeout 1800
	$(VENV)/bin/python -m tests.support.faults $(FAULTS)

soak: $(READY) ## run everything under load, with faults, and write docs/reliability.md (MINUTES=60)
	$(VENV)/bin/python -m tests.soak --minutes $(MINUTES)

lint: $(READY) $(ACTIONLINT) $(OSV_SCANNER) lint-chart ## check style, types, imports, dependencies, workflows and the chart
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(VENV)/bin/deptry .
	$(VENV)/bin/hadolint Dockerfile
	$(ACTIONLINT) .github/workflows/*.yml
	$(VENV)/bin/pytest -n 0 tests/audit

lint-chart: $(READY) $(HELM) $(PROMTOOL) ## check the chart and what it renders
	$(HELM) lint --quiet --strict --kube-version 1.34 charts/skyclass
	$(VENV)/bin/pytest tests/chart
	@mkdir -p .tools
	$(VENV)/bin/python -m charts.render --security > .tools/chart.yaml
	$(VENV)/bin/uv tool run --quiet --from checkov==$(CHECKOV_VERSION) checkov --config-file charts/checkov.yaml --file .tools/chart.yaml

$(CURDIR)/.tools/helm:
	@command -v go >/dev/null || { echo "error: neither helm nor Go is installed: install helm 3 to check the chart" >&2; exit 1; }
	GOBIN=$(@D) GOFLAGS=-mod=mod go install helm.sh/helm/v3/cmd/helm@$(HELM_VERSION)

$(CURDIR)/.tools/rclone: # extracted from Debian's package
	@command -v apt-get >/dev/null || { echo "error: neither rclone nor apt-get is installed: install rclone to test backups" >&2; exit 1; }
	@mkdir -p $(@D)/rclone-package
	$(SUDO) apt-get -qq update && cd $(@D)/rclone-package && apt-get -qq download rclone && dpkg-deb -x rclone_*.deb .
	mv $(@D)/rclone-package/usr/bin/rclone $@ && rm -r $(@D)/rclone-package

$(CURDIR)/.tools/actionlint:
	@command -v go >/dev/null || { echo "error: neither actionlint nor Go is installed: install one to check the workflows" >&2; exit 1; }
	GOBIN=$(@D) GOFLAGS=-mod=mod go install github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT_VERSION)

$(CURDIR)/.tools/osv-scanner:
	@command -v go >/dev/null || { echo "error: neither osv-scanner nor Go is installed: install one to look up vulnerabilities" >&2; exit 1; }
	GOBIN=$(@D) GOFLAGS=-mod=mod go install github.com/google/osv-scanner/v2/cmd/osv-scanner@$(OSV_SCANNER_VERSION)

$(CURDIR)/.tools/promtool: # extracted from Debian's package, which would start a server on installation
	@command -v apt-get >/dev/null || { echo "error: neither promtool nor apt-get is installed: install promtool to test the alerts" >&2; exit 1; }
	@mkdir -p $(@D)/prometheus
	$(SUDO) apt-get -qq update && cd $(@D)/prometheus && apt-get -qq download prometheus && dpkg-deb -x prometheus_*.deb .
	mv $(@D)/prometheus/usr/bin/promtool $@ && rm -r $(@D)/prometheus

images: ## build both images (BUILD='podman build', PYTHON_IMAGE=mirror/python@sha256:…, REGISTRY=…)
	$(IMAGE) --target predictor -t $(REGISTRY)/skyclass-predictor:$(TAG) .
	$(IMAGE) --target jobs -t $(REGISTRY)/skyclass-jobs:$(TAG) .

previous-images: ## build the images of the previous version, from which the cluster tests upgrade
	rm -rf .tools/previous && mkdir -p .tools/previous
	git archive $(PREVIOUS) | tar --extract --directory .tools/previous
	$(MAKE) -C .tools/previous images BUILD='$(BUILD)' PYTHON_IMAGE=$(PYTHON_IMAGE) REGISTRY=$(REGISTRY)

# Names as upstream publishes them, without its registry; each is built from a package registry.
test-images: $(CURDIR)/.tools/images/oauth2-proxy ## build the images of other projects that the cluster tests need
	$(TEST_IMAGE) --target envoy -t localhost/envoyproxy/envoy:distroless-v1.40.0 .tools/images
	$(TEST_IMAGE) --target seaweedfs -t localhost/chrislusf/seaweedfs:4.48 .tools/images
	$(TEST_IMAGE) --target oauth2-proxy -t localhost/oauth2-proxy/oauth2-proxy:$(OAUTH2_PROXY_VERSION) .tools/images
	$(TEST_IMAGE) --target oidc-provider-mock -t localhost/oidc-provider-mock:0.3.4 .tools/images

$(CURDIR)/.tools/images/oauth2-proxy:
	@command -v go >/dev/null || { echo "error: Go is not installed: install it to build the images for the cluster tests" >&2; exit 1; }
	CGO_ENABLED=0 GOBIN=$(@D) go install github.com/oauth2-proxy/oauth2-proxy/v7@$(OAUTH2_PROXY_VERSION)

sbom: $(READY) ## list the Python packages of both images in dist/, as CycloneDX
	@mkdir -p dist
	$(SBOM) --extra predictor --output-file dist/skyclass-predictor.cdx.json >/dev/null
	$(SBOM) --extra apps --output-file dist/skyclass-jobs.cdx.json >/dev/null

# The lock file comes first: with an image, osv-scanner reports an unreachable database as no finding.
audit: $(OSV_SCANNER) ## look up known vulnerabilities of all locked packages and, after `make images`, of both images
	@mkdir -p dist
	$(OSV_SCANNER) scan source $(OSV_FLAGS) --config .ci/vulnerabilities.toml --lockfile uv.lock
	$(foreach image,predictor jobs,$(call AUDIT,$(REGISTRY)/skyclass-$(image):$(TAG),dist/skyclass-$(image).tar))

define AUDIT
rm -f $(2)
$(call SAVE,$(1),$(2))
$(OSV_SCANNER) scan image $(OSV_FLAGS) --config .ci/vulnerabilities.toml --archive $(2)
rm $(2)

endef

format: $(READY) ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(READY) ## measure against the named peers and write docs/performance.md (NAMES='endpoint scoring')
	$(VENV)/bin/python -m benchmarks $(NAMES)

compile: $(READY) ## regenerate the KFP packages in manifests/kfp
	$(VENV)/bin/python -m pipelines.compile

manifests: $(READY) $(HELM) ## regenerate manifests/base, manifests/overlays and the chart's README
	$(VENV)/bin/python -m charts.render

clean: ## remove everything that the other targets created, including the environment
	rm -rf $(VENV) .tools .skyclass dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
