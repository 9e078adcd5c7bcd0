#!/usr/bin/env python3
"""Memory of idle client connections: each sends one request, then rests.

usage: idle.py --assay BINARY [--connections 10000] [--tls]

Starts a gateway without keys before an nginx, opens the connections in steps, sends one request on each, and prints
the gateway's resident memory before and after. Connections and gateway are different processes, so each needs its
own open files: connections + 1000.
"""
import argparse, resource, shutil, socket, ssl, subprocess, sys, tempfile, time

import peers

PORT = 19021
STEP = 100
BUDGETS = {False: 200, True: 350}  # MiB: plaintext, TLS


def config(folder, connections, tls):
    certificate = ""
    if tls:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                        "-subj", "/CN=bench", "-keyout", f"{folder}/tls.key", "-out", f"{folder}/tls.pem"], check=True, capture_output=True)
        certificate = f"tls: {{ certificate: {folder}/tls.pem, key: {folder}/tls.key }}, "
    peers.write(f"{folder}/hs.secret", peers.SECRET.decode(), 0o600)
    peers.write(f"{folder}/assay.yaml", f"""assay: 1
listeners:
  public: {{ address: 127.0.0.1:{PORT}, {certificate}limits: {{ connections: {connections + 1000}, idle_timeout: 10m }} }}
state: {{ dir: state }}
issuers:
  bench:
    profile: jwt
    keys: {{ secret_file: {folder}/hs.secret, encoding: raw, algorithm: HS256 }}
    issuer: {peers.ISSUER}
    audience: {peers.AUDIENCE}
    max_lifetime: 1d
upstreams:
  api: {{ url: "http://127.0.0.1:{peers.UPSTREAM}", private_addresses: [127.0.0.0/8], danger_plaintext_loopback: true }}
routes:
  api:
    match: {{ path: "/**" }}
    upstream: api
    token: {{ issuer: bench }}
    policy: {{ default: block, rules: [{{ name: anyone, when: {{ verdict: any }}, then: deprioritize }}] }}
""")


def opened(connections, tls):
    """Connections that have had an answer each."""
    held = []
    secured = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    secured.check_hostname, secured.verify_mode = False, ssl.CERT_NONE
    for _ in range(0, connections, STEP):
        some = [socket.create_connection(("127.0.0.1", PORT), timeout=20) for _ in range(STEP)]
        if tls:
            some = [secured.wrap_socket(s) for s in some]
        for s in some:
            s.sendall(b"GET /x HTTP/1.1\r\nHost: bench\r\n\r\n")
        for s in some:
            if not s.recv(4096).startswith(b"HTTP/1.1 200"):
                sys.exit("an answer that is not 200")
        held += some
    return held


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--assay", required=True)
    ask.add_argument("--connections", type=int, default=10000)
    ask.add_argument("--tls", action="store_true")
    args = ask.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = args.connections + 1000
    if hard != resource.RLIM_INFINITY and hard < want:
        sys.exit(f"this shell allows {hard} open files; {want} are needed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))
    folder = tempfile.mkdtemp(prefix="assay-idle-")
    config(folder, args.connections, args.tls)
    peers.nginx_config(folder)
    upstream = subprocess.Popen(["nginx", "-c", f"{folder}/up.conf"])
    gateway = subprocess.Popen([args.assay, "gateway", "-c", f"{folder}/assay.yaml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        if not (peers.listening(peers.UPSTREAM) and peers.listening(PORT)):
            sys.exit(f"the gateway does not start: {args.assay} check -c {folder}/assay.yaml tells why")
        before = peers.memory_mib(gateway.pid)
        held = opened(args.connections, args.tls)
        time.sleep(2)
        after = peers.memory_mib(gateway.pid)
        budget = BUDGETS[args.tls]
        word = "reached" if after <= budget else "MISSED"
        print(f"{len(held)} idle {'TLS' if args.tls else 'plaintext'} connections after one request each: {after:.0f} MiB resident ({before:.0f} MiB before, "
              f"{(after - before) * 1024 / len(held):.1f} KiB each; budget {budget} MiB, {word})")
    finally:
        peers.stop(gateway)
        peers.stop(upstream)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
