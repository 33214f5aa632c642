/* The command line. Everything that is a key of the configuration becomes one, in order. */
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_keys.h"
#include "options.h"

enum { OPTION_PRINT_CONFIG = 256, OPTION_ONCE };

static const struct option long_options[] = {
	{ "protocol", required_argument, NULL, 'P' },
	{ "listen", required_argument, NULL, 'l' },
	{ "workers", required_argument, NULL, 'w' },
	{ "config", required_argument, NULL, 'c' },
	{ "set", required_argument, NULL, 's' },
	{ "check", no_argument, NULL, 't' },
	{ "daemonize", no_argument, NULL, 'd' },
	{ "pidfile", required_argument, NULL, 'p' },
	{ "user", required_argument, NULL, 'u' },
	{ "debug", no_argument, NULL, 'D' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ "print-config", no_argument, NULL, OPTION_PRINT_CONFIG },
	{ "once", no_argument, NULL, OPTION_ONCE },
	{ 0 },
};

/* ":" first: a missing argument is told apart from an unknown option. */
#define SHORT_OPTIONS ":P:l:w:c:s:tdp:u:DVh"

static const char usage[] =
        "usage: anygate [options] APP\n"
        "       anygate [options] -c FILE\n"
        "       anygate status|reload|stop|reopen -c FILE\n"
        "APP is the path of a shared object or the name of an application compiled in.\n";

/* Of a program that is an application. */
static const char own_usage[] =
        "usage: %1$s [options] [-c FILE]\n"
        "       %1$s status|reload|stop|reopen -c FILE\n"
        "Serves its own application by FastCGI, SCGI, uwsgi or HTTP; see anygate(8).\n";

static const char help[] =
        "\n"
        "  -P, --protocol NAME      fastcgi, scgi, uwsgi, http or auto (default auto)\n"
        "  -l, --listen ADDR        HOST:PORT, :PORT, [V6]:PORT, unix:PATH or fd:N; may\n"
        "                           carry its protocol: http=127.0.0.1:80; repeatable\n"
        "                           (default: descriptor 0 if it is a listening socket,\n"
        "                           then systemd's sockets, then 127.0.0.1:8888)\n"
        "  -w, --workers N|auto     processes (default auto: one per usable CPU)\n"
        "  -c, --config FILE        read the configuration\n"
        "  -s, --set SECTION.KEY=VALUE\n"
        "                           set a key of the configuration; repeatable\n"
        "  -t, --check              check configuration and applications, then exit\n"
        "  -d, --daemonize          go to the background once ready\n"
        "  -p, --pidfile FILE       write the process id to FILE\n"
        "  -u, --user NAME[:GROUP]  run as this user\n"
        "  -D, --debug              help in development\n"
        "      --print-config       print the effective configuration, without passwords\n"
        "      --once               with status: print it once\n"
        "  -V, --version            print the version, then exit\n"
        "  -h, --help               print this, then exit\n";

static const char no_memory[] = "out of memory";

static bool refuse(char *error, size_t size, const char *message)
{
	snprintf(error, size, "%s", message);
	return false;
}

/* Appends a key and its value; takes both, which may be NULL for want of memory. */
static bool add_value(struct options *options, const char *option, char *path, char *value)
{
	struct option_value *grown = NULL;

	if (path && value)
		grown = reallocarray(options->values, options->value_count + 1, sizeof(*grown));
	if (grown == NULL) {
		free(path);
		free(value);
		return false;
	}
	options->values = grown;
	grown[options->value_count++] =
	        (struct option_value){ .option = option, .path = path, .value = value };
	return true;
}

static bool set(struct options *options, const char *option, const char *path, const char *value,
        char *error, size_t size)
{
	return add_value(options, option, strdup(path), strdup(value)) ||
	       refuse(error, size, no_memory);
}

/* SECTION.KEY=VALUE */
static bool set_path(struct options *options, const char *text, char *error, size_t size)
{
	size_t length = strcspn(text, "=");

	if (text[length] == '\0' || memchr(text, '.', length) == NULL) {
		snprintf(error, size, "-s %s: expected SECTION.KEY=VALUE", text);
		return false;
	}
	return add_value(options, "-s", strndup(text, length), strdup(text + length + 1)) ||
	       refuse(error, size, no_memory);
}

/* NAME[:GROUP] */
static bool set_user(struct options *options, const char *text, char *error, size_t size)
{
	size_t length = strcspn(text, ":");

	if (length == 0 || (text[length] && text[length + 1] == '\0')) {
		snprintf(error, size, "--user: expected NAME or NAME:GROUP, not \"%s\"", text);
		return false;
	}
	if (!add_value(options, "--user", strdup("daemon.user"), strndup(text, length)))
		return refuse(error, size, no_memory);
	return text[length] == '\0' ||
	       set(options, "--user", "daemon.group", text + length + 1, error, size);
}

static bool add_listen(struct options *options, const char *address, char *error, size_t size)
{
	const char **grown;

	grown = reallocarray(options->listen, options->listen_count + 1, sizeof(*grown));
	if (grown == NULL)
		return refuse(error, size, no_memory);
	grown[options->listen_count++] = address;
	options->listen = grown;
	return true;
}

static bool set_config_file(struct options *options, const char *file, char *error, size_t size)
{
	if (options->config_file)
		return refuse(error, size, "--config is given twice");
	options->config_file = file;
	return true;
}

static const struct option *find_letter(int letter)
{
	for (const struct option *option = long_options; option->name; option++) {
		if (option->val == letter)
			return option;
	}
	return NULL;
}

