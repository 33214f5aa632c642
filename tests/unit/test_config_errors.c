/* Every message of the configuration and the command line, to the letter. */
#include "config_load.h"
#include "daemon/config_keys.h"

SUITE(config_errors);

#define AUTO_OPEN                                                                                  \
	" is open to other hosts, and a gateway protocol (auto) trusts whoever connects; set "     \
	"allowed_clients, use a loopback address or a Unix socket, or serve only http"
#define SCGI_OPEN                                                                                  \
	" is open to other hosts, and scgi trusts whoever connects; set allowed_clients, use a "   \
	"loopback address or a Unix socket, or serve only http"
#define FORMS "expected HOST:PORT, :PORT, [V6]:PORT, unix:PATH or fd:N"
#define NO_PASSWORD                                                                                \
	"expected off, unix:PATH, or a loopback address such as 127.0.0.1:9180: it asks for no "   \
	"password"
#define NO_URL    "expected off, unix:PATH, or HOST:PORT; user and password are keys of their own"
#define PROTOCOLS "expected fastcgi, scgi, uwsgi, http, or auto"

static const struct error_row option_errors[] = {
	{ "", "nothing to run; give APP (a shared object, or a built-in such as hello) or -c "
	      "FILE" },
	{ "-t", "nothing to run; give APP (a shared object, or a built-in such as hello) or -c "
	        "FILE" },
	{ "status", "status is a command: it needs -c FILE, and no --check" },
	{ "reload|-p|/tmp/pid", "reload is a command: it needs -c FILE, and no --check" },
	{ "-t|stop|-c|/dev/null", "stop is a command: it needs -c FILE, and no --check" },
	{ "--print-config|reopen|-c|/dev/null",
	        "reopen is a command: it needs -c FILE, and no --check" },
	{ "--once|hello", "--once belongs to: anygate status -c FILE" },
	{ "reload|--once|-c|/dev/null", "--once belongs to: anygate status -c FILE" },
	{ "a|b", "unexpected argument \"b\" after \"a\"" },
	{ "--wrokers|2|hello", "unknown option --wrokers; did you mean --workers?" },
	{ "--wrokers=2|hello", "unknown option --wrokers; did you mean --workers?" },
	{ "hello|--lisen|:80", "unknown option --lisen; did you mean --listen?" },
	{ "--elephant|hello", "unknown option --elephant; see --help" },
	{ "--p|x|hello", "unknown option --p; see --help" },
	{ "-Z|hello", "unknown option -Z; see --help" },
	{ "-DZ|hello", "unknown option -Z; see --help" },
	{ "hello|-w", "--workers needs a value; see --help" },
	{ "hello|--listen", "--listen needs a value; see --help" },
	{ "--check=yes|hello", "--check takes no value" },
	{ "-c|a|-c|b", "--config is given twice" },
	{ "-w|0x1|hello",
	        "--workers: bad value \"0x1\"; expected auto or a number from 1 to 1024" },
	{ "-w|1025|hello",
	        "--workers: bad value \"1025\"; expected auto or a number from 1 to 1024" },
	{ "-w|-1|hello", "--workers: bad value \"-1\"; expected auto or a number from 1 to 1024" },
	{ "-P|htp|hello", "--protocol: bad value \"htp\"; " PROTOCOLS },
	{ "-u|:x|hello", "--user: expected NAME or NAME:GROUP, not \":x\"" },
	{ "-u|x:|hello", "--user: expected NAME or NAME:GROUP, not \"x:\"" },
	{ "-s|limits|hello", "-s limits: expected SECTION.KEY=VALUE" },
	{ "-s|limits.x|hello", "-s limits.x: expected SECTION.KEY=VALUE" },
	{ "-s|limits=a.b|hello", "-s limits=a.b: expected SECTION.KEY=VALUE" },
	{ "-s|limits.=1|hello", "-s limits.: expected SECTION.KEY=VALUE" },
	{ "-s|limits.header_tmeout=1|hello",
	        "-s limits.header_tmeout: unknown key \"header_tmeout\" in [limits]; did you mean "
	        "\"header_timeout\"?" },
	{ "-s|lmits.variables=1|hello",
	        "-s lmits.variables: unknown section [lmits]; did you mean [limits]?" },
	{ "-s|.x=1|hello", "-s .x: unknown section []" },
	{ "-s|admin.listen=0.0.0.0:9180|hello",
	        "-s admin.listen: bad value \"0.0.0.0:9180\"; " NO_PASSWORD },
	{ "-s|admin.listen=:9180|hello", "-s admin.listen: bad value \":9180\"; " NO_PASSWORD },
	{ "-s|admin.listen=10.0.0.1:9180|hello",
	        "-s admin.listen: bad value \"10.0.0.1:9180\"; " NO_PASSWORD },
	{ "-s|admin.listen=[::]:9180|hello",
	        "-s admin.listen: bad value \"[::]:9180\"; " NO_PASSWORD },
	{ "-s|admin.listen=fd:3|hello", "-s admin.listen: bad value \"fd:3\"; " NO_PASSWORD },
	{ "-s|admin.listen=http=127.0.0.1:1|hello",
	        "-s admin.listen: bad value \"http=127.0.0.1:1\"; \"http=127.0.0.1\" is not an IP "
	        "address, localhost or *; names are not looked up" },
	{ "-s|bus.redis=redis://me:hunter2@127.0.0.1:6379/0|hello",
	        "-s bus.redis: bad value \"redis://***@127.0.0.1:6379/0\"; " NO_URL },
	{ "-s|bus.redis=redis://127.0.0.1|hello",
	        "-s bus.redis: bad value \"redis://127.0.0.1\"; " NO_URL },
	{ "-s|admin.listn=off|hello",
	        "-s admin.listn: unknown key \"listn\" in [admin]; did you mean \"listen\"?" },
	{ "-s|limits.variables=1|hello",
	        "-s limits.variables: bad value \"1\"; expected a number from 16 to 65535" },
	{ "-s|daemon.workers_max=2|-s|daemon.workers_min=3|hello",
	        "-s daemon.workers_min: workers_min (3) is more than workers_max (2)" },
	{ "-s|daemon.workers_min=3|hello",
	        "-s daemon.workers_min: workers_min means nothing without workers_max; set that, "
	        "or workers" },
	{ "-s|daemon.spare_min=4|hello",
	        "-s daemon.spare_min: spare_min (4) is more than spare_max (3)" },
	{ "-s|daemon.cpu_affinity=|hello", "-s daemon.cpu_affinity: bad value \"\"; expected off, "
	                                   "auto, or CPUs up to 1023 such as 0,2,4-7" },
	{ "-s|daemon.cpu_affinity=1,|hello", "-s daemon.cpu_affinity: bad value \"1,\"; expected "
	                                     "off, auto, or CPUs up to 1023 such as 0,2,4-7" },
	{ "-s|daemon.cpu_affinity=4-2|hello", "-s daemon.cpu_affinity: bad value \"4-2\"; expected "
	                                      "off, auto, or CPUs up to 1023 such as 0,2,4-7" },
	{ "-s|daemon.cpu_affinity=1-|hello", "-s daemon.cpu_affinity: bad value \"1-\"; expected "
	                                     "off, auto, or CPUs up to 1023 such as 0,2,4-7" },
	{ "-s|daemon.cpu_affinity=1024|hello",
	        "-s daemon.cpu_affinity: bad value \"1024\"; expected off, auto, or CPUs up to "
	        "1023 such as 0,2,4-7" },
	{ "-s|daemon.cpu_affinity=0x1|hello", "-s daemon.cpu_affinity: bad value \"0x1\"; expected "
	                                      "off, auto, or CPUs up to 1023 such as 0,2,4-7" },
	{ "-s|daemon.cpu_affinity=,1|hello", "-s daemon.cpu_affinity: bad value \",1\"; expected "
	                                     "off, auto, or CPUs up to 1023 such as 0,2,4-7" },
	{ "-s|daemon.nice=20|hello",
	        "-s daemon.nice: bad value \"20\"; expected a number from -20 to 19" },
	{ "-s|daemon.nice=-21|hello",
	        "-s daemon.nice: bad value \"-21\"; expected a number from -20 to 19" },
	{ "-s|daemon.nice=|hello",
	        "-s daemon.nice: bad value \"\"; expected a number from -20 to 19" },
	{ "-s|daemon.nice=-|hello",
	        "-s daemon.nice: bad value \"-\"; expected a number from -20 to 19" },
	{ "-s|daemon.nice=+1|hello",
	        "-s daemon.nice: bad value \"+1\"; expected a number from -20 to 19" },
	{ "-s|daemon.environment=A|hello", "-s daemon.environment: bad value \"A\"; expected "
	                                   "NAME=value, the name of letters, digits and \"_\"" },
	{ "-s|daemon.environment==b|hello", "-s daemon.environment: bad value \"=b\"; expected "
	                                    "NAME=value, the name of letters, digits and \"_\"" },
	{ "-s|daemon.environment=1A=b|hello", "-s daemon.environment: bad value \"1A=b\"; expected "
	                                      "NAME=value, the name of letters, digits and \"_\"" },
	{ "-s|daemon.environment=A B=c|hello",
	        "-s daemon.environment: bad value \"A B=c\"; expected NAME=value, the name of "
	        "letters, digits and \"_\"" },
	{ "-s|daemon.core_size=x|hello", "-s daemon.core_size: bad value \"x\"; expected "
	                                 "unchanged, or 0 to 1024G: bytes, or with K, M or G" },
	{ "-s|daemon.a.b=1|hello", "-s daemon.a.b: unknown key \"a.b\" in [daemon]" },
	{ "-s|log.error=a ;b|hello", "-s log.error: the value has \" ;\", which begins a comment" },
	{ "-s|log.error=a\nb|hello", "-s log.error: the value has a control character" },
	{ "-s|listen.man.backlog=1|-l|:0|hello",
	        "-s listen.man.backlog: there is no listener \"man\"; did you mean \"main\"?" },
	{ "-s|listen.web.backlog=1|hello", "-s listen.web.backlog: there is no listener \"web\"" },
	{ "-s|listen.address=:1|hello", "-s listen.address: \"address\" needs a listener with a "
	                                "name, such as [listen main]" },
	{ "-s|app.b g.load=x|hello", "-s app.b g.load: bad name \"b g\" of an application" },
	{ "-s|app.blog.mount=/b|hello",
	        "-s app.blog.mount: application \"blog\" does not say what to \"load\"" },
	{ "-s|app.blog.load=b|hello", "-s app.blog.load: application \"blog\" has the mount and "
	                              "host of \"main\" (hello)" },
	{ "-s|app.a:b=x|hello", "-s app.a:b: bad key \"a:b\" in [app main]: expected letters, "
	                        "digits, \"_\", \"-\" or "
	                        "\".\"" },
	{ "-l|:9000|hello", "--listen :9000: listener \"main\"" AUTO_OPEN },
	{ "-l|http=:9000|-l|scgi=*:9000|hello",
	        "--listen scgi=*:9000: listener \"main2\"" SCGI_OPEN },
	{ "-l|auto=10.0.0.1:9000|-P|http|hello",
	        "--listen auto=10.0.0.1:9000: listener \"main\"" AUTO_OPEN },
	{ "-l|[::]:9000|hello", "--listen [::]:9000: listener \"main\"" AUTO_OPEN },
	{ "-l|[2001:db8::1]:9000|hello",
	        "--listen [2001:db8::1]:9000: listener \"main\"" AUTO_OPEN },
};

