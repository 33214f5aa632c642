/*
 * /metrics: OpenMetrics 1.0. Families of the daemon count on when workers die; those that begin
 * with "anygate_worker_" are of processes, named by number and pid, which come and go.
 */
#include <stdio.h>

#include "../protocols/protocol.h"
#include "options.h"
#include "status.h"

typedef unsigned long long ull;

/* Who a sample is about: "" or `worker="1",pid="2"`. */
struct scope {
	struct ag_request *req;
	const char *prefix; /* of names: "" or "worker_" */
};

#define LABELS_MAX 64

static void labels_of(const struct worker_status *worker, char labels[LABELS_MAX])
{
	snprintf(labels, LABELS_MAX, "worker=\"%u\",pid=\"%d\"", worker->number, worker->pid);
}

static void write_family(const struct scope *to, const char *name, const char *type,
        const char *unit, const char *help)
{
	ag_printf(to->req, "# TYPE anygate_%s%s %s\n", to->prefix, name, type);
	if (*unit)
		ag_printf(to->req, "# UNIT anygate_%s%s %s\n", to->prefix, name, unit);
	ag_printf(to->req, "# HELP anygate_%s%s %s\n", to->prefix, name, help);
}

/* ---- counters ---- */

static const char *gate_name(size_t i)
{
	return protocols[i]->name;
}

static const char *class_name(size_t i)
{
	static const char *const names[] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };

	return names[i];
}

static const char *close_name(size_t i)
{
	return close_reasons[i].symbol;
}

static const char *refusal_name(size_t i)
{
	return refusals[i].symbol;
}

struct counter_row {
	const char *name, *unit, *help;
	size_t offset, count; /* of struct counters */
	const char *label;    /* NULL: there is one value */
	const char *(*value)(size_t i);
};

#define ONE(field) offsetof(struct counters, field), 1, NULL, NULL
#define MANY(field)                                                                                \
	offsetof(struct counters, field), sizeof(((struct counters *)0)->field) / sizeof(uint64_t)

static const struct counter_row counter_rows[] = {
	{ "connections_accepted", "", "Connections taken.", ONE(accepted) },
	{ "connections_closed", "", "Connections that are over, by reason.", MANY(closed), "reason",
	        close_name },
	{ "requests", "", "Requests that reached a handler, by gate.", MANY(by_gate), "gate",
	        gate_name },
	{ "responses", "", "Answers, by the class of their status.", MANY(by_class), "class",
	        class_name },
	{ "refused", "", "Requests and connections refused, by reason.", MANY(refused), "reason",
	        refusal_name },
	{ "received_bytes", "bytes", "Bytes read from sockets.", ONE(bytes_in) },
	{ "sent_bytes", "bytes", "Bytes written to sockets.", ONE(bytes_out) },
	{ "messages_published", "", "Messages published in channels.", ONE(channels.published) },
	{ "messages_delivered", "", "Messages that subscriptions have received.",
	        ONE(channels.delivered) },
	{ "messages_lost", "", "Messages that came too fast for a subscription.",
	        ONE(channels.lost) },
	{ "log_lines_dropped", "", "Lines that a log took no more.", ONE(log_dropped) },
};

static void write_counts(const struct scope *to, const struct counter_row *row,
        const struct counters *counters, const char *labels)
{
	const uint64_t *counts = (const uint64_t *)((const char *)counters + row->offset);
	const char *comma = *labels ? "," : "";

	for (size_t i = 0; i < row->count; i++) {
		ag_printf(to->req, "anygate_%s%s_total", to->prefix, row->name);
		if (row->label)
			ag_printf(to->req, "{%s%s%s=\"%s\"}", labels, comma, row->label,
			        row->value(i));
		else if (*labels)
			ag_printf(to->req, "{%s}", labels);
		ag_printf(to->req, " %llu\n", (ull)counts[i]);
	}
}

static void write_counter(
        const struct scope *to, const struct counter_row *row, const struct status *status)
{
	char labels[LABELS_MAX];

	write_family(to, row->name, "counter", row->unit, row->help);
	if (!*to->prefix) {
		write_counts(to, row, &status->total, "");
		return;
	}
	for (size_t i = 0; i < status->count; i++) {
		labels_of(&status->workers[i], labels);
		write_counts(to, row, &status->workers[i].counters, labels);
	}
}

