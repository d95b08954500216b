# SPDX-License-Identifier: GPL-2.0
# Builds, boots and tests the series; the work is done by the scripts in harness/.

ARCH ?= x86_64
SHELL := /bin/bash
.NOTPARALLEL:
.PHONY: help run vm kernel selftests headers check check-all check-libffi runtimes nested lsm stress fuzz figures bench coverage docs series check-series tree root shell test clean

help: ## print this
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20
	@echo "ARCH=x86_64, i386, arm64, arm, riscv64, ppc64le, s390x or loongarch64; for run, vm, kernel, test,"
	@echo "stress and check also a variant from harness/kernel/arches.toml, such as arm64-64k. BASE=6.12 uses"
	@echo "that kernel, not the first of series/bases. Everything that is built is in build/."

run: kernel ## build everything and run the demonstration
	@ARCH='$(ARCH)' harness/check/demo.sh

# A make whose recipe fails ends with 2 and names the status in its message;
# harness/guest/vm.sh by itself ends with the program's.
vm: kernel ## run a static program in a guest: RUN='PROGRAM ARGS'; none: a shell
	@harness/guest/vm.sh $(ARCH) $(RUN)

kernel: tree ## build the kernel
	@set -e; for arch in $(ARCH); do harness/kernel/kernel.sh $$arch; done

selftests: tree ## build the selftests
	@set -e; for arch in $(ARCH); do harness/check/selftests.sh $$arch; done

headers: tree ## install the user space headers (INSTALL_HDR_PATH=)
	@set -e; for arch in $(ARCH); do harness/kernel/headers.sh $$arch; done

test: kernel ## run one test: T=map_test.code_is_never_mapped_writable, or T=map_test
	@set -e; for arch in $(ARCH); do harness/check/test.sh $$arch '$(T)'; done

check: ## check everything, or only ARCH=
	@harness/check/check.sh $(check_archs)

check-all: ## check, and rarer kernels, the kernel's own checkers, libffi, runtimes, documents, fuzzing
	@harness/check/check.sh --all $(check_archs)

check-libffi: tree ## compare the test suite of libffi over libtrampfd with unpatched libffi
	@harness/libffi/check.sh $(ARCH)

runtimes: tree ## make callbacks in Python, Ruby, Java ... in a sandbox; measure closures
	@harness/runtimes/run.sh
	@harness/runtimes/run.sh --cost

nested: tree ## run nested functions of C, Fortran and Ada in a sandbox; measure them
	@harness/nested/nested.sh --cost

lsm: tree ## test trampfd under each security module, enforcing
	@harness/lsm/lsm.sh

SECONDS ?= 300

stress: tree ## run the stress test for SECONDS=300; SEED= repeats a run
	@set -e; for arch in $(ARCH); do SEED='$(SEED)' harness/check/stress.sh $$arch $(SECONDS); done

figures: kernel ## measure size and cost of the kernel part
	@ARCH='$(ARCH)' harness/check/figures.sh

bench: tree ## compare trampfd with other ways to make trampolines
	@harness/bench/bench.sh

coverage: tree ## measure which lines of our kernel files the tests run
	@set -e; for arch in $(ARCH); do harness/check/coverage.sh $$arch; done

fuzz: tree ## fuzz the system call in a guest: SECONDS=, or INPUT=FILE to run one again
	@harness/fuzz/fuzz.sh $(or $(INPUT),$(SECONDS))

docs: tree ## render our kernel documents; fail on a warning
	@harness/check/docs.sh

series: tree ## make the patches, as they are mailed, in build/7.3/series
	@harness/series/series.sh

check-series: ## check each patch, with the kernel's own tools
	@harness/series/check-series.sh

tree: ## copy our files over Debian's kernel sources
	@harness/kernel/tree.sh

root: ## update the packages of the tool root
	@harness/root/enter.sh --update

shell: ## open a shell in the tool root
	@harness/root/enter.sh bash

clean: ## remove what was built, except the compiler's cache and the tool root
	@[ ! -L build ] || rm -rf "$$(readlink build)" build

# All architectures unless one is asked for.
check_archs = $(if $(filter file,$(origin ARCH)),,$(ARCH))
