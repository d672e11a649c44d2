# Every target works on a fresh clone, as root, on Debian 12: what it lacks is installed first.
# `make help` lists them.

MESON := /usr/bin/python3 /usr/bin/meson
NINJA := ninja
BUILD := build
DESTDIR ?=
PREFIX ?= /usr/local

# What it takes to build everything and to run `make demo`.
BUILD_DEPS := btrfs-progs busybox-static e2fsprogs gcc grpc-proto kmod libarchive-dev \
	libc6-dev libcap-dev libcmocka-dev libcurl4-openssl-dev libevent-dev libjansson-dev \
	libmnl-dev libnftables-dev libnghttp2-dev nettle-dev libprotobuf-c-dev \
	libprotobuf-dev libseccomp-dev libsmartcols-dev libsqlite3-dev libssl-dev meson \
	ninja-build pkg-config protobuf-c-compiler protobuf-compiler python3 python3-protobuf
# And to test it.
TEST_DEPS := acl binutils clang clang-format-14 crun groff iperf3 iproute2 libclang-rt-14-dev \
	lxcfs lxd mandoc mmdebstrap nftables nghttp2-client openssh-client openssl podman \
	python3-grpcio python3-h2 python3-prometheus-client python3-pytest qemu-system-x86 runc \
	skopeo sqlite3 uidmap umoci xfsprogs xz-utils zstd
COVER_DEPS := gcovr

# Installs what is missing of a list of packages; one dpkg-query when nothing is.
define install
@have=" $$(dpkg-query -W -f='$${db:Status-Status}=$${Package} ' $(1) 2>/dev/null) "; missing=; \
for p in $(1); do \
	case "$$have" in *" installed=$$p "*) ;; *) missing="$$missing $$p" ;; esac; \
done; \
if [ -n "$$missing" ]; then \
	echo "installing:$$missing"; \
	if [ "$$(id -u)" != 0 ]; then \
		echo "run this as root once, to install them" >&2; exit 1; \
	fi; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get -qq -o DPkg::Lock::Timeout=300 update && \
	apt-get -qq -y -o DPkg::Lock::Timeout=300 --no-install-recommends install \
		$$missing </dev/null >/dev/null; \
fi
endef

# promtool alone, out of Debian's package of Prometheus, which would start a service where it is
# installed.
define install_promtool
@[ -x build/tools/promtool ] || { $(MAKE) --no-print-directory deps-promtool; }
endef

# Debian's node has npm in a package of its own; others bring it along.
define install_npm
@command -v npm >/dev/null || { $(MAKE) --no-print-directory deps-npm; }
endef

.DEFAULT_GOAL := build
.PHONY: help build build-clang test test-unit test-root test-images test-vm bench fuzz \
	lint format san cover demo tour install clean deps deps-build deps-npm deps-cover \
	deps-promtool 	images

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' Makefile

build: $(BUILD)/build.ninja ## croftd, croft-supervisor, its workers and croft, into build/
	@$(NINJA) -C $(BUILD)

build-clang: deps ## the same with clang, into build-clang/
	@[ -f build-clang/build.ninja ] || CC=clang $(MESON) setup --werror build-clang
	@$(NINJA) -C build-clang

$(BUILD)/build.ninja: | deps-build
	@$(MESON) setup --werror --prefix $(PREFIX) $(BUILD)

test: deps ## every test there is; the last line counts them
	@exec /usr/bin/python3 tests/run

test-unit: deps build ## unit tests: no root, a few seconds
	@exec /usr/bin/python3 tests/run --only unit

test-root: deps build ## tests on this host's kernel: root, cgroups, a private croftd each
	@exec /usr/bin/python3 tests/run --only root,integration

test-images: deps build ## other distributions: Debian 11 and 13, sysvinit, runit, from the mirror
	@exec /usr/bin/python3 tests/run --only distributions

test-vm: deps build ## limits, isolation, kill -9, usage and systemd on cgroup v2, in a machine
	@exec /usr/bin/python3 tests/run --only vm

bench: deps build ## figures, as ratios to crun and runc; never pass or fail
	@build/tests/bench/abuse_sweep
	@dir=$$(mktemp -d) && build/tests/bench/ledger_year $$dir/croft.db 1000 8760; rm -rf $$dir
	@dir=$$(mktemp -d) && build/tests/bench/sample_sweep $$dir/croft.db 1000 60; rm -rf $$dir
	@exec /usr/bin/python3 tests/bench/run

fuzz: deps ## libFuzzer on every parser, FUZZ_SECONDS each (default 60)
	@exec /usr/bin/python3 tests/fuzz/run

lint: deps build ## format, folder dependencies, linked libraries, sizes, forbidden calls
	@exec /usr/bin/python3 tests/lint/run --build $(BUILD)

format: deps ## clang-format on every C file
	@git ls-files -z --cached --others --exclude-standard '*.c' '*.h' | \
		xargs -0 -r clang-format-14 -i

san: deps ## unit and root tests under AddressSanitizer and UBSan, in build-san/
	@exec /usr/bin/python3 tests/run --only san-unit,san-root

cover: deps deps-cover ## line coverage of the unit and root tests, in build-cover/
	@exec /usr/bin/python3 tests/run --only cover

images: deps ## the images that tests boot and run, in build/images/
	@tests/images/build
	@tests/images/build-shell
	@tests/images/build-apps
	@tests/images/build-lxd
	@tests/images/build-nesting
	@exec tests/images/build-distributions cloud

demo: build ## tenants, a fork bomb, a memory bomb, CPU burners: what the kernel allowed
	@exec tests/demo

tour: deps build ## a newcomer's first day, beside Debian's LXD where that is installed
	@exec tests/tour/run

install: build ## into DESTDIR and PREFIX (/usr/local)
	@DESTDIR=$(DESTDIR) $(MESON) install -C $(BUILD)

clean: ## removes build directories
	rm -rf build build-clang build-san build-cover build-fuzz

deps: deps-build ## installs what building and testing need
	$(call install,$(TEST_DEPS))
	$(install_npm)
	$(install_promtool)

deps-build: ## installs what building needs
	$(call install,$(BUILD_DEPS))

deps-cover:
	$(call install,$(COVER_DEPS))

# In a directory of its own, as another make may fetch it at the same moment; what goes wrong at the
# second attempt is shown.
deps-promtool:
	@echo "fetching: promtool"
	@mkdir -p build/tools && dir=$$(mktemp -d build/tools/deb-XXXXXX) && \
	trap "rm -rf $$PWD/$$dir" EXIT && cd $$dir && \
	download() { apt-get -qq -o APT::Sandbox::User=root download prometheus; } && \
	{ download 2>/dev/null || { \
		apt-get -qq -o DPkg::Lock::Timeout=300 update && download; }; } && \
	dpkg-deb --fsys-tarfile prometheus_*.deb | \
		tar -x --strip-components=3 ./usr/bin/promtool && \
	mv promtool ..

deps-npm:
	$(call install,npm)
