"""The part `gates`: hello on each gate, by anygate, the floors and the others."""
import contextlib

from . import chart, measure, peers, report, tools

COLUMNS = ['way', 'gate', 'server', *measure.COLUMNS, 'memory_kib', 'calls', 'ratio', 'calls_by_name']
SHOWN = ['server', 'cpu_us', 'user_us', 'system_us', 'ratio', 'front_us', 'rps', 'p50_us', 'p99_us', 'p999_us',
         'switches', 'calls', 'memory_kib']


def servers(gate, tcp):
    """Those that have this gate and are installed."""
    return [peer for peer in peers.all_peers()
            if gate in peer.gates and (peer.tcp or not tcp)]


def start_all(stack, gate, transport):
    return {peer: stack.enter_context(peer.start(gate, transport))
            for peer in servers(gate, transport == 'tcp')}


def rows_of(way, gate, running, results, calls):
    """One row for each server, the floor's CPU being 1."""
    for peer, server in running.items():
        figures = results[peer.name]
        by_name = calls.get(peer.name) or {}
        yield {'way': way, 'gate': gate, 'server': peer.name, **figures,
               'memory_kib': server.memory() // 1024,
               'calls': sum(by_name.values()) if by_name else None,
               'ratio': measure.ratio(figures, results['floor']),
               'calls_by_name': ' '.join(f'{name}={count:.2f}' for name, count in
                                         sorted(by_name.items(), key=lambda one: -one[1])
                                         if count >= 0.005)}


WAYS = {'unix': 'over Unix sockets', 'tcp': 'over TCP', 'nginx': 'behind nginx'}


def direct(transport, gate):
    """gateload speaks the gate itself."""
    with contextlib.ExitStack() as stack:
        running = start_all(stack, gate, transport)
        for peer, server in running.items():
            tools.load(gate, server.address, *peer.options(), seconds=min(0.2, tools.SECONDS))
        results = measure.rounds({
            peer.name: lambda peer=peer, server=server: measure.load_round(
                server, gate, peer.options()) for peer, server in running.items()})
        calls = {peer.name: measure.system_calls(server, gate, peer.options())
                 for peer, server in running.items()}
        return list(rows_of(transport, gate, running, results, calls))


# ---- behind nginx ----

PASS = {
    'fastcgi+keep': 'fastcgi_pass up; fastcgi_keep_conn on; include fastcgi_params;',
    'fastcgi': 'fastcgi_pass up; include fastcgi_params;',
    'scgi': 'scgi_pass up; include scgi_params;',
    'uwsgi': 'uwsgi_pass up; include uwsgi_params;',
    'http+keep': 'proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";',
    'http': 'proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection close;',
}


def front(gate, upstream, script):
    """A gateway of one worker before one server."""
    keep = 'keepalive 64; keepalive_requests 100000000;' if gate.endswith('+keep') else ''
    address = tools.new_address('unix')
    number = address.rpartition('/')[2]
    temporary = ' '.join(f'{kind}_temp_path {tools.directory()}/{kind};' for kind in
                         ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
    settings = peers.write(f'front{number}.conf', f'''{peers.nginx_user()}daemon off; worker_processes 1;
pid {tools.directory()}/front{number}.pid;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; {temporary}
upstream up {{ server {upstream}; {keep} }}
server {{ listen {address} backlog=1024; location / {{ {PASS[gate]}
{f'fastcgi_param SCRIPT_FILENAME {script};' if script else ''} }} }} }}
''')
    for kind in ('fastcgi', 'uwsgi', 'scgi'):
        peers.copy_parameters(f'{kind}_params')
    return peers.Server('front', ['nginx', '-e', 'stderr', '-p', tools.directory(), '-c', settings],
                        address, cpu=0)


def behind_nginx(gate):
    """gateload speaks HTTP to an nginx; the server behind it is measured, and nginx as front_us."""
    with contextlib.ExitStack() as stack:
        running = start_all(stack, gate, 'unix')
        fronts = {}
        for peer, server in running.items():
            options = peer.options()
            fronts[peer] = stack.enter_context(
                front(gate, server.address, options[1] if options else None))
            tools.load('http+keep', fronts[peer].address, seconds=min(0.2, tools.SECONDS))
        results = measure.rounds({
            peer.name: lambda peer=peer, server=server: measure.load_round(
                server, 'http+keep', front=fronts[peer]) for peer, server in running.items()})
        return list(rows_of('nginx', gate, running, results, {}))


# ---- all of them ----

def show(rows):
    shown = [name for name in SHOWN if any(row[name] is not None for row in rows)]
    tools.say(report.table(shown, [[row[name] for name in shown] for row in rows]))


def summary(rows):
    """anygate against the floors and the best of the others, a line for each way and gate."""
    for way in WAYS:
        for gate in tools.GATES:
            here = {row['server']: row for row in rows if (row['way'], row['gate']) == (way, gate)}
            if 'anygate' not in here:
                continue
            ours, floor = here['anygate'], here['floor']
            others = [row for name, row in here.items() if name != 'anygate' and 'floor' not in name]
            blocking = here.get('blocking floor')
            cheapest = min(others, key=lambda row: row['cpu_us'], default=None)
            fastest = max(others, key=lambda row: row['rps'], default=None)
            yield [f'{gate}, {WAYS[way]}', ours['ratio'], blocking and measure.ratio(ours, blocking),
                   measure.ratio(ours, floor, 'p99_us'),
                   ours['calls'] - floor['calls'] if ours['calls'] and floor['calls'] else None,
                   cheapest and measure.ratio(ours, cheapest), cheapest and cheapest['server'],
                   fastest and measure.ratio(ours, fastest, 'rps'), fastest and fastest['server']]


def run():
    missing = [peer.name for peer in peers.OTHERS if not peer.is_here()]
    if missing:
        tools.say(f'not installed (tests/support/deps bench): {", ".join(missing)}')
    ways = [(transport, gate) for transport in ('unix', 'tcp') for gate in tools.GATES]
    ways += [('nginx', gate) for gate in tools.GATES]
    rows = []
    for way, gate in ways:
        tools.say(f'\n{gate}, {WAYS[way]}: 1 worker, 64 connections, '
                  f'median of {tools.ROUNDS}; for each request')
        some = behind_nginx(gate) if way == 'nginx' else direct(way, gate)
        show(some)
        rows += some
    tools.say('\nanygate: CPU for a request to the floors\', p99 to the floor\'s, system calls beyond the floor\'s; '
              'CPU to the\ncheapest of the others, requests per second to the fastest; ratios are medians of each round\'s')
    tools.say(report.table(['gate', 'floor', 'blocking', 'p99', 'calls', 'CPU', 'cheapest', 'rps', 'fastest'],
                           list(summary(rows))))
    report.write_tsv('gates.tsv', COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
    for way, words in WAYS.items():
        chart.bars(f'gates-{way}.svg', f'CPU for each request {words}, us',
                   {gate: [(row['server'], row['cpu_us']) for row in rows
                           if row['way'] == way and row['gate'] == gate] for gate in tools.GATES})
