/* WebSocket (RFC 6455) over an upgraded request: what the rest of app/ knows of it. */
#ifndef APP_WEB_WEBSOCKET_H
#define APP_WEB_WEBSOCKET_H

struct ag_ws;

/* The handler has returned: says goodbye where nobody did, and gives the memory back. In the task.
 */
void websocket_end(struct ag_ws *ws);

#endif