/* ---- histograms ---- */

/* Upper bounds in us, and as they are written, in seconds. */
static const struct {
	uint64_t us;
	const char *seconds;
} bounds[] = {
	{ 100, "0.0001" },
	{ 250, "0.00025" },
	{ 500, "0.0005" },
	{ 1000, "0.001" },
	{ 2500, "0.0025" },
	{ 5000, "0.005" },
	{ 10000, "0.01" },
	{ 25000, "0.025" },
	{ 50000, "0.05" },
	{ 100000, "0.1" },
	{ 250000, "0.25" },
	{ 500000, "0.5" },
	{ 1000000, "1.0" },
	{ 2500000, "2.5" },
	{ 5000000, "5.0" },
	{ 10000000, "10.0" },
	{ 25000000, "25.0" },
	{ 50000000, "50.0" },
	{ 100000000, "100.0" },
};

struct histogram_row {
	const char *name, *help;
	size_t offset; /* of struct counters */
};

static const struct histogram_row histogram_rows[] = {
	{ "request_duration_seconds", "From a request's head to its answer's end.",
	        offsetof(struct counters, latency) },
	{ "connection_queued_seconds", "What connections waited to be accepted, at most.",
	        offsetof(struct counters, queued) },
};

/* The count is that of the buckets: the field may be ahead of them. */
static void write_buckets(const struct scope *to, const char *name,
        const struct histogram *histogram, const char *labels)
{
	const char *comma = *labels ? "," : "", *open = *labels ? "{" : "",
	           *close = *labels ? "}" : "";
	uint64_t count = 0;
	unsigned next = 0;

	for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++) {
		while (next < HISTOGRAM_BUCKETS && histogram_bound(next) <= bounds[i].us + 1)
			count += histogram->buckets[next++];
		ag_printf(to->req, "anygate_%s%s_bucket{%s%sle=\"%s\"} %llu\n", to->prefix, name,
		        labels, comma, bounds[i].seconds, (ull)count);
	}
	while (next < HISTOGRAM_BUCKETS)
		count += histogram->buckets[next++];
	ag_printf(to->req, "anygate_%s%s_bucket{%s%sle=\"+Inf\"} %llu\n", to->prefix, name, labels,
	        comma, (ull)count);
	ag_printf(to->req, "anygate_%s%s_count%s%s%s %llu\n", to->prefix, name, open, labels, close,
	        (ull)count);
	ag_printf(to->req, "anygate_%s%s_sum%s%s%s %.6f\n", to->prefix, name, open, labels, close,
	        (double)histogram->sum / 1e6);
}

static void write_histogram(
        const struct scope *to, const struct histogram_row *row, const struct status *status)
{
	char labels[LABELS_MAX];

	write_family(to, row->name, "histogram", "seconds", row->help);
	for (size_t i = 0; i < (*to->prefix ? status->count : 1); i++) {
		const struct counters *counters = *to->prefix ? &status->workers[i].counters
		                                              : &status->total;

		*labels = '\0';
		if (*to->prefix)
			labels_of(&status->workers[i], labels);
		write_buckets(to, row->name,
		        (const struct histogram *)((const char *)counters + row->offset), labels);
	}
}

/* ---- single values ---- */

static void write_one(const struct scope *to, const char *name, const char *type, const char *help,
        uint64_t value)
{
	bool counts = type[0] == 'c';

	write_family(to, name, type, "", help);
	ag_printf(to->req, "anygate_%s%s %llu\n", name, counts ? "_total" : "", (ull)value);
}

