# anygate. `make run` and `make test` do all the set-up on Debian 12; `make` builds the daemon.

PREFIX  ?= /usr/local
DESTDIR ?=
CC       = gcc
SECONDS ?= 60

BUILD = build
ASAN  = $(BUILD)/asan

APP = app/arena.c app/env.c app/request.c app/lookup.c app/response.c app/router.c app/tree.c \
	app/path.c app/spool.c app/text.c app/status.c app/task.c app/async/timer.c app/host/load.c \
	app/builtin/builtin.c app/builtin/env.c app/builtin/hello.c app/builtin/echo.c
PROTOCOLS = protocols/protocols.c protocols/scan.c protocols/cgi.c protocols/fastcgi.c \
	protocols/fastcgi_record.c protocols/scgi.c protocols/uwsgi.c protocols/http.c \
	protocols/http_head.c protocols/http_chunk.c protocols/proxy.c protocols/forwarded.c
DAEMON = daemon/conn.c daemon/conn_in.c daemon/conn_out.c daemon/conn_trust.c \
	daemon/crash.c daemon/crash_log.c daemon/symbols.c \
	daemon/worker.c daemon/deadline.c daemon/master.c daemon/crew.c daemon/reload.c \
	daemon/generation.c daemon/control.c daemon/socket.c daemon/privileges.c \
	daemon/tally.c daemon/scoreboard.c daemon/histogram.c daemon/reasons.c \
	daemon/pidfile.c daemon/background.c \
	daemon/log.c daemon/options.c daemon/config.c daemon/config_build.c \
	daemon/config_types.c daemon/config_address.c daemon/config_keys.c daemon/peers.c
SOURCES = $(APP) $(PROTOCOLS) $(DAEMON)

UNIT = tests/unit/test_scan.c tests/unit/test_spool.c tests/unit/test_http.c tests/unit/test_http_body.c \
	tests/unit/test_http_answers.c tests/unit/test_fastcgi.c tests/unit/test_fastcgi_answers.c \
	tests/unit/test_scgi.c \
	tests/unit/test_uwsgi.c tests/unit/test_router.c tests/unit/test_path.c \
	tests/unit/test_text.c tests/unit/test_load.c tests/unit/test_config.c \
	tests/unit/test_config_errors.c tests/unit/test_env.c tests/unit/test_request.c \
	tests/unit/test_response.c tests/unit/test_waiting.c tests/unit/test_task.c \
	tests/unit/test_deadline.c tests/unit/test_proxy.c tests/unit/test_histogram.c \
	tests/unit/test_scoreboard.c tests/unit/test_reasons.c \
	tests/unit/test_forwarded.c tests/unit/test_pidfile.c tests/unit/test_crash.c \
	tests/unit/test_crash_log.c
E2E = tests/e2e/test_fuzz.c tests/e2e/test_gates.c tests/e2e/test_nginx.c tests/e2e/test_same.c \
	tests/e2e/test_spawn.c tests/e2e/test_daemon.c tests/e2e/test_workers.c tests/e2e/test_trust.c \
	tests/e2e/test_background.c tests/e2e/test_authorizer.c tests/e2e/test_reload.c \
	tests/e2e/test_crash.c \
	tests/e2e/gateways/test_matrix.c tests/e2e/gateways/cases.c tests/e2e/gateways/limits.c
SUPPORT = tests/support/decoding.c tests/support/support.c tests/support/process.c \
	tests/support/daemon.c tests/support/client.c tests/support/gates.c tests/support/json.c \
	tests/support/nginx.c tests/support/loopback.c tests/support/gateway.c

# Applications as shared objects: examples, and what tests load.
EXAMPLES = hello form slow download authorizer
UNIT_APPS = good other_abi no_entry fails
E2E_APPS = crash early answers napper overflow hang peers
PEERS = fcgx_env

WARNINGS = -Wall -Wextra -Wshadow -Werror
HARDENING = -fstack-protector-strong -fstack-clash-protection -fPIE
CFLAGS ?= -O2 -g
COMMON = -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -MMD -MP
PLAIN  = $(COMMON) $(CFLAGS) -D_FORTIFY_SOURCE=2 $(HARDENING)
SANE   = $(COMMON) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined -DANYGATE_SANITIZED -I. \
	-DSOURCE_DIR='"$(CURDIR)"' -DBUILD_DIR='"$(CURDIR)/$(ASAN)"'
LIBS   = -levent_core -linih -lcrypto -ldw -ldl
# what loaded applications call
EXPORT = -Wl,--export-dynamic-symbol='ag_*'
LDFLAGS ?= -pie -Wl,-z,relro,-z,now