static const struct error_row address_errors[] = {
	{ "", FORMS },
	{ "9000", "no port: " FORMS },
	{ "127.0.0.1", "no port: " FORMS },
	{ "[::1]", "no port: " FORMS },
	{ "127.0.0.1:", "expected a port from 0 to 65535 after the last \":\"" },
	{ ":65536", "expected a port from 0 to 65535 after the last \":\"" },
	{ ":-1", "expected a port from 0 to 65535 after the last \":\"" },
	{ ":80x", "expected a port from 0 to 65535 after the last \":\"" },
	{ ":99999999999999999999", "expected a port from 0 to 65535 after the last \":\"" },
	{ "::1:80", "write an IPv6 address in brackets: [V6]:PORT" },
	{ "[::1:80", "write an IPv6 address in brackets: [V6]:PORT" },
	{ "[]:80", "[] is not an IPv6 address" },
	{ "[127.0.0.1]:80", "[127.0.0.1] is not an IPv6 address" },
	{ "[::1::1]:80", "[::1::1] is not an IPv6 address" },
	{ "1.2.3.256:80",
	        "\"1.2.3.256\" is not an IP address, localhost or *; names are not looked up" },
	{ "www.example:80",
	        "\"www.example\" is not an IP address, localhost or *; names are not looked up" },
	{ "/run/x.sock", "write the path of a Unix socket as unix:PATH" },
	{ "./x.sock", "write the path of a Unix socket as unix:PATH" },
	{ "unix:", "no path after \"unix:\"" },
	{ "fd:", "expected a descriptor's number after \"fd:\"" },
	{ "fd:x", "expected a descriptor's number after \"fd:\"" },
	{ "fd:9999999", "expected a descriptor's number after \"fd:\"" },
};

