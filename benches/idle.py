#!/usr/bin/env python3
"""Memory of idle client connections: each sends one request, then rests.

usage: idle.py --assay BINARY [--connections 10000]

Starts a gateway without keys before a small upstream, opens the connections in steps, sends one request on each,
and prints the process's resident memory before and after.
"""
import argparse, http.server, os, resource, socket, subprocess, sys, tempfile, threading, time

PORT, UPSTREAM = 19021, 19020


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


def rss_mib(pid):
    return next(int(l.split()[1]) for l in open(f"/proc/{pid}/status") if l.startswith("VmRSS")) / 1024


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--assay", required=True)
    ask.add_argument("--connections", type=int, default=10000)
    args = ask.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = args.connections + 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (want if hard == resource.RLIM_INFINITY else min(want, hard), hard))
    if hard != resource.RLIM_INFINITY and hard < want:
        sys.exit(f"this shell allows {hard} open files; {want} are needed (ulimit -n)")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", UPSTREAM), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    folder = tempfile.mkdtemp(prefix="assay-idle-")
    with open(f"{folder}/assay.yaml", "w") as f:
        f.write(f"""assay: 1
listeners:
  public: {{ address: 127.0.0.1:{PORT}, limits: {{ connections: {args.connections + 1000}, idle_timeout: 10m }} }}
state: {{ dir: state }}
upstreams:
  api: {{ url: "http://127.0.0.1:{UPSTREAM}", private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }}
routes:
  api:
    match: {{ path: "/**" }}
    upstream: api
    policy: {{ default: block, rules: [{{ name: anyone, when: {{ verdict: any }}, then: deprioritize }}] }}
""")
    gateway = subprocess.Popen([args.assay, "gateway", "-c", f"{folder}/assay.yaml"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(400):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", PORT)) == 0:
                    break
            time.sleep(0.05)
        else:
            sys.exit("the gateway does not start")
        before = rss_mib(gateway.pid)
        open_ones = []
        for _ in range(args.connections):
            s = socket.create_connection(("127.0.0.1", PORT), timeout=20)
            s.sendall(b"GET /x HTTP/1.1\r\nHost: bench\r\n\r\n")
            if not s.recv(4096).startswith(b"HTTP/1.1 200"):
                sys.exit("an answer that is not 200")
            open_ones.append(s)
        time.sleep(2)
        after = rss_mib(gateway.pid)
        n = len(open_ones)
        print(f"{n} idle connections after one request each: {after:.0f} MiB resident ({before:.0f} MiB before; {(after - before) * 1024 / n:.1f} KiB each)")
    finally:
        gateway.kill()
        gateway.wait()


if __name__ == "__main__":
    main()
