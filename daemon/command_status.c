/* `anygate status`: a table of the workers, as top shows processes. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "command.h"

typedef unsigned long long ull;

/* ---- cells ---- */

enum column {
	COLUMN_WORKER,
	COLUMN_PID,
	COLUMN_GENERATION,
	COLUMN_STATE,
	COLUMN_REQUESTS,
	COLUMN_ERRORS,
	COLUMN_IN_FLIGHT,
	COLUMN_CONNECTIONS,
	COLUMN_P50,
	COLUMN_P99,
	COLUMN_RSS,
	COLUMN_CPU,
	COLUMN_UPTIME,
	COLUMN_RUNS,
	COLUMN_COUNT,
};

static const struct {
	const char *title;
	bool left;
} columns[COLUMN_COUNT] = {
	[COLUMN_WORKER] = { "WORKER", true },
	[COLUMN_PID] = { "PID", false },
	[COLUMN_GENERATION] = { "GEN", false },
	[COLUMN_STATE] = { "STATE", true },
	[COLUMN_REQUESTS] = { "REQ/S", false },
	[COLUMN_ERRORS] = { "ERR/S", false },
	[COLUMN_IN_FLIGHT] = { "IN FLIGHT", false },
	[COLUMN_CONNECTIONS] = { "CONNS", false },
	[COLUMN_P50] = { "P50", false },
	[COLUMN_P99] = { "P99", false },
	[COLUMN_RSS] = { "RSS", false },
	[COLUMN_CPU] = { "CPU%", false },
	[COLUMN_UPTIME] = { "UP", false },
	[COLUMN_RUNS] = { "RUNS", true },
};

#define CELL_MAX 192

struct row {
	char cells[COLUMN_COUNT][CELL_MAX];
	bool errs;
};

__attribute__((format(printf, 3, 4))) static void set(
        struct row *row, enum column column, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(row->cells[column], CELL_MAX, format, arguments);
	va_end(arguments);
}

static void set_latency(struct row *row, enum column column, uint64_t us)
{
	if (!us)
		set(row, column, "-");
	else if (us < 1000)
		set(row, column, "%llu us", (ull)us);
	else if (us < 1000000)
		set(row, column, "%.1f ms", (double)us / 1e3);
	else
		set(row, column, "%.1f s", (double)us / 1e6);
}

static void set_bytes(struct row *row, enum column column, uint64_t bytes)
{
	if (bytes < 1024 * 1024)
		set(row, column, "%.0fK", (double)bytes / 1024);
	else if (bytes < 1024 * 1024 * 1024)
		set(row, column, "%.1fM", (double)bytes / (1024 * 1024));
	else
		set(row, column, "%.1fG", (double)bytes / (1024 * 1024 * 1024));
}

