"""What all parts use: places, the load generator, medians."""
import atexit
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent.parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get('BUILD', ROOT / 'build'))
ANYGATE = pathlib.Path(os.environ.get('ANYGATE', BUILD / 'anygate'))
BIN = BUILD / 'bench'
OUT = pathlib.Path(os.environ.get('OUT', BUILD / 'bench'))
SHORT = bool(os.environ.get('SHORT'))
ROUNDS = int(os.environ.get('ROUNDS', 1 if SHORT else 11))
SECONDS = float(os.environ.get('SECONDS_EACH', 0.05 if SHORT else 0.25))
UNPINNED = bool(os.environ.get('UNPINNED'))
CPUS = sorted(os.sched_getaffinity(0))
GATES = ['fastcgi+keep', 'http+keep', 'fastcgi', 'scgi', 'uwsgi', 'http']


class Fault(Exception):
    """Said to the user in one line."""


_directory = None


def directory():
    """A directory for sockets, settings and logs, gone at the end."""
    global _directory
    if _directory is None:
        _directory = pathlib.Path(tempfile.mkdtemp(prefix='anygate-bench-'))
        atexit.register(shutil.rmtree, _directory, ignore_errors=True)
    return _directory


_sockets = 0


def new_address(transport):
    """Where the next server shall listen: unix:PATH or 127.0.0.1:PORT."""
    global _sockets
    _sockets += 1
    if transport == 'unix':
        return f'unix:{directory()}/{_sockets}'
    with socket.socket() as any_port:
        any_port.bind(('127.0.0.1', 0))
        return '127.0.0.1:%d' % any_port.getsockname()[1]


def socket_address(address):
    if address.startswith('unix:'):
        return socket.AF_UNIX, address[5:]
    host, _, port = address.rpartition(':')
    return socket.AF_INET, (host, int(port))


def may_raise():
    done = subprocess.run(['nice', '-n', '-15', 'true'], capture_output=True, check=False)
    return not SHORT and not done.stderr


RAISE = ['nice', '-n', '-15'] if may_raise() else []


def on_cpu(index):
    """Goes before a command: servers have the last CPU, -1, what loads them the first, 0. None: any.

    Where it is allowed they go before what else the machine does."""
    if UNPINNED or index is None or len(CPUS) == 1:
        return RAISE
    return RAISE + ['taskset', '-c', str(CPUS[index])]


def load(gate, address, *options, connections=64, seconds=None, requests=None, cpu=0):
    """Runs gateload; its figures as a dictionary. Every wrong answer is a fault."""
    protocol, _, keep = gate.partition('+')
    amount = ['-n', requests] if requests else ['-d', seconds or SECONDS]
    command = on_cpu(cpu) + [BIN / 'gateload', '-P', protocol, '-a', address,
                                   '-c', connections, *amount, *(['-k'] if keep else []), *options]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=300, check=False)
    if done.returncode != 0:
        raise Fault(f'{gate}: gateload: {done.stdout}{done.stderr}')
    return {key: float(value) for key, _, value in
            (word.partition('=') for word in done.stdout.split())}


def median(values):
    return statistics.median(values) if values else None


def say(text):
    print(text, flush=True)
