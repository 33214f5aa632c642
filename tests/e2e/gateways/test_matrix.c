/*
 * The gateway matrix: every gate of every gateway x every case, in front of one anygate that takes
 * all protocols. A cell is ok, or a limit of the gateway that limits.c knows. The table goes to
 * BUILD_DIR/gateways.md; README.md next to this file has to be the same.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "matrix.h"
#include "tests/support/daemon.h"
#include "tests/support/gateway.h"

SUITE(gateways);

#define TABLE     BUILD_DIR "/gateways.md"
#define COMMITTED SOURCE_DIR "/tests/e2e/gateways/README.md"

#define CASES_MAX 64

/* The outcomes of one gateway. */
struct outcomes {
	char text[GATEWAY_GATES][CASES_MAX][OUTCOME];
};

static const char head[] =
        "# Gateways in front of anygate\n\n"
        "Made by `tests/e2e/gateways/test_matrix.c`, which runs the gateways of Debian 12 in\n"
        "front of one anygate on `auto` and fails where this page is not what it saw. After a\n"
        "change: copy `build/asan/gateways.md` here.\n\n"
        "A cell is `ok`, or what came instead, with a note that says why that is the gateway's\n"
        "own. \"10 GET, one client\" counts the gateway's connections to anygate: `ok` is one.\n";

/* ---- what is known ---- */

static bool limit_is_for(const struct limit *limit, const char *gateway, const char *gate)
{
	return strcmp(limit->gateway, gateway) == 0 &&
	       (!limit->gate || strcmp(limit->gate, gate) == 0);
}

/* The number of the limit that allows a cell, from 1; 0: none. */
static size_t find_limit(
        const char *gateway, const char *gate, const char *name, const char *outcome)
{
	for (size_t i = 0; i < limits_count; i++)
		if (limit_is_for(&limits[i], gateway, gate) && strcmp(limits[i].name, name) == 0 &&
		        strcmp(limits[i].outcome, outcome) == 0)
			return i + 1;
	return 0;
}

/* ---- running ---- */

static void run_gateway(
        const struct gateway_kind *kind, const char *backend, struct outcomes *outcomes)
{
	struct gateway gateway;

	gateway_start(&gateway, kind, backend);
	for (size_t gate = 0; gate < gateway.count; gate++) {
		struct way way = { gateway.address[gate], kind->gates[gate].protocol, backend };

		for (size_t i = 0; i < cases_count; i++)
			cases_run(i, &way, outcomes->text[gate][i]);
	}
	gateway_stop(&gateway);
}

/* ---- the table ---- */

/* The notes are numbered by their reasons, in the order of limits.c. */
static size_t note_number(size_t limit)
{
	size_t number = 0;

	for (size_t i = 0; i <= limit; i++) {
		size_t first = 0;

		while (strcmp(limits[first].reason, limits[i].reason) != 0)
			first++;
		number += first == i;
		if (i == limit && first != i)
			return note_number(first);
	}
	return number;
}

static void write_cell(struct bytes *out, const struct gateway_kind *kind, size_t gate, size_t i,
        const char *outcome, bool *used)
{
	const char *name = kind->gates[gate].name;
	size_t limit = 0;

	if (strcmp(outcome, OUTCOME_OK) != 0) {
		limit = find_limit(kind->name, name, cases_name(i), outcome);
		cr_expect(limit, "%s, %s, %s: %s", kind->name, name, cases_name(i), outcome);
	}
	if (limit)
		used[limit - 1] = true;
	if (limit)
		bytes_printf(out, " %s (%zu) |", outcome, note_number(limit - 1));
	else
		bytes_printf(out, " %s |", outcome);
}

static void write_gateway(struct bytes *out, const struct gateway_kind *kind,
        const struct outcomes *outcomes, bool *used)
{
	size_t gates = 0;

	bytes_printf(out, "\n## %s %s\n\n| case |", kind->name, kind->version);
	for (; gates < GATEWAY_GATES && kind->gates[gates].name; gates++)
		bytes_printf(out, " %s |", kind->gates[gates].name);
	bytes_text(out, "\n|---|");
	for (size_t gate = 0; gate < gates; gate++)
		bytes_text(out, "---|");
	bytes_text(out, "\n");
	for (size_t i = 0; i < cases_count; i++) {
		bytes_printf(out, "| %s |", cases_name(i));
		for (size_t gate = 0; gate < gates; gate++)
			write_cell(out, kind, gate, i, outcomes->text[gate][i], used);
		bytes_text(out, "\n");
	}
}

static void write_notes(struct bytes *out)
{
	size_t written = 0;

	bytes_text(out, "\n## Notes\n\n");
	for (size_t i = 0; i < limits_count; i++)
		if (note_number(i) > written)
			bytes_printf(out, "%zu. %s: %s\n", ++written, limits[i].gateway,
			        limits[i].reason);
}

/* ---- the test ---- */

static void save(const struct bytes *out)
{
	FILE *file = fopen(TABLE, "we");

	cr_assert(file, "%s: %s", TABLE, strerror(errno));
	cr_expect_eq(fwrite(out->data, 1, out->length, file), out->length);
	cr_expect_eq(fclose(file), 0);
}

static void compare(const struct bytes *out)
{
	FILE *file = fopen(COMMITTED, "re");
	struct bytes text = { 0 };
	char piece[4096];
	size_t size;

	cr_assert(file, "%s: %s", COMMITTED, strerror(errno));
	bytes_text(&text, "");
	while ((size = fread(piece, 1, sizeof piece, file)) > 0)
		bytes_add(&text, piece, size);
	fclose(file);
	cr_expect(strcmp(text.data, out->data) == 0, "%s differs from %s", COMMITTED, TABLE);
	bytes_free(&text);
}

static void daemon_begin(struct daemon *daemon)
{
	const char *path = support_path("matrix.ini");
	FILE *file = fopen(path, "we");

	cr_assert(file, "%s: %s", path, strerror(errno));
	fputs(cases_apps, file);
	fclose(file);
	daemon_start(daemon, 1, "-w", "1", "-l", "127.0.0.1:0", "-c", path, NULL);
}

Test(gateways, matrix, .timeout = 240)
{
	struct outcomes *outcomes = calloc(1, sizeof *outcomes);
	bool *used = calloc(limits_count, sizeof *used);
	struct bytes out = { 0 };
	struct daemon daemon;

	cr_assert(outcomes && used && cases_count <= CASES_MAX);
	daemon_begin(&daemon);
	bytes_text(&out, head);
	for (size_t i = 0; i < GATEWAYS; i++) {
		run_gateway(&gateway_kinds[i], daemon_address(&daemon), outcomes);
		write_gateway(&out, &gateway_kinds[i], outcomes, used);
	}
	write_notes(&out);
	save(&out);
	for (size_t i = 0; i < limits_count; i++)
		cr_expect(used[i], "no longer so: %s, %s: %s", limits[i].gateway, limits[i].name,
		        limits[i].outcome);
	compare(&out);
	daemon_stop(&daemon);
	bytes_free(&out);
	free(used);
	free(outcomes);
}
