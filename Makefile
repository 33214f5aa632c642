# anygate. `make run` and `make test` do all the set-up on Debian 12; `make` builds the daemon.

PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
DESTDIR ?=
CC       = gcc
SECONDS ?= 60

BUILD = build
ASAN  = $(BUILD)/asan

APP       = $(wildcard app/*.c app/async/*.c app/host/*.c app/web/*.c app/builtin/*.c)
PROTOCOLS = $(wildcard protocols/*.c)
DAEMON    = $(filter-out daemon/main.c,$(wildcard daemon/*.c))
SOURCES   = $(APP) $(PROTOCOLS) $(DAEMON)

UNIT    = $(wildcard tests/unit/*.c)
E2E     = $(wildcard tests/e2e/*.c tests/e2e/gateways/*.c)
SUPPORT = $(wildcard tests/support/*.c)

# What applications include.
PUBLIC = app/anygate.h $(wildcard app/anygate/*.h)

# Applications as shared objects: examples, and what tests load.
EXAMPLES  = $(basename $(notdir $(wildcard app/examples/*.c)))
UNIT_APPS = $(basename $(notdir $(wildcard tests/unit/apps/*.c)))
E2E_APPS  = $(basename $(notdir $(wildcard tests/e2e/apps/*.c)))
PEERS     = $(basename $(notdir $(wildcard tests/e2e/peers/*.c)))

WARNINGS = -Wall -Wextra -Wshadow -Werror
HARDENING = -fstack-protector-strong -fstack-clash-protection -fPIE
CFLAGS ?= -O3 -g -flto=auto
COMMON = -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -MMD -MP
PLAIN  = $(COMMON) $(CFLAGS) -D_FORTIFY_SOURCE=2 $(HARDENING)
SANE   = $(COMMON) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined -DANYGATE_SANITIZED -I. \
	-DSOURCE_DIR='"$(CURDIR)"' -DBUILD_DIR='"$(CURDIR)/$(ASAN)"'
LIBS   = -lcurl -levent_core -linih -lcrypto -lwslay -lhiredis -lz -ldw -ldl
# what loaded applications call
EXPORT = -Wl,--export-dynamic-symbol='ag_*'
LDFLAGS ?= -pie -Wl,-z,relro,-z,now

PLAIN_OBJECTS = $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/daemon/main.o
SANE_OBJECTS  = $(SOURCES:%.c=$(ASAN)/%.o)
TEST_OBJECTS  = $(UNIT:%.c=$(ASAN)/%.o) $(E2E:%.c=$(ASAN)/%.o) $(SUPPORT:%.c=$(ASAN)/%.o)
TEST_APPS = $(EXAMPLES:%=$(ASAN)/apps/%.so) $(UNIT_APPS:%=$(ASAN)/apps/%.so) \
	$(E2E_APPS:%=$(ASAN)/apps/%.so)

.PHONY: all lib deps run test check lint fuzz coverage bench bench-waits soak install uninstall clean
.DELETE_ON_ERROR:

all: $(BUILD)/anygate

$(BUILD)/anygate: $(PLAIN_OBJECTS)
	@echo '  LINK  $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) $(EXPORT) -o $@ $^ $(LIBS)

# The daemon as a library: see ag_main. Only ag_* can be seen of either form.
ABI     := $(shell sed -n 's/^\#define AG_ABI //p' app/anygate.h)
VERSION := $(shell sed -n 's/^\#define ANYGATE_VERSION "\(.*\)"/\1/p' daemon/options.h)
SHARED   = $(BUILD)/libanygate.so.$(ABI)
PIC      = $(BUILD)/pic

lib: $(SHARED) $(BUILD)/libanygate.a

$(PIC)/%.o: %.c
	@mkdir -p $(@D)
	@echo '  PIC   $@'
	@$(CC) $(PLAIN) -fPIC -fno-semantic-interposition -c -o $@ $<

$(SHARED): $(SOURCES:%.c=$(PIC)/%.o) daemon/libanygate.map
	@echo '  LINK  $@'
	@$(CC) $(CFLAGS) -shared -Wl,-soname,$(@F) -Wl,-z,relro,-z,now,-z,defs,-Bsymbolic-functions \
		-Wl,--version-script=daemon/libanygate.map -o $@ $(filter %.o,$^) $(LIBS)

# One object, so that names within are nobody else's.
$(BUILD)/libanygate.a: $(SOURCES:%.c=$(BUILD)/%.o)
	@echo '  AR    $@'
	@$(CC) $(CFLAGS) -flinker-output=nolto-rel -r -nostdlib -o $(BUILD)/libanygate.o $^
	@objcopy --wildcard --keep-global-symbol='ag_*' $(BUILD)/libanygate.o
	@rm -f $@ && ar rcs $@ $(BUILD)/libanygate.o

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	@echo '  CC    $@'
	@$(CC) $(PLAIN) -c -o $@ $<

$(ASAN)/anygate: $(SANE_OBJECTS) $(ASAN)/daemon/main.o
	@echo '  LINK  $@'
	@$(CC) -fsanitize=address,undefined $(EXPORT) -o $@ $^ $(LIBS)

$(ASAN)/test-runner: $(SANE_OBJECTS) $(TEST_OBJECTS)
	@echo '  LINK  $@'
	@$(CC) -fsanitize=address,undefined $(EXPORT) -o $@ $^ $(LIBS) -lcriterion

$(ASAN)/%.o: %.c
	@mkdir -p $(@D)
	@echo '  CC    $@'
	@$(CC) $(SANE) -c -o $@ $<

APP_CC = $(CC) -std=gnu11 -O2 -g $(WARNINGS) -shared -fPIC -idirafter app

$(ASAN)/apps/%.so: app/examples/%.c $(PUBLIC)
	@mkdir -p $(@D)
	@echo '  APP   $@'
	@umask 022 && $(APP_CC) -o $@ $< $(APP_LIBS)

$(ASAN)/apps/kdf.so: APP_LIBS = -lcrypto

$(ASAN)/apps/%.so: tests/unit/apps/%.c $(PUBLIC)
	@mkdir -p $(@D)
	@echo '  APP   $@'
	@umask 022 && $(APP_CC) -o $@ $<

$(ASAN)/apps/%.so: tests/e2e/apps/%.c $(PUBLIC)
	@mkdir -p $(@D)
	@echo '  APP   $@'
	@umask 022 && $(APP_CC) -o $@ $<

$(ASAN)/peers/%: tests/e2e/peers/%.c
	@mkdir -p $(@D)
	@echo '  PEER  $@'
	@$(CC) -std=gnu11 -O2 -g $(WARNINGS) -o $@ $< -lfcgi

# Fuzzing: clang's libFuzzer, one binary for each target, each run for SECONDS from tests/vectors.
FUZZ = $(BUILD)/fuzz
FUZZERS = http scgi uwsgi fastcgi fastcgi_records proxy forwarded request cgi_head encode \
	config websocket
FUZZ_TARGETS = $(FUZZERS:%=$(FUZZ)/%)
FUZZ_CC = clang-14 -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -MMD -MP -Wall -Wextra \
	-Werror -fno-sanitize-recover=undefined -DANYGATE_SANITIZED

$(FUZZ)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo '  FUZZ  $@'
	@$(FUZZ_CC) -fsanitize=fuzzer-no-link,address,undefined -c -o $@ $<

$(FUZZ)/obj/decode_%.o: tests/fuzz/fuzz_decode.c
	@mkdir -p $(@D)
	@$(FUZZ_CC) -fsanitize=fuzzer-no-link,address,undefined -DPROTOCOL=protocol_$* -c -o $@ $<

$(FUZZ)/all.a: $(SOURCES:%.c=$(FUZZ)/obj/%.o) $(FUZZ)/obj/tests/fuzz/oracle.o
	@rm -f $@ && ar rcs $@ $^

.PRECIOUS: $(FUZZ)/obj/%.o

FUZZ_LINK = @echo '  LINK  $@' && clang-14 -fsanitize=fuzzer,address,undefined -o $@ $^ $(LIBS)

$(FUZZ)/http $(FUZZ)/scgi $(FUZZ)/uwsgi $(FUZZ)/fastcgi: $(FUZZ)/%: $(FUZZ)/obj/decode_%.o $(FUZZ)/all.a
	$(FUZZ_LINK)

$(FUZZ)/%: $(FUZZ)/obj/tests/fuzz/fuzz_%.o $(FUZZ)/all.a
	$(FUZZ_LINK)

fuzz: deps
	@nice $(MAKE) --no-print-directory -j2 $(FUZZ_TARGETS)
	@nice tests/fuzz/run $(FUZZ) $(SECONDS) $(FUZZERS)

# Lines and branches of the decoders that the unit tests reach.
COVER = $(BUILD)/coverage
COVER_OBJECTS = $(SOURCES:%.c=$(COVER)/%.o) $(UNIT:%.c=$(COVER)/%.o) $(SUPPORT:%.c=$(COVER)/%.o)

$(COVER)/%.o: %.c
	@mkdir -p $(@D)
	@$(CC) $(COMMON) -Wno-error -O0 -g --coverage -I. -DSOURCE_DIR='"$(CURDIR)"' \
		-DBUILD_DIR='"$(CURDIR)/$(ASAN)"' -c -o $@ $<

$(COVER)/test-runner: $(COVER_OBJECTS)
	@echo '  LINK  $@'
	@$(CC) --coverage $(EXPORT) -o $@ $^ $(LIBS) -lcriterion

coverage: deps
	@$(MAKE) -s --no-print-directory -j2 $(COVER)/test-runner $(TEST_APPS)
	@find $(COVER) -name '*.gcda' -delete
	@$(COVER)/test-runner --jobs 1 | tail -1
	@gcovr --root . --filter 'protocols/' $(COVER)
	@gcovr --root . --filter 'protocols/' --branches $(COVER)

# Load generator, floor and others, built plain, which tests/bench/run compares with anygate.
BENCH_CC = $(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2

$(BUILD)/bench/gateload: tests/bench/gateload.c tests/bench/multiplex.c tests/bench/gate.c \
	tests/bench/address.c tests/bench/latency.c
$(BUILD)/bench/floor: tests/bench/floor.c tests/bench/address.c
$(BUILD)/bench/crowd: tests/bench/crowd.c tests/bench/address.c tests/bench/latency.c
$(BUILD)/bench/kdf: tests/bench/kdf.c tests/bench/address.c tests/bench/latency.c
$(BUILD)/bench/slowload: tests/soak/slowload.c tests/bench/address.c
$(BUILD)/bench/steadyload: tests/soak/steadyload.c tests/soak/disturb.c tests/bench/gate.c \
	tests/bench/address.c tests/bench/latency.c
$(BUILD)/bench/%: tests/bench/gate.h tests/bench/load.h tests/bench/address.h tests/bench/latency.h
	@mkdir -p $(@D)
	@echo '  BENCH $@'
	@$(BENCH_CC) -o $@ $(filter %.c,$^)

# What anygate is compared with: hello by others, each built with its own library.
BENCH_PEERS = $(BUILD)/bench/peers
$(BENCH_PEERS)/libfcgi: BENCH_LIBS = -lfcgi -pthread
$(BENCH_PEERS)/microhttpd: BENCH_LIBS = -lmicrohttpd
$(BENCH_PEERS)/evhttp: BENCH_LIBS = -levent_core -levent_extra
$(BENCH_PEERS)/uwsgi: BENCH_LIBS = -shared -fPIC
$(BENCH_PEERS)/microhttpd $(BENCH_PEERS)/evhttp: tests/bench/address.c
$(BENCH_PEERS)/%: tests/bench/peers/%.c tests/bench/address.h
	@mkdir -p $(@D)
	@echo '  BENCH $@'
	@$(BENCH_CC) -o $@ $(filter %.c,$^) $(BENCH_LIBS)

$(BUILD)/bench/apps/%.so: tests/bench/apps/%.c $(PUBLIC)
	@mkdir -p $(@D)
	@echo '  APP   $@'
	@$(APP_CC) -o $@ $<

BENCH_TOOLS = $(BUILD)/bench/gateload $(BUILD)/bench/floor $(BUILD)/bench/apps/bench.so
BENCH_ALL   = $(BENCH_TOOLS) $(basename $(patsubst tests/%,$(BUILD)/%,$(wildcard tests/bench/peers/*.c)))

bench: deps
	@tests/support/deps bench
	@$(MAKE) --no-print-directory -j2 all $(BENCH_ALL)
	@tests/bench/run $(BENCH)

# What waiting costs: crowds at long polls and WebSockets, a client beside password hashes.
bench-waits: deps
	@$(MAKE) --no-print-directory -j2 all $(BUILD)/bench/crowd $(BUILD)/bench/kdf $(TEST_APPS)
	@tests/bench/waits

# Long runs: hostile and constant load, and what disturbs it; `check` runs the short forms.
SOAK_TOOLS = $(BUILD)/bench/gateload $(BUILD)/bench/slowload $(BUILD)/bench/steadyload

soak: deps
	@$(MAKE) --no-print-directory -j2 all $(ASAN)/anygate $(SOAK_TOOLS) $(TEST_APPS)
	@tests/soak/run $(SOAK)

# What is missing is installed once; the other targets call this first.
deps:
	@tests/support/deps

run: deps
	@$(MAKE) -s --no-print-directory -j2 all
	@deploy/demo/run $(BUILD)/anygate

test: deps
	@$(MAKE) -s --no-print-directory -j2 all check

check: $(BUILD)/anygate lib $(ASAN)/test-runner $(ASAN)/anygate $(FUZZ_TARGETS) $(SOAK_TOOLS) $(BENCH_TOOLS) $(BUILD)/bench/crowd $(TEST_APPS) $(PEERS:%=$(ASAN)/peers/%)
	@tests/support/check $(ASAN)/test-runner

C_FILES = $(shell git ls-files '*.c' '*.h' 2>/dev/null || find app protocols daemon tests -name '*.[ch]')

lint: deps
	@$(MAKE) -s --no-print-directory -j2 all
	@echo '  LAYERS'
	@tests/support/layers
	@echo '  FORMAT'
	@clang-format --dry-run -Werror $(C_FILES)
	@echo '  CPPCHECK'
	@cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=tests/support/cppcheck -D__x86_64__ -D_GNU_SOURCE \
		-j2 app protocols daemon
	@echo '  C++'
	@$(CC) -x c++ -std=c++11 -fsyntax-only -Wall -Wextra -Werror $(PUBLIC)

# Both forms of an application of its own: cc app.c $(pkg-config --cflags --libs anygate).
HEADERS = $(PUBLIC:app/%=$(PREFIX)/include/%)
INSTALLED = $(PREFIX)/bin/anygate $(HEADERS) $(LIBDIR)/libanygate.a $(LIBDIR)/libanygate.so \
	$(LIBDIR)/$(notdir $(SHARED)) $(LIBDIR)/pkgconfig/anygate.pc \
	$(PREFIX)/share/man/man8/anygate.8 $(PREFIX)/share/doc/anygate/anygate.ini

install: all lib
	install -Dm755 $(BUILD)/anygate $(DESTDIR)$(PREFIX)/bin/anygate
	install -Dm644 app/anygate.h $(DESTDIR)$(PREFIX)/include/anygate.h
	install -Dm644 -t $(DESTDIR)$(PREFIX)/include/anygate app/anygate/*.h
	install -Dm644 -t $(DESTDIR)$(LIBDIR) $(SHARED) $(BUILD)/libanygate.a
	ln -sf $(notdir $(SHARED)) $(DESTDIR)$(LIBDIR)/libanygate.so
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|@LIBS@|$(LIBS)|' deploy/pkgconfig/anygate.pc.in \
		>$(DESTDIR)$(LIBDIR)/pkgconfig/anygate.pc
	install -Dm644 daemon/anygate.8 $(DESTDIR)$(PREFIX)/share/man/man8/anygate.8
	install -Dm644 etc/anygate.ini $(DESTDIR)$(PREFIX)/share/doc/anygate/anygate.ini

uninstall:
	rm -f $(INSTALLED:%=$(DESTDIR)%)
	-rmdir $(DESTDIR)$(PREFIX)/include/anygate $(DESTDIR)$(PREFIX)/share/doc/anygate

clean:
	rm -rf $(BUILD)

-include $(PLAIN_OBJECTS:.o=.d) $(SOURCES:%.c=$(PIC)/%.d) \
	$(SANE_OBJECTS:.o=.d) $(ASAN)/daemon/main.d $(TEST_OBJECTS:.o=.d) \
	$(wildcard $(FUZZ)/obj/*.d $(FUZZ)/obj/*/*.d $(FUZZ)/obj/*/*/*.d)
