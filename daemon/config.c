/*
 * Loading the configuration: defaults, the file, the command line, in this order. inih takes the
 * file apart; it tells no line numbers and cuts long lines in silence, so the lines come from a
 * reader of our own, which counts, refuses and follows the section headers.
 */
#include <errno.h>
#include <ini.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_build.h"
#include "options.h"

#define BLANKS " \t\r\n"

/* ---- the file ---- */

struct reader {
	struct build *build;
	FILE *stream;
	char *text; /* getline's */
	size_t size;
};

/* Takes blanks off both ends, in place. */
static char *trim(char *text)
{
	size_t length;

	text += strspn(text, BLANKS);
	for (length = strlen(text); length > 0 && strchr(BLANKS, text[length - 1]); length--)
		;
	text[length] = '\0';
	return text;
}

/* Whether a file can hold the text: no control characters. */
static bool is_plain(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' && *text != '\t')
			return false;
		if (*text == 0x7f)
			return false;
	}
	return true;
}

/* The ";" of a comment that stands behind a blank or at the beginning, or NULL. */
static char *find_comment(char *text)
{
	for (char *at = text; (at = strchr(at, ';')) != NULL; at++) {
		if (at == text || at[-1] == ' ' || at[-1] == '\t')
			return at;
	}
	return NULL;
}

/* [listen NAME] or [app NAME] of the file. */
static bool open_named(struct build *build, enum section_id id, const char *name)
{
	struct listen_config *listen = config_find_listener(build->config, name);
	struct app_config *app = config_find_app(build->config, name);

	if (!config_is_name(name))
		return build_fail(build,
		        "bad name \"%s\" in [%s NAME]: expected 1 to %d letters, digits, "
		        "\"_\" or \"-\"",
		        name, config_sections[id].name, CONFIG_NAME_MAX);
	if (id == SECTION_LISTEN) {
		if (listen)
			return build_fail(build, "duplicate listener \"%s\"; the first is at %s",
			        name, listen->origin);
		return build_to_listener(build, build_listener(build, name));
	}
	if (app)
		return build_fail(build, "duplicate application \"%s\"; the first is at %s", name,
		        app->origin);
	return build_to_app(build, build_app(build, name));
}

static bool open_plain(struct build *build, const struct section *section)
{
	unsigned bit = 1u << (section - config_sections);

	if (build->sections & bit)
		return build_fail(build, "duplicate section [%s]", section->name);
	build->sections |= bit;
	return build_to_plain(build, section);
}

/* `header` is a line of the file that begins with "[", without blanks at its ends. */
static bool open_section(struct build *build, char *header)
{
	size_t length = strlen(header);
	char *name, *title;
	const struct section *section;

	if (header[length - 1] != ']')
		return build_fail(build, "expected [SECTION] or [SECTION NAME]");
	header[length - 1] = '\0';
	title = trim(header + 1);
	name = title + strcspn(title, BLANKS);
	if (*name)
		*name++ = '\0';
	name = trim(name);
	section = build_section(build, title);
	if (section == NULL)
		return false;
	if (*name && !section->named)
		return build_fail(build, "[%s] takes no name", title);
	if (section == &config_sections[SECTION_APP] && *name == '\0')
		name = "main";
	return *name ? open_named(build, (enum section_id)(section - config_sections), name)
	             : open_plain(build, section);
}

