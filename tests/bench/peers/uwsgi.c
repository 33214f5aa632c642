/* Hello as a function that uWSGI's symcall plugin calls: no interpreter between. */
#include <stdint.h>

struct wsgi_request;

/* What of uWSGI's own header is used here. */
int uwsgi_response_prepare_headers(struct wsgi_request *request, char *status, uint16_t length);
int uwsgi_response_add_header(struct wsgi_request *request, char *name, uint16_t name_length,
        char *value, uint16_t value_length);
int uwsgi_response_add_content_length(struct wsgi_request *request, uint64_t length);
int uwsgi_response_write_body_do(struct wsgi_request *request, char *body, uint64_t length);

int hello(struct wsgi_request *request)
{
	uwsgi_response_prepare_headers(request, "200 OK", 6);
	uwsgi_response_add_header(request, "Content-Type", 12, "text/plain", 10);
	uwsgi_response_add_content_length(request, 13);
	uwsgi_response_write_body_do(request, "Hello, world\n", 13);
	return 0; /* done */
}
