"""One attempt to reach something, and on standard output one word about how it ended.

attempt.py TOKEN [NAME=VALUE...] VERB ARGUMENT...

The token goes with everything that is sent, so that whoever gets it knows what arrived; TOKEN in an argument stands for it.
Leading assignments change the environment; an empty value removes the variable. `reached` means that an answer with the
token came back. The same attempt is made inside a run and outside.
"""

import ctypes
import errno
import os
import socket
import struct
import sys
import urllib.error
import urllib.parse
import urllib.request

PATIENCE = 20
# A datagram that nobody answers cannot be told from one that is late; on a loopback device late is milliseconds.
SILENCE = 1.5


def proxy():
    """The HTTP proxy that the environment names, or nothing."""
    url = os.environ.get("HTTPS_PROXY")
    return urllib.parse.urlsplit(url).netloc.rsplit(":", 1) if url else None


def open_tcp(host, port, kind=socket.SOCK_STREAM, protocol=0):
    """Connects to the first address of the host."""
    found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
    stream = socket.socket(found[0], kind, protocol)
    stream.settimeout(PATIENCE)
    stream.connect(found[4])
    return stream


def exchange(stream):
    """Sends the token to a server that sends everything back."""
    stream.sendall(token.encode() + b"\n")
    answer = stream.recv(4096)
    return "reached" if token.encode() in answer else f"answered {answer!r}" if answer else "closed"


def tcp(host, port):
    return exchange(open_tcp(host, port))


def hello(name):
    """A ClientHello that carries the token as its application protocol."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([token])
    sent = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=None if name == "none" else name).do_handshake()
    except ssl.SSLWantReadError:
        return sent.read()


def greet(stream, name):
    """Sends a ClientHello to a server that sends everything back."""
    stream.sendall(hello(name))
    answer = stream.recv(4096)
    if token.encode() in answer:
        return "reached"
    return f"alert {answer[6]}" if answer[:1] == b"\x15" else f"answered {answer!r}" if answer else "closed"


def tls(host, port, name):
    return greet(open_tcp(host, port), name)


def http(host, port, named=None):
    """A request to a server itself, without any proxy."""
    stream = open_tcp(host, port)
    return ask(stream, f"GET /{token}", named or host)


def ask(stream, request, host):
    stream.sendall(f"{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    answer = b""
    while part := stream.recv(4096):
        answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    if token.encode() in body and b" 200 " in head:
        return "reached"
    reason = [line.split(b": ")[1].decode() for line in head.lower().split(b"\r\n") if b"x-ringfence-reason" in line]
    return " ".join([head.split(b" ")[1].decode(), *reason]) if head else "closed"


def tunnel(target):
    """A connection to HOST:PORT, by CONNECT where there is a proxy. An answer in place of the connection if refused."""
    host, _, port = target.rpartition(":")
    if not proxy():
        return open_tcp(host.strip("[]"), port), None
    stream = open_tcp(*proxy())
    stream.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        part = stream.recv(4096)
        if not part:
            return None, "closed"
        answer += part
    if b" 200 " in answer.split(b"\r\n")[0]:
        return stream, None
    reason = [line.split(b": ")[1].decode() for line in answer.split(b"\r\n") if b"x-ringfence-reason" in line.lower()]
    return None, " ".join([answer.split(b" ")[1].decode(), *reason])


def connect(target, name=None):
    """CONNECT, then the token, or a ClientHello for that name."""
    stream, refusal = tunnel(target)
    return refusal or (greet(stream, name) if name else exchange(stream))


def connect_http(target, host):
    """CONNECT to a plain HTTP port, then a request that names a host of its own."""
    stream, refusal = tunnel(target)
    return refusal or ask(stream, f"GET /{token}", host)


def absolute(url, host):
    """A request in absolute form that names a host of its own in its Host field."""
    if not proxy():
        return http(host, 80)
    return ask(open_tcp(*proxy()), f"GET {url}{token}", host)


def socks(host, port):
    """SOCKS5 with a domain name, on the port of the proxy; a direct connection where there is none."""
    if not proxy():
        return tcp(host, port)
    stream = open_tcp(*proxy())
    stream.sendall(b"\x05\x01\x00")
    stream.recv(2)
    stream.sendall(b"\x05\x01\x00\x03" + bytes([len(host)]) + host.encode() + struct.pack(">H", int(port)))
    reply = stream.recv(10)
    return exchange(stream) if reply[1] == 0 else f"socks {reply[1]}"


def get(url):
    """As an ordinary program does it: by the environment, following redirects."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return "reached" if token.encode() in answer.read() else "answered"
    except urllib.error.HTTPError as refusal:
        return f"{refusal.code} {refusal.headers.get('x-ringfence-reason')}"
    except urllib.error.URLError as failure:
        raise failure.reason


def until_end(target):
    """A tunnel that is used, and used again until it ends."""
    stream, refusal = tunnel(target)
    return refusal or last(stream)


def until_end_direct(host, port):
    return last(open_tcp(host, port))


