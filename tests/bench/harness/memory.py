"""The part `memory`: what waits and what rests, and the time to the first answer."""
import contextlib
import resource
import socket
import time

from . import peers, report, scale, tools
from .server import Server

IDLE = 500 if tools.SHORT else 10000
WAITING = 200 if tools.SHORT else 2000
FEW = ('gunicorn', 'Tornado', 'libfcgi', 'lighttpd')  # do not hold as many connections
STARTS = 3 if tools.SHORT else 20
# What anygate shall not exceed.
MOST = {'idle http+keep connection, anygate': 512, 'idle fastcgi+keep connection, anygate': 512,
        'waiting task, all of it': 8192, 'a worker at rest, anygate': 2048,
        'start to the first answer, anygate': 20}
REQUEST = (b'GET /shop/items HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 192.0.2.17\r\n'
           b'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101\r\n'
           b'Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-GB,en;q=0.5\r\n\r\n')
UPGRADE = (b'GET /shop/items HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
           b'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')


def record(kind, content):
    return bytes([1, kind, 0, 1, len(content) >> 8, len(content) & 255, 0, 0]) + content


def fastcgi_request():
    pairs = {'REQUEST_METHOD': 'GET', 'REQUEST_URI': '/shop/items', 'SCRIPT_NAME': '/shop/items',
             'SERVER_PROTOCOL': 'HTTP/1.1', 'SERVER_NAME': 'shop.example', 'SERVER_PORT': '80',
             'REMOTE_ADDR': '192.0.2.17', 'HTTP_HOST': 'shop.example'}
    text = b''.join(bytes([len(name), len(value)]) + (name + value).encode() for name, value in pairs.items())
    return (record(1, b'\0\1\1\0\0\0\0\0') + record(4, text) + record(4, b'') + record(5, b''))


def scgi_request(path):
    head = f'CONTENT_LENGTH\0000\0SCGI\0001\0REQUEST_METHOD\0GET\0REQUEST_URI\0{path}\0' \
           f'SERVER_PROTOCOL\0HTTP/1.1\0HTTP_HOST\0shop.example\0'
    return f'{len(head)}:{head},'.encode()


def connect(address):
    kind, where = tools.socket_address(address)
    one = socket.socket(kind)
    one.settimeout(20)
    one.connect(where)
    return one


def ask(one, request, until):
    """Sends, and reads until this has come."""
    one.sendall(request)
    answer = b''
    while until not in answer:
        some = one.recv(65536)
        if not some:
            raise tools.Fault(f'no answer but {answer!r}')
        answer += some


def held(server, count, request, until):
    """Bytes of the server for each connection that stays; the first thousand warm it."""
    with contextlib.ExitStack() as stack:
        def hold(number):
            for _ in range(number):
                one = stack.enter_context(connect(server.address))
                if until:
                    ask(one, request, until)
                else:
                    one.sendall(request)
            if not until:  # answered behind all of those
                with connect(server.address) as last:
                    ask(last, scgi_request('/'), b'Hello')

        hold(count // 10)
        before = server.memory()
        hold(count)
        return (server.memory() - before) / count


def idle():
    """Idle connections that have had one answer."""
    for gate, request, until in (('http+keep', REQUEST, b'Hello, world\n'),
                                 ('fastcgi+keep', fastcgi_request(), record(3, b'\0' * 8))):
        for peer in peers.all_peers():
            if gate in peer.gates and peer.name not in FEW:
                with peer.start(gate) as server:
                    yield (f'idle {gate} connection, {peer.name}', held(server, IDLE, request, until), 'bytes')


def waits():
    for gate in ('scgi',):
        with scale.start('anygate', gate, app=scale.APP) as server:
            yield 'waiting task, all of it', held(server, WAITING, scgi_request('/wait'), None), 'bytes'
    with scale.start('anygate', 'http', app='echo') as server:
        yield 'idle WebSocket, all of it', held(server, WAITING, UPGRADE, b'\r\n\r\n'), 'bytes'


def rest():
    """Just started, and once it has served."""
    for peer in peers.all_peers():
        gate = next(gate for gate in ('fastcgi', 'http') if gate in peer.gates)
        with peer.start(gate) as server:
            ended = time.monotonic() + 0.2
            while time.monotonic() < ended:  # what is still to be loaded is
                time.sleep(0.05)
            fresh = server.memory()
            tools.load(gate, server.address, *peer.options(), seconds=tools.SECONDS)
            yield f'at rest, {peer.name}', fresh / 1024, 'KiB'
            yield f'having served, {peer.name}', server.memory() / 1024, 'KiB'
    with scale.start('anygate', 'fastcgi') as server:
        yield 'a worker at rest, anygate', server.memory([server.worker()]) / 1024, 'KiB'


def first_answer():
    """From the start of the process to the end of an answer."""
    times = []
    for _ in range(STARTS):
        address = tools.new_address('unix')
        began = time.monotonic()
        with Server('anygate', peers.anygate('http', address), address, cpu=None, pause=0.0005):
            with connect(address) as one:
                ask(one, REQUEST, b'Hello, world\n')
            times.append((time.monotonic() - began) * 1000)
    yield 'start to the first answer, anygate', tools.median(times), 'ms'


def run():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    rows = [(what, figure, unit, MOST.get(what)) for part in (idle, waits, rest, first_answer)
            for what, figure, unit in part()]
    tools.say('\nmemory of its own: anonymous pages, none of a file, none of the kernel')
    tools.say(report.table(['what', 'figure', 'unit', 'at most'], rows))
    report.write_tsv('memory.tsv', ['what', 'figure', 'unit', 'at most'], rows)
