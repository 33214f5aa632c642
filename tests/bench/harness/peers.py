"""The servers: anygate, its floors, and what others use; each answers hello on the gates it has."""
import os
import shutil

from . import tools
from .server import Server

CLOSE = ['fastcgi', 'scgi', 'uwsgi', 'http']
HTTP = ['http+keep', 'http']
PEERS = tools.HERE / 'peers'
BUILT = tools.BIN / 'peers'
PATH = os.environ['PATH'] + ':/usr/sbin:/sbin'


def protocol_of(gate):
    return gate.partition('+')[0]


def path_of(address):
    return address[5:] if address.startswith('unix:') else address


def write(name, text, mode=0o644):
    path = tools.directory() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def copy_parameters(name):
    """nginx's own file of variables, beside our settings."""
    path = tools.directory() / name
    if not path.exists():
        shutil.copy(f'/etc/nginx/{name}', path)


def nginx_user():
    """Started by root it would take a user who may not enter our directory."""
    return 'user root;\n' if os.geteuid() == 0 else ''


# ---- commands ----

def floor(gate, address, *options):
    keep = ['-k'] if gate.endswith('+keep') else []
    return [tools.BIN / 'floor', '-P', protocol_of(gate), '-a', address, *keep, *options]


def floor_blocking(gate, address):
    return floor(gate, address, '-b')


def anygate(gate, address, *options, app='hello', workers=1):
    return [tools.ANYGATE, '-w', workers, '-l', f'{protocol_of(gate)}={address}', *options, app]


def uwsgi(gate, address, *options):
    return ['uwsgi-core', '--die-on-term', '--disable-logging', '--processes', 1, '--listen', 1024,
            f'--{protocol_of(gate)}-socket', path_of(address), *options]


def uwsgi_c(gate, address):
    return uwsgi(gate, address, '--plugin', '0:symcall', '--dlopen', BUILT / 'uwsgi',
                 '--symcall', 'hello')


def uwsgi_python(gate, address):
    return uwsgi(gate, address, '--plugin', 'python3', '--wsgi-file', PEERS / 'hello_wsgi.py')


def libfcgi(gate, address):
    threads = 64 if gate.endswith('+keep') else 1
    return ['spawn-fcgi', '-n', '-s', path_of(address), '-b', 1024, '--', BUILT / 'libfcgi', threads]


def php_fpm(_gate, address):
    settings = write('php-fpm.conf', f'''[global]
error_log = {tools.directory()}/php-fpm.log
daemonize = no
[hello]
listen = {path_of(address)}
listen.backlog = 1024
pm = static
pm.max_children = 1
php_admin_flag[expose_php] = off
''')
    return ['php-fpm8.2', '-y', settings, '-R']


def fcgiwrap(_gate, address):
    return ['fcgiwrap', '-c', 1, '-s', address]


def nginx(_gate, address):
    settings = write('nginx-hello.conf', f'''{nginx_user()}daemon off; worker_processes 1; pid {tools.directory()}/n.pid;
events {{ worker_connections 20000; }}
http {{ access_log off; keepalive_requests 100000000; default_type text/plain;
server {{ listen {address} backlog=1024; return 200 "Hello, world\\n"; }} }}
''')
    return ['nginx', '-e', 'stderr', '-p', tools.directory(), '-c', settings]


def lighttpd(_gate, address):
    write('docs/shop/items', 'Hello, world\n')
    where = (f'server.bind = "{path_of(address)}"' if address.startswith('unix:') else
             'server.bind = "{0}"\nserver.port = {2}'.format(*address.rpartition(':')))
    settings = write('lighttpd.conf', f'''{where}
server.document-root = "{tools.directory()}/docs"
server.max-keep-alive-requests = 100000000
server.max-keep-alive-idle = 75
server.max-fds = 16384
server.max-connections = 15000
server.listen-backlog = 1024
mimetype.assign = ( "" => "text/plain" )
''')
    return ['lighttpd', '-D', '-f', settings]


def gunicorn(gate, address):
    worker = ['gthread', '--threads', 4] if gate.endswith('+keep') else ['sync']
    return ['gunicorn', '-w', 1, '-b', address, '--backlog', 1024, '--keep-alive', 75,
            '--worker-class', *worker, '--chdir', PEERS, 'hello_wsgi:application']


def tornado(_gate, address):
    return ['/usr/bin/python3', '-B', PEERS / 'hello_tornado.py', address]


def microhttpd(_gate, address):
    return [BUILT / 'microhttpd', address]


def evhttp(_gate, address):
    return [BUILT / 'evhttp', address]


# ---- the table ----

class Peer:
    def __init__(self, name, gates, command, program=None, script=None, tcp=False):
        self.name, self.gates, self.command = name, gates, command
        self.program, self.script, self.tcp = program, script, tcp

    def is_here(self):
        """Whether it can be started; where it cannot, the table goes without it."""
        return (self.program is None or os.path.exists(self.program) or
                shutil.which(self.program, path=PATH) is not None)

    def start(self, gate, transport='unix'):
        address = tools.new_address(transport)
        return Server(self.name, self.command(gate, address), address,
                      env={'PYTHONDONTWRITEBYTECODE': '1'})

    def options(self):
        """What gateload must say besides."""
        if not self.script:
            return []
        file = tools.directory() / f'{self.name}.{self.script.suffix}'
        shutil.copy(self.script, file)
        file.chmod(0o755)
        return ['-s', file]


OURS = [
    Peer('anygate', tools.GATES, anygate, tcp=True),
    Peer('floor', tools.GATES, floor, tcp=True),
    Peer('blocking floor', CLOSE, floor_blocking),
]
OTHERS = [
    Peer('uWSGI (C)', CLOSE, uwsgi_c, 'uwsgi-core'),
    Peer('uWSGI (Python)', CLOSE, uwsgi_python, 'uwsgi-core'),
    Peer('libfcgi', ['fastcgi+keep', 'fastcgi'], libfcgi, 'spawn-fcgi'),
    Peer('php-fpm', ['fastcgi'], php_fpm, 'php-fpm8.2', PEERS / 'hello.php'),
    Peer('fcgiwrap', ['fastcgi'], fcgiwrap, 'fcgiwrap', BUILT / 'cgi'),
    Peer('nginx', HTTP, nginx, 'nginx', tcp=True),
    Peer('lighttpd', HTTP, lighttpd, 'lighttpd', tcp=True),
    Peer('libmicrohttpd', HTTP, microhttpd, BUILT / 'microhttpd', tcp=True),
    Peer('evhttp', HTTP, evhttp, BUILT / 'evhttp', tcp=True),
    Peer('gunicorn', HTTP, gunicorn, 'gunicorn'),
    Peer('Tornado', HTTP, tornado, '/usr/lib/python3/dist-packages/tornado/__init__.py'),
]


def all_peers():
    others = [] if os.environ.get('PEERS') == 'none' else OTHERS
    return OURS + [peer for peer in others if peer.is_here()]
