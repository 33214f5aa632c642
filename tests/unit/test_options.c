/* The command line: what it answers by itself, and the commands. */
#include "config_load.h"

SUITE(options);

Test(options, help_fits_one_screen)
{
	char error[CONFIG_ERROR_MAX], *argv[] = { (char *)"anygate", (char *)"-h", NULL };
	char *text = NULL, *rest, *line;
	struct options options;
	unsigned lines = 0;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert(options_parse(&options, 2, argv, NULL, error, sizeof(error)));
	cr_assert(options_answer(&options, out));
	fclose(out);
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL) {
		lines += *line != '\0' || rest != NULL;
		cr_expect_leq(strlen(line), 80, "%s", line);
	}
	cr_expect_leq(lines, 24);
	free(text);
}

Test(options, version)
{
	char error[CONFIG_ERROR_MAX], *argv[] = { (char *)"anygate", (char *)"--version", NULL };
	char *text = NULL;
	struct options options;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	cr_assert(options_parse(&options, 2, argv, NULL, error, sizeof(error)));
	cr_assert(options_answer(&options, out));
	fclose(out);
	cr_expect_str_eq(text, "anygate 0.1.0\n");
	free(text);
}

static const struct {
	const char *arguments;
	enum options_action action;
} commands[] = {
	{ "status|-c|/dev/null", OPTIONS_STATUS },
	{ "-c|/dev/null|status|--once", OPTIONS_STATUS },
	{ "reload|-s|daemon.workers=1|-c|/dev/null", OPTIONS_RELOAD },
	{ "stop|-c/dev/null", OPTIONS_STOP },
	{ "reopen|--config=/dev/null", OPTIONS_REOPEN },
	{ "./status|-c|/dev/null", OPTIONS_RUN },
	{ "statuses", OPTIONS_RUN },
};

Test(options, commands_with_a_file)
{
	char error[CONFIG_ERROR_MAX], *argv[ARGV_MAX] = { (char *)"anygate" };
	struct options options;

	for (size_t i = 0; i < COUNT(commands); i++) {
		char *copy = strdup(commands[i].arguments), *rest = copy;
		int argc = 1;

		while (rest)
			argv[argc++] = strsep(&rest, "|");
		argv[argc] = NULL;
		cr_expect(options_parse(&options, argc, argv, NULL, error, sizeof(error)), "%s: %s",
		        commands[i].arguments, error);
		cr_expect_eq(options.action, commands[i].action, "%s", commands[i].arguments);
		cr_expect_eq(options.app == NULL, commands[i].action != OPTIONS_RUN, "%s",
		        commands[i].arguments);
		options_free(&options);
		free(copy);
	}
}
