#!/usr/bin/env python3
"""CPU per request of the gateway and its peers, all doing the same work, in one run.

usage: peers.py --binaries FOLDER [--rounds 15] [--peer-rounds 5] [--seconds 2] [--connections 64] [--only NAME,..]

FOLDER holds assay, bare-pingora and bench-tokens.

The work: check the token in the header Approov-Token (issuer, audience, expiry, HS256 or ES256), add x-api-key,
forward to an nginx that answers 60 bytes of JSON. Each proxy has one worker on processor 0; nginx and wrk share
processor 1. The figure is user + system CPU time of the proxy's processes per answered request. Rounds are
interleaved, so that a drift of the machine hits everybody alike; the median is printed, with the ratio to bare Pingora.
A proxy that isn't installed is left out, and said. Rows:

  *-hs256, *-es256      the same token with every request; assay has seen it before, HAProxy verifies it anew
  *-es256-first         a token that was never seen, with every request
  envoy-cached-*        jwt_authn with its cache
  assay-hs256-guarded   also searches the bodies of answers for the key, as a route with a key does by default
"""
import argparse, base64, hashlib, hmac, importlib.util, json, os, shutil, socket, statistics, subprocess, sys, tempfile, time

UPSTREAM = 19000
SECRET = b"assay-bench-secret-of-64-bytes--assay-bench-secret-of-64-bytes--"
API_KEY = "sk_bench_0123456789abcdef"
ISSUER, AUDIENCE = "https://attest.bench", "bench"


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def hs256(claims):
    head = b64u(json.dumps({"alg": "HS256", "kid": "hs", "typ": "JWT"}).encode()) + "." + b64u(json.dumps(claims).encode())
    return head + "." + b64u(hmac.new(SECRET, head.encode(), hashlib.sha256).digest())


def es256(folder, binaries, count, now):
    """Distinct tokens into a file for wrk. Gives the first of them; the key goes into files as PEM and as a JWK Set."""
    with open(f"{folder}/es.tokens", "w") as out:
        subprocess.run([f"{binaries}/bench-tokens", str(count), ISSUER, AUDIENCE, str(now)], stdout=out, check=True)
    with open(f"{folder}/es.tokens") as lines:
        key_set, token = json.loads(next(lines)), next(lines).strip()
    x, y = (base64.urlsafe_b64decode(key_set["keys"][0][n] + "=") for n in ("x", "y"))
    # SubjectPublicKeyInfo of a P-256 key (RFC 5480): a fixed beginning, then the point.
    der = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\x04" + x + y
    write(f"{folder}/es.pem", f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n")
    write(f"{folder}/es.json", json.dumps(key_set))
    both = [{"kty": "oct", "kid": "hs", "alg": "HS256", "k": b64u(SECRET)}] + key_set["keys"]
    write(f"{folder}/jwks.json", json.dumps({"keys": both}), 0o600)
    # Each run begins where it is told to, so that a warm-up's tokens are not sent again.
    write(f"{folder}/fresh.lua", f"""
local tokens, at = {{}}, 1
function init(arguments)
  at = tonumber(arguments[1])
  for line in io.lines("{folder}/es.tokens") do
    if line:sub(1, 1) ~= "{{" then tokens[#tokens + 1] = line end
  end
end
function request()
  at = at % #tokens + 1
  return "GET /v1/x HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\nApproov-Token: " .. tokens[at] .. "\\r\\n\\r\\n"
end
""")
    return token


def write(path, text, mode=0o644):
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, mode)


def assay_config(folder, assay, name, port, issuer_keys, guard_body="false"):
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
    match: {{ path: "/**" }}
    upstream: api
    key: api
    guard_body: {guard_body}
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
    subprocess.run(put, input=API_KEY.encode(), check=True, capture_output=True)
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


def wrk(port, token, seconds, connections, script=(), arguments=()):
    header = [] if script else ["-H", f"Approov-Token: {token}"]
    out = subprocess.run(["taskset", "-c", "1", "wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}s", *header, *script,
                          f"http://127.0.0.1:{port}/v1/x", *arguments], capture_output=True, text=True).stdout
    lines = [l.split() for l in out.splitlines() if l.strip()]
    count = next((int(l[0]) for l in lines if len(l) > 2 and l[1] == "requests" and l[2] == "in"), 0)
    bad = next((int(l[-1]) for l in lines if l[0] == "Non-2xx"), 0)
    p99 = next((l[1] for l in lines if l[0] == "99%"), "?")
    return count, bad, p99


def find_envoy():
    """The program itself: the Python package's command of that name only starts it."""
    package = importlib.util.find_spec("envoy")
    inside = package and package.submodule_search_locations and f"{package.submodule_search_locations[0]}/_bin/envoy"
    return inside if inside and os.path.exists(inside) else shutil.which("envoy")


