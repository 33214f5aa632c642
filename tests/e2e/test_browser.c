/* The chat in a real browser, through each of nginx's gates that pass WebSockets on. */
#include <stdio.h>
#include <string.h>

#include "tests/support/daemon.h"
#include "tests/support/nginx.h"

SUITE(browser);

/* The gates, as nginx.h counts them; two workers, so that guests meet by the channel. */
Test(browser, chat_through_nginx, .timeout = 300)
{
	static const size_t gates[] = { 2, 3, 5 };
	char urls[COUNT(gates)][64], directory[128];
	struct daemon daemon;
	struct nginx nginx;
	struct process process;

	daemon_start(&daemon, 1, "-w", "2", "-l", "127.0.0.1:0", "-s", "app.mount=/upgrade",
	        DAEMON_APPS "chat.so", NULL);
	nginx_start_all(&nginx, daemon_address(&daemon));
	for (size_t i = 0; i < COUNT(gates); i++)
		snprintf(urls[i], sizeof(urls[i]), "http://%s/upgrade/", nginx.address[gates[i]]);
	snprintf(directory, sizeof(directory), "TMPDIR=%s", support_directory());
	process_succeed(&process,
	        &(struct process_options){
	                .arguments = (const char *[]){ SOURCE_DIR "/tests/e2e/browser/chat",
	                        urls[0], urls[1], urls[2], NULL },
	                .environment = (const char *[]){ directory, NULL },
	        });
	cr_expect(strstr(process.out.data, "3 pages fine\n"));
	process_free(&process);
	nginx_stop(&nginx);
	daemon_stop(&daemon);
}
