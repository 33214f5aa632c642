"""The part `scale`: what a request costs against what it should not depend on."""
import contextlib
import os

from . import chart, measure, peers, report, tools
from .server import Server

CONNECTIONS = [1, 4, 16, 64, 256, 1024, 4096, 10000]
ROUTES = [1, 10, 100, 1000, 10000]
VARIABLES = [10, 20, 50, 100, 200]
STREAMS = [1, 2, 4, 8]
BODIES = [1, 1 << 10, 16 << 10, 256 << 10, 4 << 20, 100 << 20]
ROUNDS = 1 if tools.SHORT else 3
APP = tools.BIN / 'apps' / 'bench.so'
COLUMNS = ['x', 'series', *measure.COLUMNS, 'memory_kib']
SHOWN = ['series', 'x', 'cpu_us', 'user_us', 'system_us', 'rps', 'p99_us', 'switches', 'memory_kib']


def start(kind, gate, *options, app='hello', workers=1, cpu=-1):
    address = tools.new_address('unix')
    command = (peers.floor(gate, address) if kind == 'floor' else
               peers.anygate(gate, address, *options, app=app, workers=workers))
    return Server(kind, command, address, cpu=cpu)


def some(values):
    """In the short form the ends only."""
    return [values[0], values[-2]] if tools.SHORT else values


def finish(name, title, x_name, rows, y='cpu_us', log_y=False):
    rows = [{'x': x, 'series': series, **figures} for x, series, figures in rows]
    tools.say(f'\n{title}')
    tools.say(report.table(SHOWN, [[row[column] for column in SHOWN] for row in
                                   sorted(rows, key=lambda row: (row['series'], row['x']))]))
    report.write_tsv(f'scale-{name}.tsv', COLUMNS, [[row[one] for one in COLUMNS] for row in rows])
    series = {}
    for row in rows:
        series.setdefault(row['series'], []).append((row['x'], row[y]))
    chart.lines(f'scale-{name}.svg', title, x_name, 'us' if y == 'cpu_us' else y, series, log_y)


def measured(servers, how):
    """Rounds over several servers at one x: {series: (server, gate)}; how(x) are gateload's options."""
    for server, gate in servers.values():
        tools.load(gate, server.address, *how.get('options', ()),
                   **{key: value for key, value in how.items() if key in ('connections', 'requests')},
                   seconds=min(0.2, tools.SECONDS))
    got = measure.rounds({series: lambda server=server, gate=gate: measure.load_round(server, gate, **how)
                          for series, (server, gate) in servers.items()}, ROUNDS)
    for series, (server, _) in servers.items():
        got[series]['memory_kib'] = server.memory() // 1024
    return got


def connections():
    rows = []
    for count in some(CONNECTIONS):
        with contextlib.ExitStack() as stack:
            servers = {f'{kind} {gate}': (stack.enter_context(start(kind, gate)), gate)
                       for gate in ('fastcgi+keep', 'http+keep', 'scgi') for kind in ('anygate', 'floor')}
            for series, figures in measured(servers, {'connections': count}).items():
                rows.append((count, series, figures))
    finish('connections', 'CPU for each request against connections, all of them busy', 'connections', rows)


def routes():
    rows = []
    for count in some(ROUTES):
        with contextlib.ExitStack() as stack:
            servers = {gate: (stack.enter_context(
                start('anygate', gate, '-s', f'app.routes={count}', app=APP)), gate)
                for gate in ('http+keep', 'scgi')}
            target = f'/shop/section{count - 1}/items'
            for series, figures in measured(servers, {'options': ['-u', target]}).items():
                rows.append((count, series, figures))
    finish('routes', 'CPU for each request against routes; the last one is asked for', 'routes', rows)


def variables():
    rows = []
    with contextlib.ExitStack() as stack:
        servers = {f'{kind} {gate}': (stack.enter_context(start(kind, gate)), gate)
                   for gate in ('fastcgi+keep', 'http+keep', 'scgi', 'uwsgi') for kind in ('anygate', 'floor')}
        for count in some(VARIABLES):
            for series, figures in measured(servers, {'options': ['-v', count]}).items():
                rows.append((count, series, figures))
    finish('variables', 'CPU for each request against CGI variables, or fields of HTTP', 'variables', rows)


def streams():
    rows = []
    with contextlib.ExitStack() as stack:
        servers = {'anygate': (stack.enter_context(start('anygate', 'fastcgi+keep')), 'fastcgi+keep')}
        for count in some(STREAMS):
            for series, figures in measured(servers, {'options': ['-m', count], 'connections': 4}).items():
                rows.append((count, series, figures))
    finish('streams', 'CPU for each request against FastCGI requests at a time on each of 4 connections',
           'requests at a time', rows)


def workers():
    rows = []
    for count in range(1, 2 * len(tools.CPUS) + 1):
        with contextlib.ExitStack() as stack:
            servers = {gate: (stack.enter_context(start('anygate', gate, workers=count, cpu=None)), gate)
                       for gate in ('fastcgi+keep', 'http+keep', 'scgi')}
            for series, figures in measured(servers, {'cpu': None}).items():
                rows.append((count, series, figures))
    finish('workers', f'CPU for each request against workers, on {len(tools.CPUS)} CPUs with the load',
           'workers', rows)


def bodies():
    limits = ['-s', 'limits.body_size=128M']
    rows = []
    with contextlib.ExitStack() as stack:
        servers = {}
        for gate in tools.GATES:
            servers[f'in and out {gate}'] = (stack.enter_context(start('anygate', gate, *limits, app='echo')), gate)
        for gate in ('fastcgi+keep', 'http+keep', 'scgi'):
            servers[f'in {gate}'] = (stack.enter_context(start('anygate', gate, *limits, app=APP)), gate)
            servers[f'floor in {gate}'] = (stack.enter_context(start('floor', gate)), gate)
        for size in some(BODIES):
            for series, target in servers.items():
                echoed = series.startswith('in and')
                options = ['-u', '/sink', '-p', size] + (['-e'] if echoed else [])
                how = {'options': options, 'connections': 4}
                if size >= 4 << 20:
                    how['requests'] = max(4, (160 << 20) // size)
                rows += [(size, name, figures) for name, figures in measured({series: target}, how).items()]
    finish('bodies', 'CPU for each request against the size of its body, 4 connections', 'bytes', rows, log_y=True)


PARTS = {'connections': connections, 'routes': routes, 'variables': variables, 'streams': streams,
         'workers': workers, 'bodies': bodies}


def run():
    wanted = os.environ.get('SCALE')
    for name in wanted.split() if wanted else PARTS:
        PARTS[name]()