#define IN_LIMITS(line) "[limits]\n" line "\n"
#define IN_LISTEN(line) "[listen a]\naddress = :0\n" line "\n"
#define IN_APP(line)    "[app a]\nload = x\n" line "\n"

static const struct error_row file_errors[] = {
	{ "", "FILE: no application; add [app main] with \"load\", or give one on the command "
	      "line" },
	{ "[listen main]\nbakclog = 1\n",
	        "FILE:2: unknown key \"bakclog\" in [listen main]; did you mean \"backlog\"?" },
	{ "[limits]\n\n; x\nzebra = 1\n", "FILE:4: unknown key \"zebra\" in [limits]" },
	{ "[lisen x]\nfoo\n", "FILE:1: unknown section [lisen]; did you mean [listen]?" },
	{ "[apps]\n", "FILE:1: unknown section [apps]; did you mean [app]?" },
	{ "[elephant]\n", "FILE:1: unknown section [elephant]" },
	{ "[daemon x]\n", "FILE:1: [daemon] takes no name" },
	{ "[log]\n[limits]\n[log]\n", "FILE:3: duplicate section [log]" },
	{ "[listen]\n[listen]\n", "FILE:2: duplicate section [listen]" },
	{ "[listen a]\n[listen b]\n[listen  a ]\n",
	        "FILE:3: duplicate listener \"a\"; the first is at FILE:1" },
	{ "[app]\n\n[app main]\n",
	        "FILE:3: duplicate application \"main\"; the first is at FILE:1" },
	{ "[listen a b]\n", "FILE:1: bad name \"a b\" in [listen NAME]: expected 1 to 32 letters, "
	                    "digits, \"_\" or \"-\"" },
	{ "[app a.b]\n", "FILE:1: bad name \"a.b\" in [app NAME]: expected 1 to 32 letters, "
	                 "digits, \"_\" or \"-\"" },
	{ "[daemon\n", "FILE:1: expected [SECTION] or [SECTION NAME]" },
	{ "[daemon] x\n", "FILE:1: expected [SECTION] or [SECTION NAME]" },
	{ "[daemon]\nworkers_max = 4\nworkers_min = 5\n[app main]\nload = hello\n",
	        "FILE:3: workers_min (5) is more than workers_max (4)" },
	{ "[daemon]\nspare_max = 1\n\nspare_min = 2\n[app main]\nload = hello\n",
	        "FILE:4: spare_min (2) is more than spare_max (1)" },
	{ "[daemon]\nworkers\n", "FILE:2: expected KEY = VALUE or [SECTION]" },
	{ "[daemon]\nworkers\n[elephant]\n", "FILE:2: expected KEY = VALUE or [SECTION]" },
	{ "[daemon]\nwrokers = 1\nworkers\n",
	        "FILE:2: unknown key \"wrokers\" in [daemon]; did you mean \"workers\"?" },
	{ "[daemon]\n= 1\n", "FILE:2: expected KEY = VALUE or [SECTION]" },
	{ "workers = 1\n", "FILE:1: \"workers\" stands before the first [SECTION]" },
	{ "[daemon]\nuser = a\001b\n", "FILE:2: a control character" },
	{ "[daemon]\nworkers = 1\nworkers = 2\n",
	        "FILE:3: \"workers\" is given twice in [daemon]" },
	{ "[daemon]\n workers = 1\n workers = 2\n",
	        "FILE:3: \"workers\" is given twice in [daemon]" },
	{ IN_APP("root = a\nroot = b"), "FILE:4: \"root\" is given twice in [app a]" },
	{ "[listen]\naddress = :1\n",
	        "FILE:2: \"address\" needs a listener with a name, such as [listen main]" },
	{ IN_LISTEN("address = :1"), "FILE:3: \"address\" is given twice in [listen a]" },
	{ "[listen a]\naddress = http=:0\nprotocol = scgi\n",
	        "FILE:3: \"protocol\" is given twice in [listen a]" },
	{ IN_LISTEN("protocol = htp"),
	        "FILE:3: bad value \"htp\" for \"protocol\" in [listen a]; " PROTOCOLS },
	{ IN_LISTEN("backlog = 0"), "FILE:3: bad value \"0\" for \"backlog\" in [listen a]; "
	                            "expected a number from 1 to 65535" },
	{ IN_LISTEN("mode = 0999"), "FILE:3: bad value \"0999\" for \"mode\" in [listen a]; "
	                            "expected an octal mode from 0000 to 0777" },
	{ IN_LISTEN("mode = 1777"), "FILE:3: bad value \"1777\" for \"mode\" in [listen a]; "
	                            "expected an octal mode from 0000 to 0777" },
	{ IN_LISTEN("keepalive_timeout = 0"),
	        "FILE:3: bad value \"0\" for \"keepalive_timeout\" in [listen a]; "
	        "expected 1ms to 24h: seconds, or with ms, s, m or h" },
	{ IN_LISTEN("allowed_clients = 10.0.0.0/8, x"),
	        "FILE:3: bad value \"10.0.0.0/8, x\" for \"allowed_clients\" in [listen a]; "
	        "\"x\" is no network such as 10.0.0.0/8 or fd00::/8" },
	{ IN_LISTEN("allowed_clients = ::1, user:no-such"),
	        "FILE:3: bad value \"::1, user:no-such\" for \"allowed_clients\" in [listen a]; "
	        "there is no user \"no-such\" on this system" },
	{ IN_LISTEN("trusted_proxies = group:4294967295"),
	        "FILE:3: bad value \"group:4294967295\" for \"trusted_proxies\" in [listen a]; "
	        "there is no group \"4294967295\" on this system" },
	{ IN_LISTEN("trusted_proxies = group:"),
	        "FILE:3: bad value \"group:\" for \"trusted_proxies\" in [listen a]; "
	        "no name after \"group:\"" },
	{ IN_LISTEN("trusted_proxies = unix, Unix"),
	        "FILE:3: bad value \"unix, Unix\" for \"trusted_proxies\" in [listen a]; "
	        "\"Unix\" is no network such as 10.0.0.0/8 or fd00::/8" },
	{ IN_LISTEN("proxy_protocol = maybe"),
	        "FILE:3: bad value \"maybe\" for \"proxy_protocol\" in [listen a]; "
	        "expected on or off" },
	{ IN_LISTEN("proxy_protocol = on"),
	        "FILE:1: listener \"a\" has proxy_protocol but no trusted_proxies, so it would "
	        "close "
	        "every connection: a PROXY header is believed from listed proxies only; list their "
	        "networks, or unix" },
	{ IN_LIMITS("header_size = 1"), "FILE:2: bad value \"1\" for \"header_size\" in [limits]; "
	                                "expected 1K to 16M: bytes, or with K, M or G" },
	{ IN_LIMITS("body_size = 1T"), "FILE:2: bad value \"1T\" for \"body_size\" in [limits]; "
	                               "expected 0 to 1024G: bytes, or with K, M or G" },
	{ IN_LIMITS("body_size = 18446744073709551616"),
	        "FILE:2: bad value \"18446744073709551616\" for \"body_size\" in [limits]; "
	        "expected 0 to 1024G: bytes, or with K, M or G" },
	{ IN_LIMITS("body_size = 17179869185G"),
	        "FILE:2: bad value \"17179869185G\" for \"body_size\" in [limits]; "
	        "expected 0 to 1024G: bytes, or with K, M or G" },
	{ IN_LIMITS("body_timeout = 25h"),
	        "FILE:2: bad value \"25h\" for \"body_timeout\" in [limits]; "
	        "expected 1ms to 24h: seconds, or with ms, s, m or h" },
	{ IN_LIMITS("body_timeout ="), "FILE:2: bad value \"\" for \"body_timeout\" in [limits]; "
	                               "expected 1ms to 24h: seconds, or with ms, s, m or h" },
	{ "[daemon]\nstack_size = 63K\n",
	        "FILE:2: bad value \"63K\" for \"stack_size\" in [daemon]; "
	        "expected 64K to 1G: bytes, or with K, M or G" },
	{ "[daemon]\ndaemonize = maybe\n",
	        "FILE:2: bad value \"maybe\" for \"daemonize\" in [daemon]; expected on or off" },
	{ "[log]\nlevel = loud\n", "FILE:2: bad value \"loud\" for \"level\" in [log]; "
	                           "expected error, warning, info or debug" },
	{ "[log]\nerror =\n", "FILE:2: bad value \"\" for \"error\" in [log]; expected a value" },
	{ IN_APP("mount = x"), "FILE:3: bad value \"x\" for \"mount\" in [app a]; "
	                       "expected a path that begins with \"/\"" },
	{ IN_APP("host = a:80"), "FILE:3: bad value \"a:80\" for \"host\" in [app a]; "
	                         "expected one server name without a port, or any" },
	{ "[listen a]\nbacklog = 1\n\n[app]\nload = x\n", "FILE:1: listener \"a\" has no address" },
	{ "[app]\nmount = /\n", "FILE:1: application \"main\" does not say what to \"load\"" },
	{ IN_APP("mount = /b/") "[app c]\nload = x\nmount = /b\n",
	        "FILE:4: application \"c\" has the mount and host of \"a\" (FILE:1)" },
	{ "[app x]\nload = x\n\n[listen a]\naddress = scgi=:9000\n",
	        "FILE:4: listener \"a\"" SCGI_OPEN },
};

