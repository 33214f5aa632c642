/* Known deviations of the gateways; a row that does not come true fails the matrix. */
#include "matrix.h"

#define HEAD_PAGE                                                                                  \
	"the head of an answer has to fit one page by default, 4 KiB (`fastcgi_buffer_size`, "     \
	"`scgi_buffer_size`, `uwsgi_buffer_size`, `proxy_buffer_size`; "                           \
	"https://nginx.org/en/docs/http/ngx_http_fastcgi_module.html#fastcgi_buffer_size)."
#define NGINX_KEEP                                                                                 \
	"a connection for each request unless told otherwise: `fastcgi_keep_conn` and "            \
	"`proxy_http_version` with `keepalive` are off in 1.22 "                                   \
	"(https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive)."
#define NO_KEEP                                                                                    \
	"the protocol has one request for each connection; \"SCGI and uwsgi protocols do not "     \
	"have a notion of keepalive connections\" "                                                \
	"(https://nginx.org/en/docs/http/ngx_http_upstream_module.html#keepalive)."
#define SLASHES                                                                                    \
	"`AllowEncodedSlashes Off` is the default: `%2F` in a path is answered with 404 "          \
	"(https://httpd.apache.org/docs/2.4/mod/core.html#allowencodedslashes)."
#define NEEDS_LENGTH                                                                               \
	"mod_proxy_scgi and mod_proxy_uwsgi take no request body without Content-Length "          \
	"(`ap_setup_client_block` with `REQUEST_CHUNKED_ERROR`, modules/proxy/mod_proxy_scgi.c, "  \
	"mod_proxy_uwsgi.c)."
#define APACHE_KEEP                                                                                \
	"mod_proxy_fcgi closes after each request unless `enablereuse=on` "                        \
	"(https://httpd.apache.org/docs/2.4/mod/mod_proxy_fcgi.html)."
#define APACHE_ONCE                                                                                \
	"mod_proxy_scgi and mod_proxy_uwsgi: the protocols have no keep-alive, see nginx."
#define METHODS                                                                                    \
	"methods that it does not know are answered with 501 (src/request.c, "                     \
	"`http_request_parse_reqline`; the list is in src/http_kv.c)."
#define NORMALISED                                                                                 \
	"the query is normalised: `%41` becomes `A`, as Debian's lighttpd.conf sets "              \
	"`url-normalize-unreserved` in `server.http-parseopts` "                                   \
	"(https://redmine.lighttpd.net/projects/lighttpd/wiki/Server_http-parseoptsDetails)."
#define HALF_CLOSED                                                                                \
	"a client's FIN counts as half a close, which an answer may follow; as the answer is "     \
	"held until it is whole (`server.stream-response-body = 0`), nothing is written that "     \
	"would tell (src/connections.c, `connection_handle_fdevent`, comment at "                  \
	"`fdevent_is_tcp_half_closed`)."
#define LIGHTTPD_KEEP                                                                              \
	"a connection for each request: FCGI_KEEP_CONN is never set (src/mod_fastcgi.c), "         \
	"mod_proxy sends `Connection: close` (src/mod_proxy.c)."
#define BUFFERED                                                                                   \
	"it counts CONTENT_LENGTH in what it has buffered (`tune.bufsize`, 16 KiB; "               \
	"src/mux_fcgi.c, `fcgi_set_default_param`) and refuses a chunked body that is larger: "    \
	"its log says `PH--`, and we get a connection without a byte."
#define UNKNOWN_LENGTH                                                                             \
	"the length of a chunked body is sent as `CONTENT_LENGTH=-1`, which RFC 3875 4.1.2 "       \
	"does not allow and anygate refuses (https://github.com/caddyserver/caddy/issues/6637; "   \
	"from 2.9 on it "                                                                          \
	"answers with 411 itself: https://github.com/caddyserver/caddy/pull/6661)."
#define STATUS                                                                                     \
	"the Status field is read and left in the answer "                                         \
	"(modules/caddyhttp/reverseproxy/fastcgi/client.go, `Request`)."

#define CADDY_KEEP                                                                                 \
	"the fastcgi transport dials for each request "                                            \
	"(modules/caddyhttp/reverseproxy/fastcgi/fastcgi.go, `RoundTrip`)."

const struct limit limits[] = {
	{ "nginx", NULL, "8 KiB of header", "502", HEAD_PAGE },
	{ "nginx", "fastcgi", "10 GET, one client", "10 connections", NGINX_KEEP },
	{ "nginx", "http 1.0", "10 GET, one client", "10 connections", NGINX_KEEP },
	{ "nginx", "scgi", "10 GET, one client", "10 connections", NO_KEEP },
	{ "nginx", "uwsgi", "10 GET, one client", "10 connections", NO_KEEP },
	{ "Apache", NULL, "path `%2F`", "404", SLASHES },
	{ "Apache", "proxy_scgi", "POST chunked 1 KiB", "411", NEEDS_LENGTH },
	{ "Apache", "proxy_scgi", "POST chunked 96 KiB", "411", NEEDS_LENGTH },
	{ "Apache", "proxy_uwsgi", "POST chunked 1 KiB", "411", NEEDS_LENGTH },
	{ "Apache", "proxy_uwsgi", "POST chunked 96 KiB", "411", NEEDS_LENGTH },
	{ "Apache", "proxy_fcgi", "10 GET, one client", "10 connections", APACHE_KEEP },
	{ "Apache", "proxy_scgi", "10 GET, one client", "10 connections", APACHE_ONCE },
	{ "Apache", "proxy_uwsgi", "10 GET, one client", "10 connections", APACHE_ONCE },
	{ "lighttpd", NULL, "unknown method", "501", METHODS },
	{ "lighttpd", NULL, "query, raw", "`env/QUERY_STRING` a=%26A&b=c+d&e&a=2;3", NORMALISED },
	{ "lighttpd", NULL, "client gone", "not told", HALF_CLOSED },
	{ "lighttpd", NULL, "10 GET, one client", "10 connections", LIGHTTPD_KEEP },
	{ "HAProxy", "fcgi-app mpxs", "POST chunked 96 KiB", "400", BUFFERED },
	{ "Caddy", "fastcgi", "POST chunked 1 KiB", "400", UNKNOWN_LENGTH },
	{ "Caddy", "fastcgi", "POST chunked 96 KiB", "400", UNKNOWN_LENGTH },
	{ "Caddy", "fastcgi", "HEAD", "`Status` leaks", STATUS },
	{ "Caddy", "fastcgi", "204", "`Status` leaks", STATUS },
	{ "Caddy", "fastcgi", "304", "`Status` leaks", STATUS },
	{ "Caddy", "fastcgi", "redirect 303", "`Status` leaks", STATUS },
	{ "Caddy", "fastcgi", "10 GET, one client", "10 connections", CADDY_KEEP },
};

const size_t limits_count = sizeof limits / sizeof *limits;
