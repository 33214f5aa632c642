"""A server that is measured: how it starts and ends, and what the kernel says it has used."""
import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time

from . import tools

PATIENCE = 15  # seconds for a server to come up


def tree(pid):
    """A process and its descendants."""
    found = [pid]
    for one in found:
        for task in pathlib.Path(f'/proc/{one}/task').glob('*/children'):
            with contextlib.suppress(OSError):
                found += [int(child) for child in task.read_text().split()]
    return found


def stat_fields(path):
    """Fields of proc(5) stat behind the name, numbered as there."""
    return [0, 0, 0] + path.read_text().rpartition(') ')[2].split()


class Server:
    """Runs from start() to stop(); listens at `address`."""

    def __init__(self, name, command, address, env=None, cpu=-1, pause=0.02):
        self.name, self.address = name, address
        self.log = tools.directory() / f'{name}.{time.monotonic_ns()}.log'
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                tools.on_cpu(cpu) + [str(word) for word in command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=tools.directory(), start_new_session=True,
                env={**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin', **(env or {})})
        try:
            self.await_listening(pause)
        except BaseException:
            self.stop()
            raise

    def connect(self):
        kind, where = tools.socket_address(self.address)
        with socket.socket(kind) as attempt:
            attempt.connect(where)

    def await_listening(self, pause):
        end = time.monotonic() + PATIENCE
        while True:
            if self.process.poll() is not None or time.monotonic() > end:
                raise tools.Fault(f'{self.name} does not come up:\n{self.log.read_text()[-2000:]}')
            try:
                return self.connect()
            except OSError:
                time.sleep(pause)

    def stop(self):
        """Ends the process group, which is ours."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # ---- what it has used ----

    def pids(self):
        return tree(self.process.pid)

    def worker(self):
        """The process that serves: the youngest of the tree."""
        return self.pids()[-1]

    def cpu(self):
        """Seconds of CPU of all processes and their ended children; ticks as user, as system."""
        seconds, user, system = 0.0, 0, 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = [int(one) for one in stat_fields(pathlib.Path(f'/proc/{pid}/stat'))[14:18]]
                seconds += sum(int(path.read_text().split()[0]) for path in
                               pathlib.Path(f'/proc/{pid}/task').glob('*/schedstat')) / 1e9
                seconds += (fields[2] + fields[3]) / os.sysconf('SC_CLK_TCK')
                user += fields[0] + fields[2]
                system += fields[1] + fields[3]
        return seconds, user, system

    def switches(self):
        """Context switches, voluntary and not, of what lives."""
        total = 0
        for pid in self.pids():
            for status in pathlib.Path(f'/proc/{pid}/task').glob('*/status'):
                with contextlib.suppress(OSError):
                    total += sum(int(line.split()[1]) for line in status.read_text().splitlines()
                                 if 'ctxt_switches' in line)
        return total

    def memory(self, pids=None):
        """Bytes of its own, and none of a file: of all processes, or of these. What a fork shares
        counts once."""
        total = 0
        for pid in pids or self.pids():
            with contextlib.suppress(OSError):
                for line in pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
                    if line.startswith(('Pss_Anon:', 'Pss_Shmem:')):
                        total += int(line.split()[1]) * 1024
        return total
