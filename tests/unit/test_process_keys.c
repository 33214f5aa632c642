/* The keys of [daemon] for the workers' own processes. */
#include "config_load.h"

SUITE(process_keys);

static const struct {
	const char *set, *line; /* as --print-config shows it */
} values[] = {
	{ "daemon.chroot=/srv", "chroot = /srv" },
	{ "daemon.no_new_privileges=off", "no_new_privileges = off" },
	{ "daemon.umask=77", "umask = 0077" },
	{ "daemon.nice=-20", "nice = -20" },
	{ "daemon.nice=19", "nice = 19" },
	{ "daemon.core_size=unchanged", "core_size = unchanged" },
	{ "daemon.core_size=0", "core_size = 0" },
	{ "daemon.memory_limit=1024M", "memory_limit = 1G" },
	{ "daemon.cpu_affinity=off", "cpu_affinity = off" },
	{ "daemon.cpu_affinity=auto", "cpu_affinity = auto" },
	{ "daemon.cpu_affinity=0,2,4-1023", "cpu_affinity = 0,2,4-1023" },
	{ "daemon.environment=_A1=b=c, d", "environment = _A1=b=c, d" },
	{ "daemon.environment=", "environment =" },
	{ "daemon.environment=A=;", "environment = A=;" },
};

/* Each is printed as a line that reads back to the same. */
Test(process_keys, values)
{
	char arguments[256], line[256], error[CONFIG_ERROR_MAX];

	for (size_t i = 0; i < COUNT(values); i++) {
		snprintf(arguments, sizeof(arguments), "hello|-s|%s", values[i].set);
		struct config *config = load_good(arguments);
		char *text = print(config);
		struct config *again = load_text(text, strlen(text), "", error);

		cr_assert_not_null(again, "%s: %s", values[i].set, error);
		char *second = print(again);

		snprintf(line, sizeof(line), "\n%s\n", values[i].line);
		cr_expect(strstr(text, line), "%s: no line \"%s\"", values[i].set, values[i].line);
		cr_expect_str_eq(text, second, "%s", values[i].set);
		free(text);
		free(second);
		config_free(config);
		config_free(again);
	}
}

Test(process_keys, environment_lines_add_and_options_replace)
{
	static const char text[] =
	        "[daemon]\nenvironment = A=1\nenvironment = B=2\nenvironment = A=3 # 4\n"
	        "[app main]\nload = hello\n";
	char error[CONFIG_ERROR_MAX];
	struct config *config = load_text(text, sizeof(text) - 1, "", error);

	cr_assert_not_null(config, "%s", error);
	cr_expect_eq(config->daemon.environment.count, 3);
	cr_assert(environment_apply(&config->daemon.environment));
	cr_expect_str_eq(getenv("A"), "3 # 4");
	cr_expect_str_eq(getenv("B"), "2");
	config_free(config);

	config = load_text(text, sizeof(text) - 1, "-s|daemon.environment=C=5", error);
	cr_assert_not_null(config, "%s", error);
	cr_expect_eq(config->daemon.environment.count, 1);
	cr_expect_str_eq(config->daemon.environment.entries[0], "C=5");
	config_free(config);
}
