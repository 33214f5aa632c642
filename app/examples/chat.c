/*
 * A chat room, in as many workers as like: what one says is published in a channel, and everybody's
 * WebSocket has subscribed to it.
 *
 *	cc -shared -fPIC chat.c -o chat.so
 *	anygate -w 2 -l http=127.0.0.1:8080 ./chat.so
 *
 * Then open http://127.0.0.1:8080/ twice; /?room=NAME is a room of its own. The first text a client
 * sends to /socket is its name, the others are what it says. It gets "J" and a name when somebody
 * joins, "L" when somebody leaves, "M", a name, a line's end and a text, or "X" and how many it has
 * missed.
 */
#include <anygate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LONGEST 40 /* bytes */
#define TEXT_LONGEST 4000

static const char page[] =
        "<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n"
        "<meta name=viewport content='width=device-width'>\n<title>Chat</title>\n"
        "<style>\n"
        ":root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }\n"
        "body { box-sizing: border-box; height: 100vh; max-width: 42rem; margin: auto;\n"
        "	padding: 1rem; display: flex; flex-direction: column; gap: .75rem }\n"
        "h1 { font-size: 1.25rem; margin: 0; display: flex; justify-content: space-between }\n"
        "#state { font-size: .875rem; font-weight: normal }\n"
        "#log { flex: 1; overflow-y: auto; margin: 0; padding: .75rem; list-style: none;\n"
        "	border: 1px solid #8888; border-radius: .5rem }\n"
        "#log li { overflow-wrap: anywhere; white-space: pre-wrap }\n"
        "#log b::after { content: ': ' }\n"
        "#log .note { font-style: italic; opacity: .75 }\n"
        "form { display: flex; gap: .5rem; align-items: end }\n"
        "form[hidden] { display: none }\n"
        "label { flex: 1 }\n"
        "input { display: block; box-sizing: border-box; width: 100% }\n"
        "input, button { font: inherit; padding: .5rem .75rem }\n"
        "</style>\n"
        "<h1>Chat <span id=state role=status></span></h1>\n"
        "<ul id=log role=log aria-live=polite aria-label=Messages tabindex=0></ul>\n"
        "<form id=join><label>Your name <input name=name required maxlength=20 "
        "autocomplete=nickname autofocus></label><button>Join</button></form>\n"
        "<form id=say hidden><label>Message <input name=text required maxlength=1000 "
        "autocomplete=off></label><button>Send</button></form>\n"
        "<script>\n"
        "const [log, state, join, say] =\n"
        "	['log', 'state', 'join', 'say'].map(id => document.getElementById(id));\n"
        "const url = new URL(location.pathname.replace(/\\/*$/, '/socket') + location.search,\n"
        "	location.href.replace(/^http/, 'ws'));\n"
        "let ws, delay = 500;\n"
        "function add(text, name) {\n"
        "	const down = log.scrollHeight - log.scrollTop - log.clientHeight < 50;\n"
        "	const line = document.createElement('li');\n"
        "	if (name === undefined)\n"
        "		line.className = 'note';\n"
        "	else\n"
        "		line.appendChild(document.createElement('b')).textContent = name;\n"
        "	line.append(text);\n"
        "	log.append(line);\n"
        "	if (down)\n"
        "		log.scrollTop = log.scrollHeight;\n"
        "}\n"
        "function hear(event) {\n"
        "	const end = event.data.indexOf('\\n'), rest = event.data.slice(1);\n"
        "	switch (event.data[0]) {\n"
        "	case 'J': return add(rest + ' has joined');\n"
        "	case 'L': return add(rest + ' has left');\n"
        "	case 'M': return add(event.data.slice(end + 1), event.data.slice(1, end));\n"
        "	case 'X': return add(rest + ' messages were missed');\n"
        "	}\n"
        "}\n"
        "function connect() {\n"
        "	state.textContent = 'connecting';\n"
        "	ws = new WebSocket(url);\n"
        "	ws.onopen = () => {\n"
        "		ws.send(join.name.value.trim());\n"
        "		state.textContent = 'connected';\n"
        "		delay = 500;\n"
        "	};\n"
        "	ws.onmessage = hear;\n"
        "	ws.onclose = event => {\n"
        "		if (event.code === 1008) {\n"
        "			state.textContent = event.reason;\n"
        "			say.hidden = !(join.hidden = false);\n"
        "			return;\n"
        "		}\n"
        "		state.textContent = 'not connected';\n"
        "		setTimeout(connect, delay);\n"
        "		delay = Math.min(2 * delay, 10000);\n"
        "	};\n"
        "}\n"
        "join.onsubmit = event => {\n"
        "	event.preventDefault();\n"
        "	say.hidden = !(join.hidden = true);\n"
        "	say.text.focus();\n"
        "	connect();\n"
        "};\n"
        "say.onsubmit = event => {\n"
        "	event.preventDefault();\n"
        "	if (ws.readyState !== 1)\n"
        "		return;\n"
        "	ws.send(say.text.value);\n"
        "	say.reset();\n"
        "};\n"
        "</script>\n";

