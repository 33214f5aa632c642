/*
 * Answering a request by a CGI program (RFC 3875). The program sees an environment that is made for
 * it, the body on its standard input as it comes, and answers on its standard output; lines of its
 * standard error go to the log.
 */
#ifndef APP_HOST_CGI_H
#define APP_HOST_CGI_H

#include "../request.h"

struct cgi_program {
	const char *path;        /* absolute */
	const char *script_name; /* the part of the URL's path that names it */
	const char *path_info;   /* and the rest, "" or from a slash on */
	const char *root;        /* absolute: DOCUMENT_ROOT; NULL: none */
	unsigned timeout;        /* ms without a sign of life */
};

/*
 * Runs the program and answers. Suspends. Returns the handler's status: 502 where the program can't
 * be run or its output is no answer, 503 where the system has no room for it, 504 where it takes
 * too long. Each of these leaves a line in the log.
 */
int cgi_run(struct ag_request *req, const struct cgi_program *program);

/*
 * The environment, NULL at the end, in the request's memory; NULL without memory. Nothing that came
 * by the wire has a name that is not on its list: the variables of RFC 3875 4.1, a few more that
 * describe the request, and HTTP_*. Settings "env.NAME" of the application come last and replace.
 */
char **cgi_environment(struct ag_request *req, const struct cgi_program *program);

/* Whether a name can be a variable's: letters, digits and "_", no digit first. */
bool cgi_is_name(const char *name);

#endif
