"""A web server with what clients and package managers fetch: web.py DIRECTORY CERTIFICATE KEY TLS-PORT PLAIN-PORT

Makes the files, says `ready` when it listens, and ends when its standard input does.
"""

import base64
import hashlib
import http.server
import io
import json
import os
import socket
import ssl
import sys
import tarfile
import threading
import zipfile

directory, certificate, key, tls_port, plain_port = sys.argv[1:]


def write(path, content):
    path = os.path.join(directory, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())


def wheel(name, requires=()):
    """A Python package with one module."""
    information = f"{name}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n" + "".join(f"Requires-Dist: {r}\n" for r in requires)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(f"{name}.py", f"HELLO = 'hello from {name}'\n")
        file.writestr(f"{information}/METADATA", metadata)
        file.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{information}/RECORD", "")
    return packed.getvalue()


def tarball(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as file:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            file.addfile(entry, io.BytesIO(content.encode()))
    return packed.getvalue()


def python_index():
    """PEP 503: a page per package, with links to its files; those of `elsewhere` are on another host."""
    for name, requires in (("tinywheel", []), ("needy", ["elsewhere"])):
        file = f"{name}-1.0-py3-none-any.whl"
        write(f"files/{file}", wheel(name, requires))
        write(f"simple/{name}/index.html", f'<a href="/files/{file}">{file}</a>')
    file = "elsewhere-1.0-py3-none-any.whl"
    write(f"files/{file}", wheel("elsewhere"))
    write("simple/elsewhere/index.html", f'<a href="https://other.test:{tls_port}/files/{file}">{file}</a>')


def npm_registry():
    """A document per package; `nosy` reaches for another host when it is installed."""
    nosy = f"""const file = require('fs').openSync(process.env.INIT_CWD + '/nosy', 'w');
const say = (text) => require('fs').writeSync(file, text.trim() + '\\n');
fetch('http://other.test:{plain_port}/hello').then((a) => a.text()).then(say, () => say('refused'));
"""
    for name, more, host in (
        ("tiny", {}, "allowed.test"),
        ("nosy", {"scripts": {"install": "node nosy.js"}}, "allowed.test"),
        ("faraway", {}, "other.test"),
    ):
        package = {"name": name, "version": "1.0.0", **more}
        packed = tarball({
            "package/package.json": json.dumps(package),
            "package/index.js": f"module.exports = 'hello from {name}';\n",
            "package/nosy.js": nosy,
        })
        write(f"npm-files/{name}-1.0.0.tgz", packed)
        package["dist"] = {
            "tarball": f"https://{host}:{tls_port}/npm-files/{name}-1.0.0.tgz",
            "integrity": "sha512-" + base64.b64encode(hashlib.sha512(packed).digest()).decode(),
        }
        document = {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": package}}
        write(f"npm/{name}", json.dumps(document))


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments):
        super().__init__(*arguments, directory=directory)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    context = None

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def finish_request(self, request, client):
        # Here, not while accepting: a client that says nothing must not keep the others waiting.
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client)

    def handle_error(self, *_):
        pass


write("hello", "hello from the web\n")
python_index()
npm_registry()
plain = Server(("::", int(plain_port)), Handler)
tls = Server(("::", int(tls_port)), Handler)
tls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.context.load_cert_chain(certificate, key)
for server in (plain, tls):
    threading.Thread(target=server.serve_forever, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