/* The line at hand without comments and blanks around it; NULL: refused. */
static char *clean_line(struct reader *reader, size_t length)
{
	char *text = reader->text, *comment;

	if (memchr(text, '\0', length)) {
		build_fail(reader->build, "a NUL byte; is this a text file?");
		return NULL;
	}
	if (reader->build->line == 1 && strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	text = trim(text);
	if (*text == '#')
		*text = '\0';
	comment = find_comment(text);
	if (comment)
		*comment = '\0';
	text = trim(text);
	if (is_plain(text))
		return text;
	build_fail(reader->build, "a control character");
	return NULL;
}

/* inih's reader: the next line. Lines lose their leading blanks, so none continues another. */
static char *read_line(char *line, int size, void *data)
{
	struct reader *reader = data;
	struct build *build = reader->build;
	ssize_t length = build->failed ? -1 : getline(&reader->text, &reader->size, reader->stream);
	char *text;

	if (length < 0) {
		if (!build->failed && ferror(reader->stream))
			build_fail(build, "cannot read it: %s", strerror(errno));
		return NULL;
	}
	build->line++;
	text = clean_line(reader, (size_t)length);
	if (text == NULL)
		return NULL;
	if (strlen(text) >= (size_t)size) {
		build_fail(build, "the line has %zu bytes; at most %d are read", strlen(text),
		        size - 1);
		return NULL;
	}
	memcpy(line, text, strlen(text) + 1);
	return *text != '[' || open_section(build, text) ? line : NULL;
}

/* inih's handler. The section is the one that the reader saw last. */
static int take_key(void *data, const char *section, const char *name, const char *value)
{
	struct build *build = ((struct reader *)data)->build;

	(void)section;
	if (build->failed)
		return 0;
	if (*name == '\0')
		return build_fail(build, "expected KEY = VALUE or [SECTION]");
	if (build->target.section == NULL)
		return build_fail(build, "\"%s\" stands before the first [SECTION]", name);
	return build_set(build, name, value);
}

static bool read_stream(struct build *build, FILE *stream)
{
	struct reader reader = { .build = build, .stream = stream };
	int line = ini_parse_stream(read_line, &reader, take_key, &reader);

	free(reader.text);
	/* inih goes on after a line that it doesn't understand; that one comes first then */
	if (line > 0 && (!build->failed || (unsigned)line < build->line)) {
		build->failed = false;
		build->line = (unsigned)line;
		return build_fail(build, "expected KEY = VALUE or [SECTION]");
	}
	return !build->failed;
}

static bool read_file(struct build *build, const char *file)
{
	FILE *stream = fopen(file, "re");
	bool fine;

	build->file = file;
	if (stream == NULL)
		return build_fail(build, "cannot read it: %s", strerror(errno));
	fine = read_stream(build, stream);
	fclose(stream);
	build->line = 0;
	return fine;
}

/* ---- the command line ---- */

/* The next free of main, main2, main3... */
static struct listen_config *add_main(struct build *build)
{
	char name[CONFIG_NAME_MAX] = "main";

	for (size_t i = 2; config_find_listener(build->config, name); i++)
		snprintf(name, sizeof(name), "main%zu", i);
	return build_listener(build, name);
}

/* A value that did not come through a file must be one that could have. */
static bool set_plain(struct build *build, const char *key, const char *value)
{
	char *copy = strdup(value), *text = copy ? trim(copy) : NULL;
	bool fine = false;

	if (text == NULL)
		build_fail(build, "out of memory");
	else if (!is_plain(text))
		build_fail(build, "the value has a control character");
	else if (find_comment(text))
		build_fail(build, "the value has \" ;\", which begins a comment");
	else
		fine = build_set(build, key, text);
	free(copy);
	return fine;
}

static bool listen_on(struct build *build, const char *address)
{
	snprintf(build->place, sizeof(build->place), "--listen %s", address);
	if (!build_to_listener(build, add_main(build)))
		return false;
	snprintf(build->place, sizeof(build->place), "--listen");
	return set_plain(build, "address", address);
}

static bool load_app(struct build *build, const char *load)
{
	struct app_config *app = config_find_app(build->config, "main");

	snprintf(build->place, sizeof(build->place), "%s", load);
	return build_to_app(build, app ? app : build_app(build, "main")) &&
	       set_plain(build, "load", load);
}

static bool to_known_listener(struct build *build, const char *name)
{
	struct listen_config *listen = config_find_listener(build->config, name);
	struct nearest nearest = { .wanted = name };
	char what[128];

	if (listen)
		return build_to_listener(build, listen);
	for (size_t i = 0; i < build->config->listen_count; i++)
		nearest_offer(&nearest, build->config->listen[i].name);
	snprintf(what, sizeof(what), "there is no listener \"%s\"", name);
	return build_fail_nearest(build, what, &nearest, "\"\"");
}

static bool to_app(struct build *build, const char *name)
{
	struct app_config *app = config_find_app(build->config, name);

	if (!config_is_name(name))
		return build_fail(build, "bad name \"%s\" of an application", name);
	return build_to_app(build, app ? app : build_app(build, name));
}

/* SECTION.KEY, listen.NAME.KEY, app.NAME.KEY; `path` is taken apart. */
static bool set_path(struct build *build, char *path, const char *value)
{
	const char *title = strsep(&path, ".");
	const struct section *section = build_section(build, title);
	const char *name = NULL;
	bool fine;

	if (section == NULL)
		return false;
	if (path && section->named && strchr(path, '.'))
		name = strsep(&path, ".");
	if (path == NULL || *path == '\0')
		return build_fail(build, "expected SECTION.KEY=VALUE");
	if (section == &config_sections[SECTION_APP])
		fine = to_app(build, name ? name : "main");
	else if (name)
		fine = to_known_listener(build, name);
	else
		fine = build_to_plain(build, section);
	return fine && set_plain(build, path, value);
}

static bool set_value(struct build *build, const struct option_value *value)
{
	char *path = strdup(value->path);
	bool fine, set = strcmp(value->option, "-s") == 0;

	snprintf(build->place, sizeof(build->place), "%s%s%s", value->option, set ? " " : "",
	        set ? value->path : "");
	fine = path ? set_path(build, path, value->value) : build_fail(build, "out of memory");
	free(path);
	return fine;
}

static bool apply_options(struct build *build, const struct options *options)
{
	bool fine = true;

	if (options->listen_count > 0)
		config_drop_listeners(build->config, 0);
	for (size_t i = 0; fine && i < options->listen_count; i++)
		fine = listen_on(build, options->listen[i]);
	if (fine && options->app)
		fine = load_app(build, options->app);
	for (size_t i = 0; fine && i < options->value_count; i++)
		fine = set_value(build, &options->values[i]);
	build->config->debug = options->debug;
	return fine;
}

/* ---- the whole ---- */

static unsigned usable_cpus(void)
{
	cpu_set_t cpus;
	long online;

	if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
		return (unsigned)CPU_COUNT(&cpus);
	/* more of them than the set holds */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online < 1 ? 1 : online > 1024 ? 1024 : (unsigned)online;
}

/* Who may connect, and who may speak for others. */
static bool check_listener(struct build *build, const struct listen_config *listen)
{
	const struct protocol *protocol = listen->protocol;

	if (listen->proxy_protocol && peers_empty(&listen->trusted_proxies))
		return build_fail(build,
		        "listener \"%s\" has proxy_protocol but no trusted_proxies, so it would "
		        "close every connection: a PROXY header is believed from listed proxies "
		        "only; list their networks, or unix",
		        listen->name);
	if ((protocol && strcmp(protocol->name, "http") == 0) ||
	        listen->allowed_clients.count > 0 || address_is_local(&listen->where))
		return true;
	return build_fail(build,
	        "listener \"%s\" is open to other hosts, and %s trusts whoever connects; set "
	        "allowed_clients, use a loopback address or a Unix socket, or serve only http",
	        listen->name, protocol ? protocol->name : "a gateway protocol (auto)");
}

/* Takes what a listener does not say itself from [listen], and checks the whole. */
static bool finish_listener(struct build *build, struct listen_config *listen)
{
	snprintf(build->place, sizeof(build->place), "%s", listen->origin);
	if (listen->address == NULL)
		return build_fail(build, "listener \"%s\" has no address", listen->name);
	for (size_t i = 0; i < config_key_count; i++) {
		const struct key *key = &config_keys[i];

		if (key->section != SECTION_LISTEN || listen->given & key_bit(key))
			continue;
		if (key->type != KEY_ADDRESS &&
		        !key_copy(key, listen, &build->config->listen_default))
			return build_fail(build, "out of memory");
	}
	return check_listener(build, listen);
}

/* Whether both answer for the same paths of the same server names. */
static bool same_mount(const struct app_config *one, const struct app_config *other)
{
	size_t length = strlen(one->mount), other_length = strlen(other->mount);

	if ((one->host == NULL) != (other->host == NULL) ||
	        (one->host && strcmp(one->host, other->host) != 0))
		return false;
	while (length > 0 && one->mount[length - 1] == '/')
		length--;
	while (other_length > 0 && other->mount[other_length - 1] == '/')
		other_length--;
	return length == other_length && memcmp(one->mount, other->mount, length) == 0;
}

static bool check_app(struct build *build, const struct app_config *app)
{
	snprintf(build->place, sizeof(build->place), "%s", app->origin);
	if (app->load == NULL)
		return build_fail(
		        build, "application \"%s\" does not say what to \"load\"", app->name);
	for (const struct app_config *other = build->config->app; other < app; other++) {
		if (same_mount(other, app))
			return build_fail(build,
			        "application \"%s\" has the mount and host of \"%s\" (%s)",
			        app->name, other->name, other->origin);
	}
	return true;
}

/* What [admin] does not say is as for any listener. No listener can have its name. */
static bool finish_admin(struct build *build, struct listen_config *admin)
{
	admin->name = strdup("[admin]");
	admin->origin = strdup("admin.listen");
	admin->protocol = protocol_find("http");
	return (admin->name && admin->origin) || build_fail(build, "out of memory");
}

static bool finish(struct build *build, const struct options *options)
{
	struct config *config = build->config;

	if (config->daemon.workers == 0)
		config->daemon.workers = usable_cpus();
	config->self = options->self;
	if (!build_self(build) || !build_check_scaling(build))
		return false;
	for (size_t i = 0; i < config->listen_count; i++) {
		if (!finish_listener(build, &config->listen[i]))
			return false;
	}
	for (size_t i = 0; i < config->app_count; i++) {
		if (!check_app(build, &config->app[i]))
			return false;
	}
	*build->place = '\0';
	if (!finish_admin(build, &config->admin))
		return false;
	if (config->app_count == 0 && options->action <= OPTIONS_CHECK)
		return build_fail(build,
		        "no application; add [app main] with \"load\", or give one "
		        "on the command line");
	return true;
}

static bool set_all_defaults(struct build *build)
{
	struct config *config = build->config;

	return build_defaults(build, SECTION_DAEMON, &config->daemon) &&
	       build_defaults(build, SECTION_LISTEN, &config->listen_default) &&
	       build_defaults(build, SECTION_LIMITS, &config->limits) &&
	       build_defaults(build, SECTION_LOG, &config->log) &&
	       build_defaults(build, SECTION_LISTEN, &config->admin) &&
	       build_defaults(build, SECTION_BUS, &config->bus) &&
	       build_defaults(build, SECTION_ADMIN, &config->admin);
}

struct config *config_load(const struct options *options, char *error, size_t size)
{
	struct build build = { .error = error, .size = size };

	build.config = calloc(1, sizeof(*build.config));
	if (build.config == NULL) {
		build_fail(&build, "out of memory");
		return NULL;
	}
	if (set_all_defaults(&build) &&
	        (options->config_file == NULL || read_file(&build, options->config_file)) &&
	        apply_options(&build, options) && finish(&build, options)) {
		free(build.scaled);
		return build.config;
	}
	free(build.scaled);
	config_free(build.config);
	return NULL;
}

struct listen_config *config_add_listener(
        struct config *config, const char *address, char *error, size_t size)
{
	struct build build = { .config = config, .error = error, .size = size };
	size_t count = config->listen_count;

	if (listen_on(&build, address) && finish_listener(&build, &config->listen[count]))
		return &config->listen[count];
	config_drop_listeners(config, count);
	return NULL;
}
