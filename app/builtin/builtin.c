#include "builtin.h"

#include <stddef.h>

const struct builtin builtins[] = {
	{ "env", builtin_env, "shows the request as the application sees it, as JSON" },
	{ "hello", builtin_hello, "answers \"Hello, world\"" },
	{ "echo", builtin_echo, "sends the body of the request back as it comes" },
	{ "cgi", builtin_cgi, "runs a CGI program (key \"program\") or those below \"root\"" },
	{ "status", builtin_status, "tells how the daemon is, for [admin] only" },
	{ NULL, NULL, NULL },
};