static const char *span_text(uint64_t ms, char text[32])
{
	ull s = ms / 1000;

	if (s < 60)
		snprintf(text, 32, "%llus", s);
	else if (s < 3600)
		snprintf(text, 32, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, 32, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(text, 32, "%llud%02lluh", s / 86400, s / 3600 % 24);
	return text;
}

/* ---- rows ---- */

/* A line, and the one of the same process or total a while ago. */
struct sample {
	const char *line, *before; /* NULL: it was not there */
	uint64_t ms;               /* between both, or since the beginning of what it counts */
};

/* What a counter has grown by in a second. */
static double rate(const struct sample *sample, const char *name)
{
	uint64_t now = command_number(sample->line, name);
	uint64_t then = sample->before ? command_number(sample->before, name) : 0;

	return sample->ms && now > then ? (double)(now - then) * 1e3 / (double)sample->ms : 0;
}

static void set_rate(struct row *row, enum column column, double value)
{
	set(row, column, value < 10 && value > 0 ? "%.1f" : "%.0f", value);
}

static void fill_load(struct row *row, const struct sample *sample)
{
	double errors = rate(sample, "errors");

	row->errs = errors > 0;
	set_rate(row, COLUMN_REQUESTS, rate(sample, "requests"));
	set_rate(row, COLUMN_ERRORS, errors);
	set(row, COLUMN_IN_FLIGHT, "%llu", (ull)command_number(sample->line, "in_flight"));
	set(row, COLUMN_CONNECTIONS, "%llu", (ull)command_number(sample->line, "connections"));
	set_latency(row, COLUMN_P50, command_number(sample->line, "p50"));
	set_latency(row, COLUMN_P99, command_number(sample->line, "p99"));
}

static const char *next_worker(const char *at)
{
	return command_line(at, "worker");
}

static const char *find_worker(const char *text, uint64_t pid)
{
	const char *line = next_worker(text);

	while (line && command_number(line, "pid") != pid)
		line = next_worker(strchr(line, '\n') + 1);
	return line;
}

static void fill_worker(struct row *row, const char *line, const char *before, uint64_t ms)
{
	uint64_t pid = command_number(line, "pid"), uptime = command_number(line, "uptime");
	struct sample sample = { .line = line, .before = find_worker(before, pid) };
	char text[32];

	sample.ms = sample.before ? ms : uptime;
	set(row, COLUMN_WORKER, "%llu", (ull)command_number(line, "number"));
	set(row, COLUMN_PID, "%llu", (ull)pid);
	set(row, COLUMN_GENERATION, "%llu", (ull)command_number(line, "generation"));
	command_field(line, "state", row->cells[COLUMN_STATE], CELL_MAX);
	fill_load(row, &sample);
	set_bytes(row, COLUMN_RSS, command_number(line, "rss"));
	set(row, COLUMN_CPU, "%.1f", rate(&sample, "cpu") / 1e4);
	set(row, COLUMN_UPTIME, "%s", span_text(uptime, text));
	command_field(line, "running", row->cells[COLUMN_RUNS], CELL_MAX);
}

static void fill_total(
        struct row *row, const char *text, const char *before, uint64_t ms, uint64_t uptime)
{
	struct sample sample = { .line = command_line(text, "total"),
		.before = before ? command_line(before, "total") : NULL };

	sample.ms = sample.before ? ms : uptime;
	set(row, COLUMN_WORKER, "all");
	if (sample.line)
		fill_load(row, &sample);
}

/* What only the living have. */
static void sum_up(struct row *row, const struct row *workers, size_t count, const char *text)
{
	uint64_t rss = 0;
	double cpu = 0;

	for (const char *at = next_worker(text); at; at = next_worker(strchr(at, '\n') + 1))
		rss += command_number(at, "rss");
	for (size_t i = 0; i < count; i++)
		cpu += strtod(workers[i].cells[COLUMN_CPU], NULL);
	set_bytes(row, COLUMN_RSS, rss);
	set(row, COLUMN_CPU, "%.1f", cpu);
}

/* ---- the screen ---- */

struct screen {
	bool live; /* drawn again and again */
	bool colours;
	unsigned height;
};

#define BOLD   "1"
#define RED    "31"
#define GREEN  "32"
#define YELLOW "33"

static void end_line(const struct screen *screen)
{
	fputs(screen->live ? "\033[K\n" : "\n", stdout);
}

static const char *colour_of(const struct row *row, enum column column)
{
	const char *state = row->cells[COLUMN_STATE];

	if (column == COLUMN_ERRORS && row->errs)
		return RED;
	if (column != COLUMN_STATE || !*state)
		return NULL;
	return strcmp(state, "serving") == 0 ? GREEN : YELLOW;
}

static void print_row(const struct screen *screen, const struct row *row,
        const int widths[COLUMN_COUNT], const char *colour)
{
	unsigned end = COLUMN_COUNT;

	while (end && !*row->cells[end - 1])
		end--;
	for (unsigned i = 0; i < end; i++) {
		const char *own = colour ? colour : colour_of(row, (enum column)i);
		bool last = i == end - 1;

		if (screen->colours && own)
			printf("\033[%sm", own);
		printf("%*s", !columns[i].left ? widths[i] : last ? 0 : -widths[i], row->cells[i]);
		fputs(screen->colours && own ? "\033[0m" : "", stdout);
		fputs(last ? "" : "  ", stdout);
	}
	end_line(screen);
}

static void print_rows(const struct screen *screen, const struct row *rows, size_t count)
{
	int widths[COLUMN_COUNT] = { 0 };
	size_t most = screen->live && screen->height > 5 ? screen->height - 5 : count;

	for (size_t i = 0; i < count; i++)
		for (unsigned j = 0; j < COLUMN_COUNT; j++) {
			int width = (int)strlen(rows[i].cells[j]);

			widths[j] = width > widths[j] ? width : widths[j];
		}
	for (size_t i = 0; i < count && i < most; i++)
		print_row(screen, &rows[i], widths, i < 2 ? BOLD : NULL);
	if (count > most) {
		printf("... and %zu more", count - most);
		end_line(screen);
	}
}

static void print_daemon(const struct screen *screen, const char *line)
{
	static const char *const counts[] = { "deaths", "killed", "recycled", "reloads",
		"failed_reloads", "upgrades" };
	char version[32] = "", text[32];

	command_field(line, "version", version, sizeof(version));
	printf("anygate %s  pid %llu  up %s  generation %llu  workers wanted %llu", version,
	        (ull)command_number(line, "pid"), span_text(command_number(line, "uptime"), text),
	        (ull)command_number(line, "generation"), (ull)command_number(line, "wanted"));
	end_line(screen);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
		printf("%s%s %llu", i ? "  " : "", counts[i], (ull)command_number(line, counts[i]));
	end_line(screen);
	end_line(screen);
}

static size_t count_workers(const char *text)
{
	size_t count = 0;

	for (const char *at = next_worker(text); at; at = next_worker(strchr(at, '\n') + 1))
		count++;
	return count;
}

/* The titles, the total, then the workers. */
static bool print_table(const struct screen *screen, const char *text, const char *before)
{
	const char *line = command_line(text, "daemon"), *at;
	const char *then = before ? command_line(before, "daemon") : NULL;
	size_t count = 2 + count_workers(text), i = 2;
	struct row *rows = calloc(count, sizeof(*rows));
	uint64_t ms = line && then ? command_number(line, "now") - command_number(then, "now") : 0;

	if (!rows || !line) {
		free(rows);
		return false;
	}
	for (unsigned j = 0; j < COLUMN_COUNT; j++)
		set(&rows[0], (enum column)j, "%s", columns[j].title);
	fill_total(&rows[1], text, before, ms, command_number(line, "uptime"));
	for (at = next_worker(text); at && i < count; at = next_worker(strchr(at, '\n') + 1))
		fill_worker(&rows[i++], at, before, ms);
	sum_up(&rows[1], rows + 2, i - 2, text);
	print_daemon(screen, line);
	print_rows(screen, rows, i);
	free(rows);
	return true;
}

/* Nothing wraps meanwhile; nothing of a longer frame before is left. */
static void draw(struct screen *screen, const char *text, const char *before)
{
	struct winsize size;

	screen->height = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
	fputs(screen->live ? "\033[H\033[?7l" : "", stdout);
	if (!print_table(screen, text, before))
		fputs("no memory\n", stdout);
	fputs(screen->live ? "\033[J\033[?7h" : "", stdout);
	fflush(stdout);
}

int command_status(const struct options *options, const struct config *config)
{
	const char *plain = getenv("NO_COLOR");
	bool terminal = isatty(STDOUT_FILENO);
	struct screen screen = { .live = terminal && !options->once,
		.colours = terminal && !(plain && *plain) };
	const struct timespec second = { 1, 0 };
	char error[CONFIG_ERROR_MAX], *before = NULL, *text;

	while ((text = command_fetch(config, error, sizeof(error))) != NULL) {
		if (screen.live && !before)
			fputs("\033[2J", stdout);
		draw(&screen, text, before);
		free(before);
		before = text;
		if (!screen.live)
			break;
		nanosleep(&second, NULL);
	}
	free(before);
	if (text)
		return 0;
	fprintf(stderr, "anygate: %s\n", error);
	return 1;
}
