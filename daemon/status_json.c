/* /status.json. Times are in the unit that a key's name ends in. */
#include "../protocols/protocol.h"
#include "options.h"
#include "status.h"

typedef unsigned long long ull;

/* "reason": n for those that are not 0. */
static void write_reasons(struct ag_request *req, const char *key, const struct reason *reasons,
        const uint64_t *counts, size_t count)
{
	const char *comma = "";

	ag_printf(req, ",\"%s\":{", key);
	for (size_t i = 0; i < count; i++) {
		if (!counts[i])
			continue;
		ag_printf(req, "%s\"%s\":%llu", comma, reasons[i].symbol, (ull)counts[i]);
		comma = ",";
	}
	ag_puts(req, "}");
}

static void write_histogram(
        struct ag_request *req, const char *key, const struct histogram *histogram)
{
	static const struct {
		const char *name;
		double quantile;
	} rows[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p999", 0.999 },
		{ "max", 1 } };
	ull mean = histogram->count ? histogram->sum / histogram->count : 0;

	ag_printf(req, ",\"%s\":{\"count\":%llu,\"mean\":%llu", key, (ull)histogram->count, mean);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		ag_printf(req, ",\"%s\":%llu", rows[i].name,
		        (ull)histogram_quantile(histogram, rows[i].quantile));
	ag_puts(req, "}");
}

static void write_counters(struct ag_request *req, const struct counters *counters)
{
	static const char *const classes[] = { "none", "1xx", "2xx", "3xx", "4xx", "5xx" };

	ag_printf(req, ",\"accepted\":%llu,\"requests\":%llu,\"errors\":%llu",
	        (ull)counters->accepted, (ull)counters->requests, (ull)status_errors(counters));
	ag_puts(req, ",\"by_gate\":{");
	for (size_t i = 0; protocols[i]; i++)
		ag_printf(req, "%s\"%s\":%llu", i ? "," : "", protocols[i]->name,
		        (ull)counters->by_gate[i]);
	ag_puts(req, "},\"by_class\":{");
	for (size_t i = 0; i < 6; i++)
		ag_printf(
		        req, "%s\"%s\":%llu", i ? "," : "", classes[i], (ull)counters->by_class[i]);
	ag_printf(req, "},\"bytes_in\":%llu,\"bytes_out\":%llu,\"log_dropped\":%llu",
	        (ull)counters->bytes_in, (ull)counters->bytes_out, (ull)counters->log_dropped);
	ag_printf(req, ",\"messages\":{\"published\":%llu,\"delivered\":%llu,\"lost\":%llu}",
	        (ull)counters->channels.published, (ull)counters->channels.delivered,
	        (ull)counters->channels.lost);
	write_reasons(req, "closed", close_reasons, counters->closed, CLOSE_REASON_COUNT);
	write_reasons(req, "refused", refusals, counters->refused, REFUSAL_COUNT);
	write_histogram(req, "latency_us", &counters->latency);
	write_histogram(req, "queued_us", &counters->queued);
}

/* The request whose handler has the processor, or null. */
static void write_running(struct ag_request *req, const struct worker_status *worker, uint64_t now)
{
	uint64_t begun = worker->running.since;

	if (!worker->runs) {
		ag_puts(req, ",\"running\":null");
		return;
	}
	ag_puts(req, ",\"running\":{\"method\":");
	ag_json(req, worker->running.method);
	ag_puts(req, ",\"uri\":");
	ag_json(req, worker->running.uri);
	ag_printf(req, ",\"age_ms\":%llu,\"runs_for_ms\":%llu}",
	        (ull)(begun < now ? now - begun : 0), (ull)worker->runs_for);
}

static void write_worker(struct ag_request *req, const struct worker_status *worker, uint64_t now)
{
	ag_printf(req, "{\"number\":%u,\"pid\":%d,\"generation\":%u,\"state\":\"%s\"",
	        worker->number, worker->pid, worker->generation, worker->state);
	ag_printf(req,
	        ",\"uptime_ms\":%llu,\"rss_bytes\":%llu,\"cpu_us\":%llu,\"connections\":%llu,"
	        "\"in_flight\":%llu,\"bus_connected\":%llu",
	        (ull)worker->uptime, (ull)worker->rss, (ull)worker->cpu, (ull)worker->connections,
	        (ull)worker->in_flight, (ull)worker->bus_connected);
	write_counters(req, &worker->counters);
	write_running(req, worker, now);
	ag_puts(req, "}");
}

void status_write_json(const struct status *status, struct ag_request *req)
{
	ag_printf(req,
	        "{\"daemon\":{\"version\":\"%s\",\"pid\":%d,\"uptime_ms\":%llu,\"generation\":%u,"
	        "\"wanted\":%u,\"deaths\":%llu,\"reloads\":%llu,\"failed_reloads\":%llu,"
	        "\"upgrades\":%llu,\"recycled\":%llu,\"killed\":%llu,\"failure\":",
	        ANYGATE_VERSION, (int)status->pid, (ull)status->uptime, status->generation,
	        status->wanted, (ull)status->deaths, (ull)status->reloads,
	        (ull)status->failed_reloads, (ull)status->upgrades, (ull)status->recycled,
	        (ull)status->killed);
	ag_json(req, status->failure);
	ag_printf(req,
	        "},\"totals\":{\"connections\":%llu,\"in_flight\":%llu,\"bus_connected\":%llu",
	        (ull)status->connections, (ull)status->in_flight, (ull)status->bus_connected);
	write_counters(req, &status->total);
	ag_puts(req, "},\"workers\":[");
	for (size_t i = 0; i < status->count; i++) {
		ag_puts(req, i ? "," : "");
		write_worker(req, &status->workers[i], status->now);
	}
	ag_puts(req, "]}\n");
}
