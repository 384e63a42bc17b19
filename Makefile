# `make run` runs a broker for trying out, `make test` all that must hold. Both do their own set-up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find wsmb twisted -name '*.py' -o -name '*.sql' -o -name '*.json') setup.cfg pyproject.toml
DEBIAN_FOR_TESTS := mariadb-server postgresql apache2-utils openssl gcc libc6-dev \
    nginx libnginx-mod-stream apache2-bin caddy nodejs node-ws node-typescript chromium php-cli prometheus curl systemd
RUN_PORT ?= 8888
# How many processes run the tests; each has database servers of its own.
JOBS ?= 2
# For `make bench`: a short look is `make bench ROUNDS=1 ONLY='1 to 100, 64'`.
ROUNDS ?= 3
ONLY ?=
BENCH_JSON ?= $(if $(ONLY),build/bench.json,docs/performance.json)

# For `make bench-abuse`: which of reconnect, hostile, guess, removed and corpus; all of them take seven minutes.
CASE ?=

DEB_REVISION ?= 1
# What lintian wants of packages that are uploaded to Debian: who has made them, and which bug they close.
NOT_FOR_DEBIAN := bogus-mail-host,bogus-mail-host-in-debian-changelog,root-in-contact,initial-upload-closes-no-bugs

# For `make fuzz`: how many requests, frames and commands in each of its two rounds, and the seed that repeats an earlier run.
MUTATIONS ?= 6000

# For `make chaos`: FOR is how long in all (60s, 30m); or KILLS is how many in each scenario, however long it
# takes. SCENARIO has the names of some of them. SEED repeats what was random in an earlier run.
FOR ?= $(if $(KILLS),,60s)
KILLS ?=
SCENARIO ?=
SEED ?=

.PHONY: run test lint types unit plugin conformance debian fuzz properties chaos chaos-exec chaos-javascript bench bench-abuse bench-kept bench-page bench-memory bench-waiting bench-client chaos-clients wheels \
    dist deb deb-test docker docker-base docker-test docs docs-settings docs-test clean

run: $(VENV)/installed
	@umask 077 && mkdir -p run && { test -e run/htpasswd || cp htpasswd.example run/htpasswd; }
	@echo
	@echo "wsmb runs on ws://127.0.0.1:$(RUN_PORT)/, reachable from this machine only; Ctrl-C ends it."
	@echo "From another terminal, in this folder:"
	@echo
	@echo "  export WSMB_URL=ws://127.0.0.1:$(RUN_PORT)/ WSMB_USER=qa WSMB_PASSWORD=4lt0@1234"
	@echo "  $(BIN)/wsmb receive sms"
	@echo "  $(BIN)/wsmb send sms '{\"receiver\":\"0812\",\"message\":\"hello\"}'"
	@echo
	@exec $(BIN)/twistd -n --pidfile= wsmb --htpasswd run/htpasswd \
	    --listen tcp:$(RUN_PORT):interface=127.0.0.1 --database sqlite:///run/wsmb.sqlite3

test: debian $(VENV)/ready lint types plugin unit conformance

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy

# From outside the checkout, so that it is the installed plugin that is found.
plugin: $(VENV)/ready
	cd / && "$(CURDIR)/$(BIN)/twistd" --help | grep '^ *wsmb ' >/dev/null

# Much of their time is waiting: for brokers to start, for databases that do not answer. A dot for a test, so that what
# fails is on the last screen.
unit: $(VENV)/ready
	PYTHONPATH=. $(BIN)/python -m twisted.trial -j$(JOBS) --reporter=text tests

# The Autobahn test suite: which cases are not plain OK, and why, is in tests/conformance/run.py.
conformance: $(VENV)/ready
	@if $(BIN)/python -c 'import kosoku' 2>/dev/null; then PYTHONPATH=. $(BIN)/python -m tests.conformance.run; \
	else echo "Skipped: the Autobahn test suite (kosoku is to be had for x86-64 only)."; fi

# What is hostile, on transports in memory and against a running broker; about half a minute.
fuzz: $(VENV)/ready
	WSMB_TEST_MUTATIONS=$(MUTATIONS) WSMB_TEST_SEED="$${SEED:-$$(date +%s)}" PYTHONPATH=. \
	    timeout 600 $(BIN)/python -m twisted.trial tests.test_corpus_protocol tests.integration.test_hostile

