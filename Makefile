# The front door: what there is to do here, in one word each. Meson does the building.

BUILD ?= build
prefix ?= /usr/local
DESTDIR ?=
INPUT ?=
OUTPUT ?= demo.webm
MESON_OPTIONS ?=
ARCH ?= x86-64
EXCAMERA = $(BUILD)/src/cli/excamera
# Tests at once: most of them wait for processes, sockets and time limits.
TEST_JOBS ?= $(shell echo $$((2 * $$(nproc))))

# The folder of the build is set up once; Meson keeps it up to date from then on.
SETUP = test -e $(BUILD)/build.ninja || meson setup $(BUILD) --prefix=$(abspath $(prefix)) $(MESON_OPTIONS)
SOURCES = find include src tests -name '*.[ch]'

.PHONY: help demo build lambda test test-all bench bench-codec bench-framework bench-engines fmt lint install clean

help:
	@echo "make demo [INPUT=film.mp4] [OUTPUT=film.webm]   encode a film, or a synthetic clip"
	@echo "make test        build and run the tests"
	@echo "make test-all    the same with every size and length: an hour or so"
	@echo "make bench       bits at equal quality, against one continuous libvpx encode: table and curves"
	@echo "make bench-codec CLIP=film.mp4   encoding for a given state, and whole encodes, beside libvpx"
	@echo "make bench-framework   workers that join, messages, hand-over; CLIP=film.mp4 adds an encode's overhead"
	@echo "make bench-engines   five hundred workers at once on Slurm and others, beside as many empty tasks"
	@echo "make lambda [ARCH=x86-64|arm64]   the package for AWS Lambda: build/lambda-ARCH.zip"
	@echo "make fmt, lint   format the C sources; check them"
	@echo "make install     honours prefix and DESTDIR"

demo:
	@scripts/install-deps.sh demo
	@$(SETUP)
	@ninja -C $(BUILD) src/cli/excamera
	@scripts/demo.sh $(EXCAMERA) "$(INPUT)" "$(OUTPUT)"

build:
	@$(SETUP)
	@ninja -C $(BUILD)

lambda:
	@scripts/install-deps.sh lambda-$(ARCH)
	@mkdir -p $(BUILD)
	@scripts/lambda/package.py --arch $(ARCH) --output $(BUILD)/lambda-$(ARCH).zip

test:
	@scripts/install-deps.sh test
	@$(MAKE) --no-print-directory build
	@meson test -C $(BUILD) --print-errorlogs --num-processes $(TEST_JOBS)

test-all:
	@scripts/install-deps.sh test
	@$(MAKE) --no-print-directory build
	@XC_TESTS=all meson test -C $(BUILD) --print-errorlogs --timeout-multiplier 10

bench:
	@scripts/install-deps.sh test
	@$(MAKE) --no-print-directory build
	@bench/bits.py --excamera $(EXCAMERA) --cache $(BUILD)/bench-cache --svg $(BUILD)/bench-curves

bench-codec:
	@test -n "$(CLIP)" || { echo "which film? make bench-codec CLIP=film.mp4" >&2; exit 1; }
	@$(SETUP)
	@ninja -C $(BUILD) src/cli/excamera bench/bench_reencode
	@$(BUILD)/bench/bench_reencode "$(CLIP)" 20
	@$(BUILD)/bench/bench_reencode "$(CLIP)" 40
	@bench/whole_job.py --excamera $(EXCAMERA)

bench-framework:
	@$(SETUP)
	@ninja -C $(BUILD) src/cli/excamera bench/bench_workers bench/bench_rendezvous bench/bench_handover
	@$(BUILD)/bench/bench_workers
	@$(BUILD)/bench/bench_rendezvous
	@$(BUILD)/bench/bench_handover $(EXCAMERA)
	@test -z "$(CLIP)" || bench/overhead.py --excamera $(EXCAMERA) --clip "$(CLIP)"

bench-engines:
	@scripts/install-deps.sh test
	@$(MAKE) --no-print-directory build
	@bench/engines.py --excamera $(EXCAMERA)

fmt:
	@$(SOURCES) | xargs clang-format -i

lint:
	@scripts/lint.sh

install: build
	@meson configure $(BUILD) --prefix=$(abspath $(prefix))
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD)

clean:
	rm -rf build build-asan build-fuzz demo.webm