/* `text` is the argument as it stands in argv, beginning with "--". */
static bool unknown_long(const char *text, char *error, size_t size)
{
	char name[64];
	struct nearest nearest = { .wanted = name };

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text + 2, "="), text + 2);
	for (const struct option *option = long_options; option->name; option++)
		nearest_offer(&nearest, option->name);
	if (nearest.best)
		snprintf(
		        error, size, "unknown option --%s; did you mean --%s?", name, nearest.best);
	else
		snprintf(error, size, "unknown option --%s; see --help", name);
	return false;
}

/* getopt's '?' and ':'. */
static bool wrong_option(int result, const char *text, char *error, size_t size)
{
	const struct option *option = find_letter(optopt);

	if (option && result == ':')
		snprintf(error, size, "--%s needs a value; see --help", option->name);
	else if (option)
		snprintf(error, size, "--%s takes no value", option->name);
	else if (optopt == 0)
		return unknown_long(text, error, size);
	else
		snprintf(error, size, "unknown option -%c; see --help", optopt);
	return false;
}

static bool take_option(struct options *options, int letter, char *error, size_t size)
{
	switch (letter) {
	case 'P':
		return set(options, "--protocol", "listen.protocol", optarg, error, size);
	case 'l':
		return add_listen(options, optarg, error, size);
	case 'w':
		return set(options, "--workers", "daemon.workers", optarg, error, size);
	case 'c':
		return set_config_file(options, optarg, error, size);
	case 's':
		return set_path(options, optarg, error, size);
	case 't':
		options->action = OPTIONS_CHECK;
		return true;
	case 'd':
		return set(options, "--daemonize", "daemon.daemonize", "on", error, size);
	case 'p':
		return set(options, "--pidfile", "daemon.pidfile", optarg, error, size);
	case 'u':
		return set_user(options, optarg, error, size);
	case 'D':
		options->debug = true;
		return true;
	case OPTION_PRINT_CONFIG:
		options->action = OPTIONS_PRINT_CONFIG;
		return true;
	case OPTION_ONCE:
		options->once = true;
		return true;
	default:
		options->action = letter == 'V' ? OPTIONS_VERSION : OPTIONS_HELP;
		return true;
	}
}

static const struct {
	const char *name;
	enum options_action action;
} commands[] = {
	{ "status", OPTIONS_STATUS },
	{ "reload", OPTIONS_RELOAD },
	{ "stop", OPTIONS_STOP },
	{ "reopen", OPTIONS_REOPEN },
};

/* A command in the place of APP becomes the action. */
static bool take_command(struct options *options, char *error, size_t size)
{
	for (size_t i = 0; options->app && i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(options->app, commands[i].name) != 0)
			continue;
		if (options->config_file && options->action == OPTIONS_RUN) {
			options->action = commands[i].action;
			options->app = NULL;
			break;
		}
		snprintf(error, size, "%s is a command: it needs -c FILE, and no --check",
		        options->app);
		return false;
	}
	return !options->once || options->action == OPTIONS_STATUS ||
	       refuse(error, size, "--once belongs to: anygate status -c FILE");
}

/* As it is called in a line of text. */
static const char *program_name(const struct options *options)
{
	return options->self && options->argv[0] ? basename(options->argv[0]) : "anygate";
}

/* Where the program is the application itself, no other is given. */
static bool take_self(const struct options *options, char *error, size_t size)
{
	if (!options->app)
		return true;
	snprintf(error, size,
	        "unexpected argument \"%s\": %s serves its own application; others go into -c FILE",
	        options->app, program_name(options));
	return false;
}

/* What stands behind the options: APP, or a command. */
static bool take_app(struct options *options, int count, char **rest, char *error, size_t size)
{
	if (count > 1) {
		snprintf(error, size, "unexpected argument \"%s\" after \"%s\"", rest[1], rest[0]);
		return false;
	}
	if (count == 1)
		options->app = rest[0];
	if (!take_command(options, error, size))
		return false;
	if (options->self)
		return take_self(options, error, size);
	if (options->app || options->config_file || options->action == OPTIONS_PRINT_CONFIG)
		return true;
	return refuse(error, size,
	        "nothing to run; give APP (a shared object, or a built-in such as hello) or "
	        "-c FILE");
}

bool options_parse(
        struct options *options, int argc, char **argv, ag_setup *self, char *error, size_t size)
{
	int letter;

	*options = (struct options){ .action = OPTIONS_RUN, .self = self, .argv = argv };
	options->start = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	opterr = 0;
	optind = 0; /* glibc: begin anew, also within a test */
	while ((letter = getopt_long(argc, argv, SHORT_OPTIONS, long_options, NULL)) != -1) {
		if (letter == '?' || letter == ':')
			return wrong_option(letter, argv[optind - 1], error, size);
		if (!take_option(options, letter, error, size))
			return false;
		if (options->action == OPTIONS_HELP || options->action == OPTIONS_VERSION)
			return true;
	}
	return take_app(options, argc - optind, argv + optind, error, size);
}

void options_free(struct options *options)
{
	for (size_t i = 0; i < options->value_count; i++) {
		free(options->values[i].path);
		free(options->values[i].value);
	}
	free(options->values);
	free(options->listen);
	close(options->start);
	*options = (struct options){ 0 };
}

bool options_answer(const struct options *options, FILE *out)
{
	if (options->action != OPTIONS_HELP && options->action != OPTIONS_VERSION)
		return false;
	if (options->action == OPTIONS_HELP && options->self)
		fprintf(out, own_usage, program_name(options));
	else if (options->action == OPTIONS_HELP)
		fputs(usage, out);
	else if (options->self)
		fprintf(out, "%s (anygate " ANYGATE_VERSION ")\n", program_name(options));
	else
		fputs("anygate " ANYGATE_VERSION "\n", out);
	if (options->action == OPTIONS_HELP)
		fputs(help, out);
	return true;
}