static void expect_error(
        const char *input, struct config *config, const char *error, const char *message)
{
	cr_expect_null(config, "\"%s\" is accepted", input);
	cr_expect_str_eq(error, message, "\"%s\": %s", input, error);
	config_free(config);
}

Test(config_errors, option_errors)
{
	char error[CONFIG_ERROR_MAX];

	for (size_t i = 0; i < COUNT(option_errors); i++) {
		const struct error_row *row = &option_errors[i];
		struct config *config = load(row->input, error);

		expect_error(row->input, config, error, row->message);
	}
}

Test(config_errors, address_errors)
{
	char error[CONFIG_ERROR_MAX], arguments[512], message[512];

	for (size_t i = 0; i < COUNT(address_errors); i++) {
		const struct error_row *row = &address_errors[i];

		snprintf(arguments, sizeof(arguments), "hello|-l|%s", row->input);
		snprintf(message, sizeof(message), "--listen: bad value \"%s\"; %s", row->input,
		        row->message);
		expect_error(row->input, load(arguments, error), error, message);
	}
}

Test(config_errors, file_errors)
{
	char error[CONFIG_ERROR_MAX];

	for (size_t i = 0; i < COUNT(file_errors); i++) {
		const struct error_row *row = &file_errors[i];
		struct config *config = load_text(row->input, strlen(row->input), "", error);

		expect_error(row->input, config, error, row->message);
	}
}