static void write_daemon(const struct scope *to, const struct status *status)
{
	write_family(to, "build", "info", "", "The program.");
	ag_printf(to->req, "anygate_build_info{version=\"%s\"} 1\n", ANYGATE_VERSION);
	write_family(to, "uptime_seconds", "gauge", "seconds", "Since the daemon was started.");
	ag_printf(to->req, "anygate_uptime_seconds %.3f\n", (double)status->uptime / 1e3);
	write_one(to, "generation", "gauge", "The configuration in force, from 1.",
	        status->generation);
	write_one(to, "workers_wanted", "gauge", "Workers that should serve.", status->wanted);
	write_one(to, "workers", "gauge", "Worker processes there are.", status->count);
	write_one(to, "connections", "gauge", "Connections open.", status->connections);
	write_one(to, "requests_in_flight", "gauge", "Requests that handlers have.",
	        status->in_flight);
	write_one(to, "bus_connected_workers", "gauge", "Workers connected to the Redis of [bus].",
	        status->bus_connected);
	write_one(to, "worker_deaths", "counter", "Workers that died of a signal or an error.",
	        status->deaths);
	write_one(to, "workers_recycled", "counter", "Workers replaced for a limit.",
	        status->recycled);
	write_one(to, "workers_killed", "counter", "Workers killed as they hung.", status->killed);
	write_one(to, "reloads", "counter", "Reloads that succeeded.", status->reloads);
	write_one(to, "reloads_failed", "counter", "Reloads that failed.", status->failed_reloads);
	write_one(to, "upgrades", "counter", "Binary upgrades that succeeded.", status->upgrades);
}

/* Gauges of each process, and its time. */
static const struct worker_row {
	const char *name, *type, *unit, *help;
	size_t offset; /* of a uint64_t in struct worker_status */
	double scale;
} worker_rows[] = {
	{ "uptime_seconds", "gauge", "seconds", "Since the process was started.",
	        offsetof(struct worker_status, uptime), 1e-3 },
	{ "connections", "gauge", "", "Connections open.",
	        offsetof(struct worker_status, connections), 1 },
	{ "requests_in_flight", "gauge", "", "Requests that handlers have.",
	        offsetof(struct worker_status, in_flight), 1 },
	{ "bus_connected", "gauge", "", "1: connected to the Redis of [bus].",
	        offsetof(struct worker_status, bus_connected), 1 },
	{ "resident_memory_bytes", "gauge", "bytes", "Resident memory.",
	        offsetof(struct worker_status, rss), 1 },
	{ "cpu_seconds", "counter", "seconds", "Processor time.",
	        offsetof(struct worker_status, cpu), 1e-6 },
};

static void write_worker_row(
        const struct scope *to, const struct worker_row *row, const struct status *status)
{
	char labels[LABELS_MAX];

	write_family(to, row->name, row->type, row->unit, row->help);
	for (size_t i = 0; i < status->count; i++) {
		const char *worker = (const char *)&status->workers[i];
		double value = (double)*(const uint64_t *)(worker + row->offset) * row->scale;

		labels_of(&status->workers[i], labels);
		ag_printf(to->req, "anygate_worker_%s%s{%s} %.*f\n", row->name,
		        row->type[0] == 'c' ? "_total" : "", labels, row->scale < 1 ? 3 : 0, value);
	}
}

static void write_states(const struct scope *to, const struct status *status)
{
	char labels[LABELS_MAX];

	write_family(to, "state", "info", "", "What the process does, and for which generation.");
	for (size_t i = 0; i < status->count; i++) {
		const struct worker_status *worker = &status->workers[i];

		labels_of(worker, labels);
		ag_printf(to->req,
		        "anygate_worker_state_info{%s,state=\"%s\",generation=\"%u\"} 1\n", labels,
		        worker->state, worker->generation);
	}
}

static void write_scope(const struct scope *to, const struct status *status)
{
	for (size_t i = 0; i < sizeof(counter_rows) / sizeof(*counter_rows); i++)
		write_counter(to, &counter_rows[i], status);
	for (size_t i = 0; i < sizeof(histogram_rows) / sizeof(*histogram_rows); i++)
		write_histogram(to, &histogram_rows[i], status);
}

void status_write_metrics(const struct status *status, struct ag_request *req)
{
	const struct scope all = { req, "" }, each = { req, "worker_" };

	write_daemon(&all, status);
	write_scope(&all, status);
	write_states(&each, status);
	for (size_t i = 0; i < sizeof(worker_rows) / sizeof(*worker_rows); i++)
		write_worker_row(&each, &worker_rows[i], status);
	write_scope(&each, status);
	ag_puts(req, "# EOF\n");
}
