"""Hello by Tornado: hello_tornado.py unix:PATH | HOST:PORT"""
import asyncio
import sys

import tornado.httpserver
import tornado.netutil
import tornado.web


class Hello(tornado.web.RequestHandler):
    def get(self):
        self.set_header('Content-Type', 'text/plain')
        self.write('Hello, world\n')


async def main(address):
    server = tornado.httpserver.HTTPServer(tornado.web.Application([('/.*', Hello)], log_function=len))
    if address.startswith('unix:'):
        server.add_socket(tornado.netutil.bind_unix_socket(address[5:], backlog=4096))
    else:
        host, _, port = address.rpartition(':')
        server.add_sockets(tornado.netutil.bind_sockets(int(port), host, backlog=4096))
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
