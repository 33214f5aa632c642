"""One figure of one server: a round of load, and a count of its system calls."""
import pathlib
import re
import shutil
import signal
import subprocess
import time

from . import tools

CALLS_SECONDS = 0.1 if tools.SHORT else 0.5
COLUMNS = ['cpu_us', 'user_us', 'system_us', 'front_us', 'rps', 'p50_us', 'p99_us', 'p999_us', 'switches']


def load_round(server, gate, options=(), front=None, **how):
    """Loads a server, through the one before it or itself; what each request has taken of it."""
    before, switches = server.cpu(), server.switches()
    front_before = front.cpu()[0] if front else None
    figures = tools.load(gate, (front or server).address, *options, **how)
    front_seconds = front.cpu()[0] - front_before if front else None
    seconds, user, system = (after - one for after, one in zip(server.cpu(), before))
    requests = figures['requests']
    cpu = seconds * 1e6 / requests
    share = user / (user + system) if user + system else 0
    return {
        'front_us': front_seconds * 1e6 / requests if front else None,
        'cpu_us': cpu, 'user_us': cpu * share, 'system_us': cpu * (1 - share),
        'rps': figures['rps'], 'p50_us': figures['p50_us'], 'p99_us': figures['p99_us'],
        'p999_us': figures['p999_us'], 'switches': (server.switches() - switches) / requests,
    }


def rounds(entries, count=None):
    """Rounds of several, interleaved, each time in another order: their medians, and all `rounds`.

    `entries`: name -> a function that measures one round and returns a dictionary.
    """
    results = {name: [] for name in entries}
    names = list(entries)
    for turn in range(count or tools.ROUNDS):
        at = turn % len(names)
        for name in names[at:] + names[:at]:
            results[name].append(entries[name]())
    return {name: {key: tools.median([one[key] for one in got if one[key] is not None])
                   for key in got[0]} | {'rounds': got}
            for name, got in results.items()}


def ratio(one, other, name='cpu_us'):
    """Of two results of rounds(): the median of each round's ratio. What disturbs the machine for
    longer than a round, disturbs both."""
    ratios = [ours[name] / theirs[name] for ours, theirs in zip(one['rounds'], other['rounds'])
              if ours[name] is not None and theirs[name]]
    return tools.median(ratios)


# ---- system calls ----

def is_traced(pid):
    return all('TracerPid:\t0' not in status.read_text()
               for status in pathlib.Path(f'/proc/{pid}/task').glob('*/status'))


def system_calls(server, gate, options=()):
    """System calls for each request, by name; None where there is no strace, or it may not."""
    if not shutil.which('strace'):
        return None
    pids = server.pids()
    summary = tools.directory() / 'strace'
    tracer = subprocess.Popen(
        ['strace', '-f', '-c', '-U', 'calls,name', '-o', str(summary),
         *(word for pid in pids for word in ('-p', str(pid)))],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not all(is_traced(pid) for pid in pids):
            if tracer.poll() is not None:
                return None
            time.sleep(0.01)
        requests = tools.load(gate, server.address, *options, seconds=CALLS_SECONDS)['requests']
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    calls = re.findall(r'^\s*(\d+) (\w+)$', summary.read_text(), re.M)
    return {name: int(count) / requests for count, name in calls if name != 'total'}
