#include "admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client.h"
#include "json.h"

void admin_write(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert(file, "%s", path);
	fputs(text, file);
	fclose(file);
}

void admin_configure_all(const struct admin_site *site, const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text),
	        "[daemon]\nworkers = 2\nreload_watch = 0\nrequest_timeout = 0\n"
	        "[listen main]\naddress = unix:%s/main.sock\n[admin]\n%s",
	        site->directory, more);
	admin_write(site->file, text);
}

void admin_make(struct admin_site *site)
{
	snprintf(site->directory, sizeof(site->directory), "%s/XXXXXX", support_directory());
	cr_assert(mkdtemp(site->directory));
	snprintf(site->file, sizeof(site->file), "%s/anygate.ini", site->directory);
	snprintf(site->admin, sizeof(site->admin), "unix:%s/admin.sock", site->directory);
}

void admin_configure(const struct admin_site *site, const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text), "listen = %s\n%s", site->admin, more);
	admin_configure_all(site, text);
}

void admin_start(struct admin_site *site, const char *more)
{
	admin_make(site);
	admin_configure(site, more);
	daemon_start(&site->daemon, 2, "-c", site->file, NULL);
	cr_assert_str_eq(site->daemon.listening[1].address, site->admin);
	cr_assert_str_eq(site->daemon.listening[1].protocol, "admin");
}

void admin_remove(struct admin_site *site)
{
	unlink(site->file);
	cr_expect_eq(rmdir(site->directory), 0, "something is left in %s", site->directory);
}

void admin_stop(struct admin_site *site)
{
	daemon_stop(&site->daemon);
	admin_remove(site);
}

char *admin_fetch(const char *address, const char *target, int status)
{
	struct response response;
	char *body;

	http_get(address, target, &response);
	cr_assert_eq(response.status, status, "%s: %d", target, response.status);
	body = strdup(response.body.data);
	response_free(&response);
	return body;
}

void admin_check(const char *address, const char *target, int status, const char *expected)
{
	char *body = admin_fetch(address, target, status);

	cr_expect(strstr(body, expected), "%s: no \"%s\" in %s", target, expected, body);
	free(body);
}

long admin_figure(const struct admin_site *site, const char *path)
{
	char *text = admin_fetch(site->admin, "/status.json", 200), *value = json_get(text, path);
	long number;

	cr_assert(value, "no %s in %s", path, text);
	number = strtol(value, NULL, 10);
	free(value);
	free(text);
	return number;
}

void admin_await(const struct admin_site *site, const char *path, long expected)
{
	for (int i = 0; i < CHANGES; i++) {
		if (admin_figure(site, path) == expected)
			return;
		usleep(1000);
	}
	cr_assert_eq(admin_figure(site, path), expected, "%s", path);
}

void admin_begin(const struct admin_site *site, struct client *client, int ms)
{
	char address[128], target[32];
	struct bytes request = { 0 };

	snprintf(address, sizeof(address), "unix:%s/main.sock", site->directory);
	snprintf(target, sizeof(target), "/?ms=%d", ms);
	client_open(client, address);
	http_build(&request, "GET", target, NULL, NULL, 0);
	client_send(client, request.data, request.length);
	client_flush(client);
	bytes_free(&request);
	admin_await(site, "totals/in_flight", 1);
}

void admin_end(struct client *client)
{
	struct response response;

	client_response(client, "GET", &response);
	cr_expect_eq(response.status, 200);
	response_free(&response);
	client_close(client);
}
