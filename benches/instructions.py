#!/usr/bin/env python3
"""User-space instructions per request, gateway beside bare Pingora, counted by callgrind.

usage: instructions.py --binaries FOLDER [--requests 2000]

Repeats to about 0.1 %, where CPU time on a shared machine varies by ten: two runs, with n and 5n requests on one
connection, and the difference divided by 4n.
"""
import argparse, os, re, signal, socket, subprocess, sys, tempfile, time

import peers


def count(name, command, port, token, requests, folder):
    out = f"{folder}/{name}.callgrind"
    # glibc's `rep movsb` is counted per byte by callgrind: keep copies in plain moves.
    env = dict(os.environ, GLIBC_TUNABLES="glibc.cpu.x86_rep_movsb_threshold=100000000")
    process = subprocess.Popen(["taskset", "-c", "0", "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"] + command.split(),
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    try:
        if not peers.listening(port, 120):
            sys.exit(f"{name}: nothing listens on {port} under valgrind")
        request = f"GET /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nApproov-Token: {token}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", port), timeout=120) as s:
            for _ in range(requests):
                s.sendall(request)
                got = b""
                while b"\r\n\r\n" not in got:
                    got += s.recv(65536)
                head, _, body = got.partition(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    sys.exit(f"{name}: {head.splitlines()[0].decode()}")
                length = int(re.search(rb"content-length: (\d+)", head, re.I).group(1))
                while len(body) < length:
                    body += s.recv(65536)
        process.send_signal(signal.SIGINT)  # Pingora drains for minutes after a SIGTERM
        process.wait(timeout=400)
    finally:
        peers.stop(process)
    for line in open(out):
        if line.startswith("totals:") or line.startswith("summary:"):
            return int(line.split()[1])
    sys.exit(f"{name}: callgrind wrote no total")


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--binaries", required=True)
    ask.add_argument("--requests", type=int, default=2000)
    args = ask.parse_args()
    folder = tempfile.mkdtemp(prefix="assay-instructions-")
    now = int(time.time())
    token = peers.hs256({"iss": peers.ISSUER, "aud": peers.AUDIENCE, "did": "ExampleApproovTokenDID==", "iat": now, "exp": now + 86400})
    peers.write(f"{folder}/hs.secret", peers.SECRET.decode(), 0o600)
    peers.nginx_config(folder)
    secret = f"keys: {{ secret_file: {folder}/hs.secret, encoding: raw, algorithm: HS256 }}"
    rows = [("bare-pingora", 19010, f"{args.binaries}/bare-pingora 19010 127.0.0.1:{peers.UPSTREAM}"),
            ("assay-hs256", 19011, peers.assay_config(folder, f"{args.binaries}/assay", "hs", 19011, secret))]
    upstream = subprocess.Popen(["nginx", "-c", f"{folder}/up.conf"])
    try:
        if not peers.listening(peers.UPSTREAM):
            sys.exit("the upstream nginx does not start")
        base = None
        for name, port, command in rows:
            # A first start makes what later ones find: a key costs hundreds of millions.
            count(name, command, port, token, 10, folder)
            few, many = (count(name, command, port, token, n, folder) for n in (args.requests, 5 * args.requests))
            each = (many - few) / (4 * args.requests)
            base = base or each
            print(f"{name:<16}{each:>10.0f} instructions a request  {each / base:>6.2f} of bare", flush=True)
    finally:
        peers.stop(upstream)


if __name__ == "__main__":
    main()