Test(config_errors, unreadable_files)
{
	char error[CONFIG_ERROR_MAX];

	expect_error("missing", load("-c|/nowhere/x.ini", error), error,
	        "/nowhere/x.ini: cannot read it: No such file or directory");
	expect_error(
	        "directory", load("-c|/tmp", error), error, "/tmp: cannot read it: Is a directory");
	expect_error("NUL", load_text("[log]\nerr\0or = x\n", 16, "", error), error,
	        "FILE:2: a NUL byte; is this a text file?");
}

Test(config_errors, long_lines)
{
	char error[CONFIG_ERROR_MAX], text[800];
	struct config *config;

	/* "load = " and 192 bytes are all that inih reads at a time; a comment does not count */
	snprintf(text, sizeof(text), "; %0300d\n[app]\nload = %0192d   ; %0100d\n", 0, 0, 0);
	config = load_text(text, strlen(text), "", error);
	cr_assert_not_null(config, "%s", error);
	cr_expect_eq(strlen(config->app[0].load), 192);
	config_free(config);
	snprintf(text, sizeof(text), "[app]\nload = %0193d\n", 0);
	expect_error("long", load_text(text, strlen(text), "", error), error,
	        "FILE:2: the line has 200 bytes; at most 199 are read");
}

Test(config_errors, long_unix_path)
{
	char error[CONFIG_ERROR_MAX], arguments[256];

	snprintf(arguments, sizeof(arguments), "hello|-l|unix:/%0106d", 0);
	config_free(load_good(arguments));
	snprintf(arguments, sizeof(arguments), "hello|-l|unix:/%0107d", 0);
	cr_expect_null(load(arguments, error));
	cr_expect(strstr(error, "the path of a Unix socket has at most 107 bytes"), "%s", error);
}

