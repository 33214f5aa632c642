"""Hello by WSGI, for uWSGI and gunicorn."""


def application(_environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', '13')])
    return [b'Hello, world\n']
