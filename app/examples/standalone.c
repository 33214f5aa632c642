/*
 * An application that is a program of its own, with the whole command line of anygate; the same
 * file makes a shared object too.
 *
 *	cc standalone.c -o standalone $(pkg-config --cflags --libs anygate)
 *	./standalone -l http=127.0.0.1:8080 -s app.greeting=Salut
 *	curl 'http://127.0.0.1:8080/?name=you'
 *
 * Or with the library inside:
 *
 *	cc -Wl,--as-needed standalone.c -o standalone -l:libanygate.a \
 *		$(pkg-config --cflags --static --libs anygate)
 */
#include <anygate.h>

static const char *greeting;

static int greet(struct ag_request *req)
{
	ag_printf(req, "%s, %s\n", greeting, ag_arg(req, "name", "world"));
	return 200;
}

AG_APP(app)
{
	greeting = ag_config(app, "greeting", "Hello");
	ag_get(app, "/", greet);
}

int main(int argc, char **argv)
{
	return ag_main(argc, argv, ag_app_setup);
}