static const struct error_row network_errors[] = {
	{ "x", "\"x\" is no network such as 10.0.0.0/8 or fd00::/8" },
	{ "/8", "\"/8\" is no network such as 10.0.0.0/8 or fd00::/8" },
	{ "10.0.0/8", "\"10.0.0/8\" is no network such as 10.0.0.0/8 or fd00::/8" },
	{ "10.0.0.0/", "\"10.0.0.0/\": expected /0 to /32" },
	{ "10.0.0.0/33", "\"10.0.0.0/33\": expected /0 to /32" },
	{ "::/129", "\"::/129\": expected /0 to /128" },
	{ "::/-1", "\"::/-1\": expected /0 to /128" },
	{ "10.0.0.1/8", "\"10.0.0.1/8\" has bits set behind its prefix; write 10.0.0.0/8" },
	{ "fd00::1/64", "\"fd00::1/64\" has bits set behind its prefix; write fd00::/64" },
};

Test(config_errors, network_errors)
{
	char error[CONFIG_ERROR_MAX];
	struct cidr cidr;

	for (size_t i = 0; i < COUNT(network_errors); i++) {
		const struct error_row *row = &network_errors[i];

		cr_expect(!cidr_parse(&cidr, row->input, error, sizeof(error)), "%s", row->input);
		cr_expect_str_eq(error, row->message, "%s", error);
	}
}