PLAIN_OBJECTS = $(SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/daemon/main.o
SANE_OBJECTS  = $(SOURCES:%.c=$(ASAN)/%.o)
TEST_OBJECTS  = $(UNIT:%.c=$(ASAN)/%.o) $(E2E:%.c=$(ASAN)/%.o) $(SUPPORT:%.c=$(ASAN)/%.o)
TEST_APPS = $(EXAMPLES:%=$(ASAN)/apps/%.so) $(UNIT_APPS:%=$(ASAN)/apps/%.so) \
	$(E2E_APPS:%=$(ASAN)/apps/%.so)

.PHONY: all deps run test check lint fuzz coverage bench install uninstall clean
.DELETE_ON_ERROR:

all: $(BUILD)/anygate

$(BUILD)/anygate: $(PLAIN_OBJECTS)
	@echo '  LINK  $@'
	@$(CC) $(LDFLAGS) $(EXPORT) -o $@ $^ $(LIBS)

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

$(ASAN)/apps/%.so: app/examples/%.c app/anygate.h
	@mkdir -p $(@D)
	@echo '  APP   $@'
	@umask 022 && $(APP_CC) -o $@ $<

$(ASAN)/apps/%.so: tests/unit/apps/%.c app/anygate.h
	@mkdir -p $(@D)
	@echo '  APP   $@'
	@umask 022 && $(APP_CC) -o $@ $<

$(ASAN)/apps/%.so: tests/e2e/apps/%.c app/anygate.h
	@mkdir -p $(@D)
	@echo '  APP   $@'
	@umask 022 && $(APP_CC) -o $@ $<

$(ASAN)/peers/%: tests/e2e/peers/%.c
	@mkdir -p $(@D)
	@echo '  PEER  $@'
	@$(CC) -std=gnu11 -O2 -g $(WARNINGS) -o $@ $< -lfcgi

# Fuzzing: clang's libFuzzer, one binary for each target, each run for SECONDS from tests/vectors.
FUZZ = $(BUILD)/fuzz
FUZZERS = http scgi uwsgi fastcgi fastcgi_records proxy request encode config
FUZZ_TARGETS = $(FUZZERS:%=$(FUZZ)/%)
FUZZ_CC = clang-14 -std=gnu11 -D_GNU_SOURCE -O1 -g -fno-omit-frame-pointer -MMD -MP -Wall -Wextra \
	-Werror -fno-sanitize-recover=undefined -DANYGATE_SANITIZED

$(FUZZ)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo '  FUZZ  $@'
	@$(FUZZ_CC) -fsanitize=fuzzer-no-link,address,undefined $(FUZZ_LESS) -c -o $@ $<

$(FUZZ)/obj/decode_%.o: tests/fuzz/fuzz_decode.c
	@mkdir -p $(@D)
	@$(FUZZ_CC) -fsanitize=fuzzer-no-link,address,undefined -DPROTOCOL=protocol_$* -c -o $@ $<

$(FUZZ)/all.a: $(SOURCES:%.c=$(FUZZ)/obj/%.o) $(FUZZ)/obj/tests/fuzz/oracle.o
	@rm -f $@ && ar rcs $@ $^

# outside of the decoders NULL + 0 stands in several places; C2y allows it
$(FUZZ)/obj/app/%.o $(FUZZ)/obj/daemon/%.o: FUZZ_LESS = -fno-sanitize=pointer-overflow
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

# Load generator and floor, built plain, and what tests/bench/run makes of them and anygate.
BENCH_CC = $(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -O2

$(BUILD)/bench/gateload: tests/bench/gateload.c tests/bench/gate.c tests/bench/address.c
$(BUILD)/bench/floor: tests/bench/floor.c tests/bench/address.c
$(BUILD)/bench/%: tests/bench/gate.h tests/bench/address.h
	@mkdir -p $(@D)
	@echo '  BENCH $@'
	@$(BENCH_CC) -o $@ $(filter %.c,$^)

bench: deps
	@$(MAKE) --no-print-directory -j2 all $(BUILD)/bench/gateload $(BUILD)/bench/floor
	@tests/bench/run $(BUILD)

# What is missing is installed once; the other targets call this first.
deps:
	@tests/support/deps

run: deps
	@$(MAKE) -s --no-print-directory -j2 all
	@deploy/demo/run $(BUILD)/anygate

test: deps
	@$(MAKE) -s --no-print-directory -j2 all check

check: $(BUILD)/anygate $(ASAN)/test-runner $(ASAN)/anygate $(FUZZ_TARGETS) $(TEST_APPS) $(PEERS:%=$(ASAN)/peers/%)
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
	@$(CC) -x c++ -std=c++11 -fsyntax-only -Wall -Wextra -Werror app/anygate.h

install: all
	install -Dm755 $(BUILD)/anygate $(DESTDIR)$(PREFIX)/bin/anygate
	install -Dm644 app/anygate.h $(DESTDIR)$(PREFIX)/include/anygate.h
	install -Dm644 daemon/anygate.8 $(DESTDIR)$(PREFIX)/share/man/man8/anygate.8
	install -Dm644 etc/anygate.ini $(DESTDIR)$(PREFIX)/share/doc/anygate/anygate.ini

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/anygate $(DESTDIR)$(PREFIX)/include/anygate.h \
		$(DESTDIR)$(PREFIX)/share/man/man8/anygate.8
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/anygate

clean:
	rm -rf $(BUILD)

-include $(PLAIN_OBJECTS:.o=.d) $(SANE_OBJECTS:.o=.d) $(ASAN)/daemon/main.d $(TEST_OBJECTS:.o=.d) \
	$(wildcard $(FUZZ)/obj/*/*.d $(FUZZ)/obj/*/*/*.d)
