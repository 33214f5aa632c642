"""The part `readme`: a summary of the last figures between two marks of README.md."""
import re

from . import report, tools

BEGIN, END = '<!-- bench -->', '<!-- /bench -->'
NAMES = {'fastcgi+keep': 'FastCGI, kept open', 'http+keep': 'HTTP, kept open', 'fastcgi': 'FastCGI',
         'scgi': 'SCGI', 'uwsgi': 'uwsgi', 'http': 'HTTP'}


def row_of(gate, rows):
    by_name = {row['server']: row for row in rows if row['gate'] == gate and row['way'] == 'unix'}
    if not {'anygate', 'floor'} <= by_name.keys():
        raise tools.Fault(f'gates.tsv has no {gate}: run tests/bench/run gates')
    ours, floor = by_name['anygate'], by_name['floor']
    others = sorted((row for name, row in by_name.items() if name != 'anygate' and 'floor' not in name),
                    key=lambda row: row['cpu_us'])
    return (f'| {NAMES[gate]} | {ours["ratio"]:.2f} | '
            + ', '.join(f'{row["server"]} {row["ratio"]:.2f}' for row in others[:2])
            + (f' | {ours["calls"]:.2f} / {floor["calls"]:.2f}' if ours['calls'] and floor['calls'] else ' | ')
            + f' | {1000 / ours["cpu_us"]:.0f} |')


def run():
    rows = report.read_tsv('gates.tsv')
    text = '\n'.join([
        BEGIN,
        'CPU for a request, as a ratio to a server of the least possible work (`tests/bench/floor.c`): hello,',
        '64 connections, Unix sockets, and the best two of the other servers. `make bench` measures it all.',
        '',
        '| gate | anygate | others | system calls, ours / floor | 1000 requests per CPU second |',
        '|------|---------|--------|----------------------------|------------------------------|',
        *(row_of(gate, rows) for gate in tools.GATES),
        END])
    path = tools.ROOT / 'README.md'
    old = path.read_text()
    if BEGIN not in old or END not in old:
        raise tools.Fault(f'README.md has no {BEGIN} and {END}')
    path.write_text(re.sub(f'{BEGIN}.*?{END}', lambda _: text, old, flags=re.S))
    tools.say(text)
