/* The two forms of few figures: lines for `anygate status`, and a page for people. */
#include <stdio.h>

#include "options.h"
#include "status.h"

typedef unsigned long long ull;

/* ---- lines ---- */

static void write_load(struct ag_request *req, const struct counters *counters,
        uint64_t connections, uint64_t in_flight)
{
	ag_printf(req, "\trequests=%llu\terrors=%llu\tin_flight=%llu\tconnections=%llu",
	        (ull)counters->requests, (ull)status_errors(counters), (ull)in_flight,
	        (ull)connections);
	ag_printf(req, "\tp50=%llu\tp99=%llu\tbytes_in=%llu\tbytes_out=%llu",
	        (ull)histogram_quantile(&counters->latency, 0.5),
	        (ull)histogram_quantile(&counters->latency, 0.99), (ull)counters->bytes_in,
	        (ull)counters->bytes_out);
}

/* What is not printable ASCII becomes "?": nothing of a request shall reach a terminal. */
static void write_plain(struct ag_request *req, const char *text)
{
	for (; *text; text++)
		ag_write(req, *text >= ' ' && *text < 0x7f ? text : "?", 1);
}

static void write_worker(struct ag_request *req, const struct worker_status *worker)
{
	ag_printf(req,
	        "worker\tnumber=%u\tpid=%d\tgeneration=%u\tstate=%s\tuptime=%llu\trss=%llu\t"
	        "cpu=%llu",
	        worker->number, worker->pid, worker->generation, worker->state, (ull)worker->uptime,
	        (ull)worker->rss, (ull)worker->cpu);
	write_load(req, &worker->counters, worker->connections, worker->in_flight);
	if (worker->runs) {
		ag_printf(req, "\truns_for=%llu\trunning=", (ull)worker->runs_for);
		write_plain(req, worker->running.method);
		ag_puts(req, " ");
		write_plain(req, worker->running.uri);
	}
	ag_puts(req, "\n");
}

void status_write_text(const struct status *status, struct ag_request *req)
{
	ag_printf(req,
	        "daemon\tversion=%s\tpid=%d\tnow=%llu\tuptime=%llu\tgeneration=%u\twanted=%u\t"
	        "deaths=%llu\treloads=%llu\tfailed_reloads=%llu\tupgrades=%llu\trecycled=%llu\t"
	        "killed=%llu\tfailure=",
	        ANYGATE_VERSION, (int)status->pid, (ull)status->now, (ull)status->uptime,
	        status->generation, status->wanted, (ull)status->deaths, (ull)status->reloads,
	        (ull)status->failed_reloads, (ull)status->upgrades, (ull)status->recycled,
	        (ull)status->killed);
	write_plain(req, status->failure);
	ag_puts(req, "\ntotal");
	write_load(req, &status->total, status->connections, status->in_flight);
	ag_puts(req, "\n");
	for (size_t i = 0; i < status->count; i++)
		write_worker(req, &status->workers[i]);
	ag_puts(req, "end\n");
}

/* ---- the page ---- */

static const char page_head[] =
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"refresh\" content=\"1\">\n<title>anygate</title>\n<style>\n"
        "body{font:14px monospace;margin:2em}table{border-collapse:collapse}\n"
        "th,td{text-align:right;padding:.2em .8em;border-bottom:1px solid #ccc}\n"
        "td:last-child,th:last-child{text-align:left}\n"
        "</style>\n</head>\n<body>\n<h1>anygate " ANYGATE_VERSION "</h1>\n";

static void write_cells(struct ag_request *req, const struct counters *counters,
        uint64_t connections, uint64_t in_flight)
{
	ag_printf(req,
	        "<td>%llu</td><td>%llu</td><td>%llu</td><td>%llu</td><td>%.3f</td><td>%.3f</td>",
	        (ull)counters->requests, (ull)status_errors(counters), (ull)in_flight,
	        (ull)connections, (double)histogram_quantile(&counters->latency, 0.5) / 1e3,
	        (double)histogram_quantile(&counters->latency, 0.99) / 1e3);
}

static void write_row(struct ag_request *req, const struct worker_status *worker)
{
	ag_printf(req, "<tr><td>%u</td><td>%d</td><td>%u</td><td>%s</td>", worker->number,
	        worker->pid, worker->generation, worker->state);
	write_cells(req, &worker->counters, worker->connections, worker->in_flight);
	ag_printf(req, "<td>%.1f</td><td>%.2f</td><td>%llu</td><td>", (double)worker->rss / 1048576,
	        (double)worker->cpu / 1e6, (ull)worker->uptime / 1000);
	if (worker->runs) {
		ag_html(req, worker->running.method);
		ag_puts(req, " ");
		ag_html(req, worker->running.uri);
		ag_printf(req, " (%llu ms)", (ull)worker->runs_for);
	}
	ag_puts(req, "</td></tr>\n");
}

void status_write_page(const struct status *status, struct ag_request *req)
{
	ag_puts(req, page_head);
	ag_printf(req,
	        "<p>pid %d, up %llu s, generation %u, %zu workers of %u wanted; %llu deaths, "
	        "%llu killed, %llu recycled; %llu reloads, %llu failed; %llu upgrades</p>\n",
	        (int)status->pid, (ull)status->uptime / 1000, status->generation, status->count,
	        status->wanted, (ull)status->deaths, (ull)status->killed, (ull)status->recycled,
	        (ull)status->reloads, (ull)status->failed_reloads, (ull)status->upgrades);
	ag_puts(req, "<table>\n<tr><th>worker</th><th>pid</th><th>generation</th><th>state</th>"
	             "<th>requests</th><th>errors</th><th>in flight</th><th>connections</th>"
	             "<th>p50 ms</th><th>p99 ms</th><th>RSS MiB</th><th>CPU s</th><th>up s</th>"
	             "<th>runs</th></tr>\n");
	for (size_t i = 0; i < status->count; i++)
		write_row(req, &status->workers[i]);
	ag_puts(req, "<tr><th colspan=\"4\">all, and those that are gone</th>");
	write_cells(req, &status->total, status->connections, status->in_flight);
	ag_puts(req, "<td></td><td></td><td></td><td></td></tr>\n</table>\n"
	             "<p><a href=\"/status.json\">status.json</a> <a href=\"/metrics\">metrics</a> "
	             "<a href=\"/healthz\">healthz</a></p>\n</body>\n</html>\n");
}