# New examples for all that Hypothesis tests, so many of each. What fails says how it is repeated.
EXAMPLES ?= 2000
properties: $(VENV)/ready
	WSMB_TEST_EXAMPLES=$(EXAMPLES) PYTHONPATH=. timeout 3600 $(BIN)/python -m twisted.trial -j$(JOBS) --reporter=text \
	    $$(grep -l 'from hypothesis' tests/test_*.py)

chaos: debian $(VENV)/ready
	PYTHONPATH=. $(BIN)/python -m chaos $(FOR:%=--for %) $(KILLS:%=--kills %) $(SEED:%=--seed %) \
	    $(SCENARIO:%=--scenario %)

# The JavaScript client sends and receives 10,000 items, while the broker is killed KILLS times; under a minute.
chaos-javascript: debian $(VENV)/ready
	WSMB_TEST_ITEMS=10000 WSMB_TEST_KILLS=$(or $(KILLS),5) PYTHONPATH=. timeout 300 $(BIN)/python -m twisted.trial \
	    tests.integration.test_javascript.JavascriptTests.test_nothing_is_lost_or_stored_twice_when_the_broker_is_killed

# wsmb receive --exec, killed with -9 50 times over 2,000 items; about half a minute.
chaos-exec: $(VENV)/ready
	PYTHONPATH=. $(BIN)/python -m chaos.exec_kills $(SEED:%=--seed %)
	PYTHONPATH=. $(BIN)/python -m chaos.exec_kills $(SEED:%=--seed %) --limit 1

# The broker is killed while one client sends and another one receives; under a minute.
ITEMS ?= 100000
chaos-clients: $(VENV)/ready
	PYTHONPATH=. $(BIN)/python -m chaos.clients --items $(ITEMS) --kills $(or $(KILLS),20) $(SEED:%=--seed %)

# Beside which other brokers: whichever of mosquitto and nats-server are installed.
bench: $(VENV)/bench
	PYTHONPATH=. $(BIN)/python -m benchmarks.compare --rounds $(ROUNDS) --only '$(ONLY)' --json $(BENCH_JSON)
	PYTHONPATH=. $(BIN)/python -m benchmarks.plot $(BENCH_JSON) $(BENCH_JSON:.json=.svg)

bench-waiting: $(VENV)/ready
	PYTHONPATH=. $(BIN)/python -m benchmarks.waiting

# About a minute.
bench-kept: $(VENV)/ready
	PYTHONPATH=. timeout 170 $(BIN)/python -m benchmarks.kept

# What it costs that somebody looks at the page; two and a half minutes, best as root. Its picture in the README is
# made by `python -m benchmarks.page --screenshot docs/page.png`.
bench-page: $(VENV)/ready
	PYTHONPATH=. timeout 175 $(BIN)/python -m benchmarks.page

# Best as root: then broker and load go before all else that runs on the machine.
bench-abuse: $(VENV)/ready
	PYTHONPATH=. timeout 1200 $(BIN)/python -m benchmarks.abuse $(CASE)

# How fast the asyncio client sends and receives; about a minute.
bench-client: $(VENV)/ready
	PYTHONPATH=. timeout 300 $(BIN)/python -m benchmarks.client

bench-memory: $(VENV)/ready
	PYTHONPATH=. $(BIN)/python -m benchmarks.memory

# Of wsmb, and of its clients alone.
wheels: $(VENV)/bin/python
	rm -rf build/wsmb-client
	mkdir -p build
	$(BIN)/python packaging/client/stage.py build/wsmb-client
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist . ./build/wsmb-client

# sdist and wheel, the wheel installed by itself and a broker run from it.
dist: $(VENV)/ready
	rm -rf dist/wsmb-* build/dist-venv
	$(BIN)/python -m build --outdir dist . >/dev/null
	$(BIN)/python -m twine check --strict dist/wsmb-*
	$(PYTHON) -m venv build/dist-venv
	build/dist-venv/bin/pip install -qq --disable-pip-version-check dist/wsmb-*.whl
	packaging/try-installed build/dist-venv

# For the version of Debian, and of Python, that it is made on. DEB_REVISION: what follows the version, for an upgrade.
deb: dist
	packaging/debian/build $(CURDIR)/$(BIN)/python dist/wsmb-*.whl $(DEB_REVISION) dist

# In a scratch root with a systemd of its own, as root; some minutes at first, for the root is fetched from Debian's mirror.
deb-test: build/scratch-root
	rm -f dist/wsmb_*.deb build/wsmb_*.deb
	$(MAKE) deb DEB_REVISION=1
	packaging/debian/build $(CURDIR)/$(BIN)/python dist/wsmb-*.whl 2 build
	! command -v lintian >/dev/null || lintian --allow-root --fail-on error,warning \
	    --suppress-tags $(NOT_FOR_DEBIAN) dist/wsmb_*-1_*.deb
	$(PYTHON) packaging/debian/scratch/try.py $< dist/wsmb_*-1_*.deb build/wsmb_*-2_*.deb

