# SPDX-License-Identifier: BSD-3-Clause
# The front door; meson and ninja do the work.
#
#   make            build/weir                        make test     all tests  (tests/run)
#   make run        the demo, from a fresh clone on   make lint     layout, warnings, analysers
#   make install    weir, man pages, completion, unit make bench    against testpmd and OVS-DPDK
#   make soak       what takes hours, before a release
#
# Set-up installs missing Debian packages, through sudo when not root. NO_INSTALL=1 leaves it out.
BUILD ?= build
ARGS ?=
setup = $(if $(NO_INSTALL),@:,@scripts/install-packages)

.PHONY: all run test soak unit lint bench install clean
all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	meson setup $(BUILD)

run:
	$(setup) build run
	@$(MAKE) --no-print-directory all
	@scripts/demo $(ARGS)

test:
	$(setup) build run test
	@tests/run $(ARGS)

soak:
	$(setup) build run test
	@tests/run --times 10 unit hostile system vm sriov soak $(ARGS)

unit:
	@tests/run unit $(ARGS)

lint:
	$(setup) build lint
	@scripts/lint $(ARGS)

bench:
	$(setup) build bench
	@$(MAKE) --no-print-directory all
	@bench/peers/run $(ARGS)

install: all
	@meson install -C $(BUILD)

clean:
	rm -rf build build-asan build-clang build-lint