def last(stream):
    outcome = exchange(stream)
    print(outcome, flush=True)
    stream.settimeout(PATIENCE)
    stream.sendall(b"more")
    return "answered" if stream.recv(4096) else "closed"


def udp(host, port):
    found = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    sock = socket.socket(found[0], socket.SOCK_DGRAM)
    sock.settimeout(SILENCE)
    if found[4][0] in ("255.255.255.255", "198.19.255.255"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.sendto(token.encode(), found[4])
    return "reached" if token.encode() in sock.recv(4096) else "answered"


def udp_connected(host, port):
    """A connected socket gets the errors that ICMP reports."""
    found = socket.getaddrinfo(host, int(port), type=socket.SOCK_DGRAM)[0]
    sock = socket.socket(found[0], socket.SOCK_DGRAM)
    sock.settimeout(SILENCE)
    sock.connect(found[4])
    sock.send(token.encode())
    return "reached" if token.encode() in sock.recv(4096) else "answered"


def question(kind, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    number = {"A": 1, "CNAME": 5, "NULL": 10, "TXT": 16, "AAAA": 28, "HTTPS": 65, "ANY": 255, "AXFR": 252}[kind]
    return b"\x4a\x4a\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00" + labels + b"\x00" + struct.pack(">HH", number, 1)


def dns(server, transport, kind, name):
    """A question to a name server; `system` is the one of resolv.conf."""
    if server == "system":
        with open("/etc/resolv.conf") as file:
            server = next(line.split()[1] for line in file if line.startswith("nameserver"))
    asked = question(kind, name)
    if transport == "udp":
        sock = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(SILENCE)
        sock.sendto(asked, (server, 53))
        answer = sock.recv(4096)
    else:
        stream = open_tcp(server, 53)
        stream.sendall(struct.pack(">H", len(asked)) + asked)
        answer = stream.recv(4096)[2:]
    if answer[3] & 15:
        return f"rcode {answer[3] & 15}"
    if not struct.unpack(">H", answer[6:8])[0]:
        return "no record"
    # Synthetic addresses are the run's own, and tell nothing but that the name is allowed.
    return "synthetic" if kind == "A" and answer[-4:-2] in (b"\xc6\x12", b"\xc6\x13") else "reached"


def lookup(name):
    """The C library's resolver."""
    address = socket.getaddrinfo(name, None, socket.AF_INET)[0][4][0]
    return "synthetic" if address.startswith(("198.18.", "198.19.")) else "reached"


def aliased(alias, name):
    """The C library's resolver, with a file that makes one name stand for another (HOSTALIASES of gethostbyname(3))."""
    with open("aliases", "w") as file:
        file.write(f"{alias} {name}\n")
    os.environ["HOSTALIASES"] = os.path.abspath("aliases")
    libc = ctypes.CDLL(None)
    libc.gethostbyname.restype = ctypes.c_void_p
    return "reached" if libc.gethostbyname(alias.encode()) else "no-name"


def ping(address):
    """An echo request on a socket of ping(8)'s unprivileged kind."""
    six = ":" in address
    sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM, 58 if six else 1)
    return echo_request(sock, address, 128 if six else 8)


def raw(address):
    """An echo request on a raw socket."""
    return echo_request(socket.socket(socket.AF_INET, socket.SOCK_RAW, 1), address, 8)


def echo_request(sock, address, kind):
    payload = token.encode() + b"\0" * (len(token) % 2)
    message = struct.pack(">BBHHH", kind, 0, 0, 1, 1) + payload
    total = sum(struct.unpack(f">{len(message) // 2}H", message))
    total = (total & 0xFFFF) + (total >> 16)
    message = message[:2] + struct.pack(">H", ~(total + (total >> 16)) & 0xFFFF) + message[4:]
    sock.settimeout(SILENCE)
    sock.sendto(message, (address, 0))
    return "reached" if token.encode() in sock.recv(4096) else "answered"


def made(family, kind, protocol=0):
    """Only makes a socket: what cannot be made cannot send."""
    socket.socket(int(family), int(kind), int(protocol)).close()
    return "reached"


def packet(device):
    """A frame on the wire itself."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0x0300)
    sock.bind((device, 0))
    sock.send(b"\0" * 12 + b"\x08\x00" + token.encode())
    return "reached"


def mptcp(host, port):
    return exchange(open_tcp(host, port, protocol=262))


def sctp(host, port):
    return exchange(open_tcp(host, port, protocol=132))


def dccp(host, port):
    return exchange(open_tcp(host, port, kind=6, protocol=33))


def fast_open(host, port):
    """Data in the first segment (MSG_FASTOPEN), without connect(2)."""
    stream = socket.socket()
    stream.sendto(token.encode() + b"\n", 0x20000000, (host, int(port)))
    stream.settimeout(PATIENCE)
    return "reached" if token.encode() in stream.recv(4096) else "closed"


def fast_open_message(host, port):
    stream = socket.socket()
    stream.sendmsg([token.encode() + b"\n"], [], 0x20000000, (host, int(port)))
    stream.settimeout(PATIENCE)
    return "reached" if token.encode() in stream.recv(4096) else "closed"


def fast_open_connect(host, port):
    """TCP_FASTOPEN_CONNECT: connect(2) sends nothing until data is written."""
    stream = socket.socket()
    stream.settimeout(PATIENCE)
    stream.setsockopt(socket.IPPROTO_TCP, 30, 1)
    stream.connect((host, int(port)))
    return exchange(stream)


def mapped(address, port):
    """An IPv4 address through an IPv6 socket."""
    stream = socket.socket(socket.AF_INET6)
    stream.settimeout(PATIENCE)
    stream.connect((f"::ffff:{address}", int(port)))
    return exchange(stream)


def bound_to(source, host, port):
    """A connection from a source address of the caller's choice."""
    return exchange(socket.create_connection((host, int(port)), PATIENCE, (source, 0)))


def to_device(device, host, port):
    """A connection bound to a device (SO_BINDTODEVICE)."""
    stream = socket.socket()
    stream.settimeout(SILENCE)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
    stream.connect((host, int(port)))
    return exchange(stream)


def vsock(cid, port):
    """The line between a virtual machine and its host, which is 2."""
    stream = socket.socket(socket.AF_VSOCK)
    stream.settimeout(SILENCE)
    stream.connect((int(cid), int(port)))
    return "reached"


def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)