static int show(struct ag_request *req)
{
	ag_set_header(req, "Content-Type", "text/html; charset=utf-8");
	ag_puts(req, page);
	return 200;
}

/* Who speaks where. */
struct guest {
	char room[128], name[NAME_LONGEST + 1];
};

static void publish(struct ag_request *req, const struct guest *guest, char kind,
        const struct ag_ws_message *message)
{
	size_t name = strlen(guest->name), size = 1 + name + (message ? 1 + message->length : 0);
	char *line = malloc(size); /* not on the stack, of which an idle guest would keep it */

	if (!line)
		return;
	line[0] = kind;
	memcpy(line + 1, guest->name, name);
	if (message) {
		line[1 + name] = '\n';
		memcpy(line + 2 + name, message->data, message->length);
	}
	ag_publish(req, guest->room, line, size);
	free(line);
}

/* A name is one line of text, and not blank. */
static bool take_name(struct guest *guest, const struct ag_ws_message *message)
{
	bool blank = true;

	if (message->kind != AG_WS_TEXT || message->length > NAME_LONGEST)
		return false;
	for (size_t i = 0; i < message->length; i++) {
		if ((unsigned char)message->data[i] < ' ' || message->data[i] == 127)
			return false;
		blank &= message->data[i] == ' ';
	}
	memcpy(guest->name, message->data, message->length + 1);
	return !blank;
}

static void talk(struct ag_request *req, struct ag_ws *ws, const struct guest *guest)
{
	struct ag_ws_message message;

	publish(req, guest, 'J', NULL);
	while (ag_ws_recv(ws, &message) == 0) {
		if (message.lost)
			ag_ws_printf(ws, "X%zu", message.lost);
		if (message.channel)
			ag_ws_send(ws, message.kind, message.data, message.length);
		else if (message.kind == AG_WS_TEXT && message.length)
			publish(req, guest, 'M', &message);
	}
	publish(req, guest, 'L', NULL);
}

static int chat(struct ag_request *req)
{
	const struct ag_ws_options options = { .message_max = TEXT_LONGEST };
	const char *room = ag_arg(req, "room", "");
	struct ag_ws *ws = ag_ws_accept(req, &options);
	struct ag_ws_message message;
	struct guest guest;

	if (snprintf(guest.room, sizeof guest.room, "chat %s", room) >= (int)sizeof guest.room)
		ag_ws_close(ws, 1008, "a shorter name for the room, please");
	else if (ag_ws_recv(ws, &message) == 0 && !take_name(&guest, &message))
		ag_ws_close(ws, 1008, "a name is one line of 1 to 40 bytes");
	else if (ag_ws_subscribe(ws, guest.room) == 0)
		talk(req, ws, &guest);
	return ag_ws_status(req);
}

AG_APP(app)
{
	ag_get(app, "/", show);
	ag_get(app, "/socket", chat);
}