FRESH = 120_000  # tokens: more than any proxy here gets through in a round


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--binaries", required=True)
    ask.add_argument("--rounds", type=int, default=15)
    ask.add_argument("--peer-rounds", type=int, default=5, help="rounds in which nginx, HAProxy and Envoy take part too")
    ask.add_argument("--seconds", type=int, default=2)
    ask.add_argument("--connections", type=int, default=64)
    ask.add_argument("--only", default="")
    args = ask.parse_args()
    folder = tempfile.mkdtemp(prefix="assay-peers-")
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "did": "ExampleApproovTokenDID==", "iat": now, "exp": now + 86400}
    tokens = {"hs256": hs256(claims), "es256": es256(folder, args.binaries, FRESH, now)}
    write(f"{folder}/hs.secret", SECRET.decode(), 0o600)
    nginx_config(folder)
    haproxy_config(folder)
    envoy_config(folder)
    assay = f"{args.binaries}/assay"
    secret = f"keys: {{ secret_file: {folder}/hs.secret, encoding: raw, algorithm: HS256 }}"
    public = f"keys: {{ jwks_file: {folder}/es.json }}"
    with_hs, with_es = (assay_config(folder, assay, n, p, k) for n, p, k in (("hs", 19011, secret), ("es", 19012, public)))
    guarded = assay_config(folder, assay, "guarded", 19013, secret, guard_body="true")
    rows = [("bare-pingora", 19010, f"{args.binaries}/bare-pingora 19010 127.0.0.1:{UPSTREAM}", "hs256"),
            ("assay-hs256", 19011, with_hs, "hs256"), ("assay-es256", 19012, with_es, "es256"),
            ("assay-hs256-guarded", 19013, guarded, "hs256"), ("assay-es256-first", 19012, with_es, "es256")]
    if shutil.which("nginx"):
        rows.append(("nginx-bare", 19001, f"nginx -c {folder}/bare.conf", "hs256"))
    if shutil.which("haproxy"):
        ha = f"haproxy -f {folder}/haproxy.cfg"
        rows += [("haproxy-bare", 19002, ha, "hs256"), ("haproxy-hs256", 19003, ha, "hs256"), ("haproxy-es256", 19004, ha, "es256"),
                 ("haproxy-es256-first", 19004, ha, "es256")]
    envoy = find_envoy()
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
        for round_ in range(args.rounds):
            for name, port, command, alg in rows:
                if round_ >= args.peer_rounds and not name.startswith(("bare", "assay")):
                    continue
                load = lambda seconds, begin: wrk(port, tokens[alg], seconds, args.connections, *(
                    (("-s", f"{folder}/fresh.lua"), ("--", str(begin))) if name.endswith("first") else ()))
                log = open(f"{folder}/{name}.log", "wb")
                process = subprocess.Popen(["taskset", "-c", "0"] + command.split(), stdout=log, stderr=log)
                try:
                    if not listening(port):
                        sys.exit(f"{name}: nothing listens on {port}; see {folder}/{name}.log")
                    load(1, 0)
                    before = cpu_seconds(process.pid)
                    count, bad, p99 = load(args.seconds, FRESH // 3)
                    used = cpu_seconds(process.pid) - before
                    if bad or not count:
                        sys.exit(f"{name}: {bad} of {count} answers were not 2xx; see {folder}/{name}.log")
                    got[name].append((used * 1e6 / count, count / args.seconds, p99, memory_mib(process.pid)))
                finally:
                    stop(process)
    finally:
        stop(upstream)
    table(rows, got)
    shutil.rmtree(folder, ignore_errors=True)


def table(rows, got):
    median = lambda name: statistics.median(r[0] for r in got[name])
    base = rows[0][0]
    print(f"{'proxy':<22}{'us CPU/request':>15}{'of ' + base:>18}{'min..max':>16}{'req/s':>9}{'p99':>9}{'MiB':>6}")
    for name, *_ in rows:
        cost = sorted(r[0] for r in got[name])
        middle = sorted(got[name])[len(got[name]) // 2]
        print(f"{name:<22}{median(name):>15.2f}{median(name) / median(base):>18.2f}"
              f"{f'{cost[0]:.1f}..{cost[-1]:.1f}':>16}{middle[1]:>9.0f}{middle[2]:>9}{middle[3]:>6.0f}")
    print()
    for one, other, budget in BUDGETS:
        if got.get(one) and got.get(other):
            # The ratio within each round, so that what slowed both down cancels out.
            ratios = [a[0] / b[0] for a, b in zip(got[one], got[other])]
            ratio = statistics.median(ratios)
            word = "reached" if ratio <= budget else "MISSED"
            print(f"{one} / {other}: {ratio:.3f} (budget {budget:.2f}, {word})")


# What the design asks for: this, of that, at most.
BUDGETS = [("assay-hs256", "bare-pingora", 1.10), ("assay-es256", "bare-pingora", 1.10), ("assay-hs256", "haproxy-hs256", 1.00),
           ("assay-hs256", "envoy-cached-hs256", 0.50), ("assay-es256-first", "haproxy-es256-first", 0.70)]


if __name__ == "__main__":
    main()