def netlink(message, flags, body):
    """A request of rtnetlink(7), and its answer."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    sock.send(struct.pack("=IHHII", 16 + len(body), message, 0x5 | flags, 1, 0) + body)
    answer = sock.recv(65536)
    failed = -struct.unpack("=i", answer[16:20])[0]
    if failed:
        raise OSError(failed, os.strerror(failed))
    return "reached"


def route(destination, length):
    """A route to a destination over the loopback device, in a table that nothing uses (RTM_NEWROUTE)."""
    index = socket.if_nametoindex("lo")
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, int(length), 0, 0, 77, 4, 253, 1, 0)
    if int(length):
        body += attribute(1, socket.inet_aton(destination))
    return netlink(24, 0x500, body + attribute(4, struct.pack("=I", index)))


def address(new):
    """An address for the loopback device (RTM_NEWADDR)."""
    index = socket.if_nametoindex("lo")
    packed = socket.inet_aton(new)
    return netlink(20, 0x500, struct.pack("=BBBBI", socket.AF_INET, 32, 0, 254, index) + attribute(2, packed))


def device(kind):
    """A new network device (RTM_NEWLINK)."""
    information = attribute(18, attribute(1, kind.encode()))
    name = attribute(3, token[-12:].encode() + b"\0")
    return netlink(16, 0x600, struct.pack("=BBHiII", 0, 0, 0, 0, 0, 0) + name + information)


def tun():
    """A device whose packets a program writes (TUNSETIFF)."""
    import fcntl

    file = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(file, 0x400454CA, struct.pack("16sH22x", token[-12:].encode(), 0x1001))
    return "reached"


def bind(host, port, *options):
    """Takes an address to wait for connections on."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    for option in options:
        sock.setsockopt(socket.SOL_SOCKET, getattr(socket, option), 1)
    sock.bind((host, int(port)))
    if not options or options[-1] != "SO_REUSEPORT":
        sock.listen()
    return "reached"


def bind_only(host, port):
    """Takes an address without waiting for connections, which alone makes it reachable for nobody."""
    sock = socket.socket()
    sock.bind((host, int(port)))
    return "reached"


def listen():
    """Waits for connections without an address, for which the kernel then chooses a port."""
    sock = socket.socket()
    sock.listen()
    return "reached"


def unix(path, kind="stream"):
    """A Unix socket; @ is an abstract one."""
    kinds = {"stream": socket.SOCK_STREAM, "seqpacket": socket.SOCK_SEQPACKET}
    sock = socket.socket(socket.AF_UNIX, kinds[kind])
    sock.settimeout(PATIENCE)
    sock.connect("\0" + path[1:] if path.startswith("@") else path)
    return exchange(sock)


def write(path):
    """Adds a comment to a file of the system's name resolution."""
    with open(path, "a") as file:
        file.write(f"# {token}\n")
    return "reached"


def namespace(path):
    """Joins the network namespace of another process (setns(2))."""
    file = os.open(path, os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(file, 0x40000000):
        raise OSError(ctypes.get_errno(), "setns")
    return "reached"


def word(failure):
    """One word for what the system said."""
    if isinstance(failure, socket.gaierror):
        return "no-name"
    if isinstance(failure, TimeoutError):
        return "silence"
    if isinstance(failure, ConnectionResetError):
        return "reset"
    return errno.errorcode.get(failure.errno, str(failure.errno))


token, arguments = sys.argv[1], sys.argv[2:]
while "=" in arguments[0]:
    name, value = arguments.pop(0).split("=", 1)
    os.environ.pop(name, None)
    if value:
        os.environ[name] = value
arguments = [argument.replace("TOKEN", token) for argument in arguments]
try:
    print(globals()[arguments[0].replace("-", "_")](*arguments[1:]))
except OSError as failure:
    print(word(failure))