# python3-twisted is what could come between wsmb and its own packages: an older Twisted, and zope as a namespace package.
build/scratch-root: packaging/debian/scratch/root
	rm -rf $@
	packaging/debian/scratch/root $@ python3 systemd python3-twisted

# The image `wsmb`, with docker or podman. BASE: on which other one than python:3.13-slim.
docker:
	packaging/docker/engine build $(BASE:%=--build-arg BASE=%) -f packaging/docker/Dockerfile -t wsmb .

docker-test: docker
	$(PYTHON) packaging/docker/try.py wsmb

# Where Docker Hub cannot be reached, as root: `make docker-base docker-test BASE=localhost/wsmb-base` takes Debian's python3.
docker-base: build/docker-root
	tar -C $< -c . | packaging/docker/engine import - localhost/wsmb-base

build/docker-root: packaging/debian/scratch/root
	rm -rf $@
	packaging/debian/scratch/root $@ python3 python3-venv ca-certificates
	ln -s /usr/bin/python3 $@/usr/local/bin/python
	cp /etc/ssl/certs/ca-certificates.crt $@/etc/ssl/certs
	! test -e /etc/pip.conf || cp /etc/pip.conf $@/etc

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); apt-get install -y python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/installed: $(VENV)/bin/python $(SOURCES)
	$(BIN)/pip install -qq --disable-pip-version-check .
	@touch $@

$(VENV)/ready: $(VENV)/bin/python $(SOURCES)
	$(BIN)/pip install -qq --disable-pip-version-check '.[dev]'
	@touch $@ $(VENV)/installed

$(VENV)/bench: $(VENV)/ready
	$(BIN)/pip install -qq --disable-pip-version-check '.[bench,dev]'
	@touch $@

# What the tests want from Debian; none of its services is started. Where it cannot be installed, the tests that
# need it are skipped and say so; with WSMB_TEST_NO_SKIP=1, as in CI, they fail instead.
debian:
	@PATH="$$PATH:/usr/sbin"; is_there=yes; \
	for program in mariadbd htpasswd openssl gcc nginx apache2 caddy node tsc chromium php prometheus curl systemd-analyze; do \
	    command -v $$program >/dev/null || is_there=no; \
	done; \
	ls /usr/lib/postgresql/*/bin/initdb /usr/lib/nginx/modules/ngx_stream_module.so /usr/share/nodejs/ws \
	    >/dev/null 2>&1 || is_there=no; \
	if [ $$is_there = yes ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    export DEBIAN_FRONTEND=noninteractive; policy=/usr/sbin/policy-rc.d; \
	    if ! [ -e $$policy ]; then \
	        trap "rm -f $$policy" EXIT INT TERM; \
	        printf '#!/bin/sh\nexit 101\n' >$$policy && chmod +x $$policy; \
	    fi; \
	    { apt-get update -q && apt-get install -y -q --no-install-recommends $(DEBIAN_FOR_TESTS); } >/dev/null \
	    || echo "Some of $(DEBIAN_FOR_TESTS) could not be installed: the tests that need it are skipped."; \
	else echo "For all tests, as root: apt-get install --no-install-recommends $(DEBIAN_FOR_TESTS)"; fi

# The site, in build/site. A link or an anchor that leads nowhere is an error.
docs: $(VENV)/docs
	PYTHONPATH=. $(BIN)/python -m tools.site_pages build/site-pages
	$(BIN)/zensical build --strict --clean

docs-settings: $(VENV)/ready
	PYTHONPATH=. $(BIN)/python -m tools.settings_table

# The commands of all documents; tests/docs_commands.py says which of these tests runs which. A quarter of an hour, for some of
# the commands install wsmb, and make its Debian package.
docs-test: debian $(VENV)/docs docs
	PYTHONPATH=. timeout 2400 $(BIN)/python -m twisted.trial $$(PYTHONPATH=. $(BIN)/python -m tests.docs_commands)

$(VENV)/docs: $(VENV)/ready
	$(BIN)/pip install -qq --disable-pip-version-check '.[dev,docs]'
	@touch $@

clean:
	rm -rf $(VENV) build dist run *.egg-info _trial_temp* .hypothesis .mypy_cache .ruff_cache .cache
