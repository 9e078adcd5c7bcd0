#!/usr/bin/env python3
"""Attested traffic under a flood of unattested: an upstream of fixed capacity, open-loop load, each proxy in turn.

usage: overload.py --binaries FOLDER [--seconds 20] [--slow-seconds 60] [--only NAME,..] [--svg FILE] [--json FILE]

FOLDER holds assay, bare-pingora, bench-capacity and bench-flood.

The upstream has 50 workers and an exponential service time of 20 ms on average: 2,500 requests a second. Requests leave at
moments drawn beforehand (Poisson), whatever became of earlier ones, and count as served with a 200 within one second of
that moment. 200 installations with tokens of their own on 200 addresses; the flood comes from 400 other addresses. Each
load is run without the flood first, by the same proxy: ratios are against that. The proxy has processor 0; upstream and
load share processor 1.

  none             forwards everything (bare Pingora)
  static-limit     Assay with no limit of concurrency: unattested requests limited to 500 a second in all
  haproxy          maxconn 50, verified token = higher priority class, 500 ms in the queue at most
  assay            concurrency: 50
  assay-adaptive   concurrency: adaptive
"""
import argparse, json, os, shutil, statistics, subprocess, sys, tempfile, time, urllib.request
from peers import AUDIENCE, ISSUER, SECRET, hs256, listening, stop, write

UPSTREAM, PROXY = 19100, 19101
WORKERS, MEAN_MS = 50, 20
CAPACITY = WORKERS * 1000 // MEAN_MS
INSTALLATIONS, FLOODERS = 200, 400
# name, genuine and unattested load as shares of the capacity, budgets: attested served, attested p99, unattested served
LOADS = [("0.5 genuine + 3 unattested", 0.5, 3.0, 0.99, 1.2, None),
         ("0.9 genuine + 2 unattested", 0.9, 2.0, 0.99, 1.5, None),
         ("night: 0.08 genuine + 0.8 unattested", 0.08, 0.8, 0.999, 1.2, 0.98)]
PROXIES = ["none", "static-limit", "haproxy", "assay", "assay-adaptive"]


def assay_config(folder, name, concurrency, unattested):
    home = f"{folder}/{name}"
    os.makedirs(home)
    write(f"{home}/hs.secret", SECRET.decode(), 0o600)
    write(f"{home}/assay.yaml", f"""assay: 1
listeners:
  public: {{ address: 127.0.0.1:{PROXY}, limits: {{ connections: 20000 }} }}
state: {{ dir: state }}
issuers:
  bench:
    profile: jwt
    keys: {{ secret_file: hs.secret, encoding: raw, algorithm: HS256 }}
    issuer: {ISSUER}
    audience: {AUDIENCE}
    max_lifetime: 2d
upstreams:
  api:
    url: http://127.0.0.1:{UPSTREAM}
    private_addresses: [127.0.0.0/8]
    danger_plaintext_loopback: true
    concurrency: {concurrency}
routes:
  api:
    match: {{ path: "/**" }}
    upstream: api
    token: {{ issuer: bench, from: [Approov-Token] }}
    policy:
      default: block
      rules:
        - {{ name: genuine, when: {{ verdict: attested }}, then: allow }}
        - {{ name: the-rest, when: {{ verdict: missing }}, then: {unattested} }}
""")
    return f"{home}/assay.yaml"


def haproxy_config(folder):
    write(f"{folder}/overload.cfg", f"""global
  nbthread 1
  maxconn 8000
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout queue 500ms
  http-reuse always
frontend f
  bind 127.0.0.1:{PROXY}
  http-request set-var(txn.t) req.hdr(approov-token)
  http-request set-var(txn.alg) var(txn.t),jwt_header_query('$.alg')
  acl genuine var(txn.t),jwt_verify(txn.alg,"{SECRET.decode()}") 1
  http-request set-priority-class int(1) if genuine
  http-request set-priority-class int(9) unless genuine
  default_backend api
backend api
  server s 127.0.0.1:{UPSTREAM} maxconn {WORKERS} pool-max-conn -1
""")
    return f"{folder}/overload.cfg"


def command(name, folder, binaries):
    if name == "none":
        return f"{binaries}/bare-pingora {PROXY} 127.0.0.1:{UPSTREAM}"
    if name == "haproxy":
        return f"haproxy -f {haproxy_config(folder)}"
    shape = {"static-limit": (65535, "{ allow: { class: attested, limits: [{ requests: 500, per: all, window: 1s, burst: 50 }] } }"),
             "assay": (WORKERS, "deprioritize"), "assay-adaptive": ("adaptive", "deprioritize")}[name]
    return f"{binaries}/assay gateway -c {assay_config(folder, name, *shape)}"


def clients(tokens):
    genuine = [{"address": f"127.2.{n // 200}.{n % 200 + 1}", "header": f"Approov-Token: {t}"} for n, t in enumerate(tokens)]
    flood = [{"address": f"127.3.{n // 200}.{n % 200 + 1}"} for n in range(FLOODERS)]
    return genuine, flood


def load(args, tokens, genuine, unattested, seconds, while_running=None):
    devices, flooders = clients(tokens)
    streams = [{"name": "attested", "rate": genuine * CAPACITY, "clients": devices}]
    if unattested:
        streams.append({"name": "unattested", "rate": unattested * CAPACITY, "clients": flooders})
    plan = {"target": f"127.0.0.1:{PROXY}", "seconds": seconds, "warm_up": 3, "deadline_ms": 1000, "streams": streams}
    run = subprocess.Popen(["taskset", "-c", "1", f"{args.binaries}/bench-flood"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    run.stdin.write(json.dumps(plan))
    run.stdin.close()
    if while_running:
        while_running()
    out = run.stdout.read()
    if run.wait():
        sys.exit("bench-flood failed")
    return json.loads(out)["streams"]


def slow(times):
    urllib.request.urlopen(f"http://127.0.0.1:{UPSTREAM}/slow/{times}", timeout=10).read()


def rate(stream):
    return stream["served"] / max(stream["offered"], 1)


def start(args, folder, name):
    out = open(f"{folder}/{name}.log", "ab")
    proxy = subprocess.Popen(["taskset", "-c", "0"] + command(name, tempfile.mkdtemp(dir=folder), args.binaries).split(), stdout=out, stderr=out)
    if not listening(PROXY):
        sys.exit(f"{name}: nothing listens; see {folder}/{name}.log")
    return proxy


def steady(args, folder, name, tokens):
    """Each load without and with the flood, by a proxy that was just started."""
    rows = []
    for title, genuine, unattested, *budget in LOADS:
        proxy = start(args, folder, name)
        try:
            quiet = load(args, tokens, genuine, 0, args.seconds)["attested"]
            time.sleep(1)
            loud = load(args, tokens, genuine, unattested, args.seconds)
        finally:
            stop(proxy)
        a, u = loud["attested"], loud["unattested"]
        rows.append({"proxy": name, "load": title, "quiet_served": rate(quiet), "quiet_p99": quiet["p99_ms"], "served": rate(a), "p50": a["p50_ms"],
                     "p99": a["p99_ms"], "ratio": a["p99_ms"] / quiet["p99_ms"] if a["p99_ms"] and quiet["p99_ms"] else None,
                     "unattested": rate(u), "unattested_p50": u["p50_ms"], "goodput": (a["served"] + u["served"]) / args.seconds,
                     "left": min(1, (1 - genuine) / unattested), "budget": budget})
        print(json.dumps(rows[-1]), file=sys.stderr)
    return rows


BEFORE, AFTER = 15, 30


def slowdown(args, folder, name, tokens):
    """Five times slower for a while: 500 a second, with 1,250 genuine and 750 unattested that want in."""
    proxy = start(args, folder, name)

    def trouble():
        time.sleep(3 + BEFORE)
        slow(5)
        time.sleep(args.slow_seconds)
        slow(1)

    try:
        streams = load(args, tokens, 0.5, 0.3, BEFORE + args.slow_seconds + AFTER, trouble)
    finally:
        slow(1)
        stop(proxy)
    attested, unattested = (streams[k]["seconds"][3:] for k in ("attested", "unattested"))
    during = slice(BEFORE + 5, BEFORE + args.slow_seconds)
    after = attested[BEFORE + args.slow_seconds:]
    good = [s["served"] >= 0.99 * s["offered"] for s in after]
    recovered = next((n for n in range(len(good) - 3) if all(good[n:n + 3])), None)
    share = lambda seconds: sum(s["served"] for s in seconds) / max(1, sum(s["offered"] for s in seconds))
    row = {"proxy": name, "attested_per_second": statistics.mean(s["served"] for s in attested[during]), "unattested_share": share(unattested[during]),
           "recovered_after": recovered, "seconds": [[s["offered"], s["served"]] for s in attested]}
    print(json.dumps({k: v for k, v in row.items() if k != "seconds"}), file=sys.stderr)
    return row


def table(rows, slows):
    print(f"{'load':<38}{'proxy':<16}{'attested':>9}{'p50':>8}{'p99':>9}{'of quiet':>10}{'unattested':>12}{'room for':>10}{'goodput':>9}  budget")
    percent = lambda x: f"{x * 100:.1f} %"
    ms = lambda x: "-" if x is None else f"{x:.0f} ms"
    for title, *_ in LOADS:
        for row in (r for r in rows if r["load"] == title):
            served, p99, unattested = row["budget"]
            reached = row["served"] >= served and (row["ratio"] or 99) <= p99 and row["unattested"] >= (unattested or 0)
            word = ("reached" if reached else "MISSED") if row["proxy"].startswith("assay") else ""
            ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
            print(f"{title:<38}{row['proxy']:<16}{percent(row['served']):>9}{ms(row['p50']):>8}{ms(row['p99']):>9}{ratio:>10}"
                  f"{percent(row['unattested']):>12}{percent(row['left']):>10}{row['goodput']:>9.0f}  {word}")
    print(f"\n{'five times slower for a while':<38}{'proxy':<16}{'attested/s of 500':>18}{'unattested':>12}{'recovered after':>17}")
    for row in slows:
        after = "not within 30 s" if row["recovered_after"] is None else f"{row['recovered_after']} s"
        print(f"{'':<38}{row['proxy']:<16}{row['attested_per_second']:>18.0f}{percent(row['unattested_share']):>12}{after:>17}")


COLOURS = {"none": "#b0b0b0", "static-limit": "#e0a040", "haproxy": "#5b8fd0", "assay": "#2f8f5b", "assay-adaptive": "#8fc9a6"}


def svg(rows, slows, slow_seconds):
    """Three groups of bars, and a line a proxy for the slowdown."""
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="860" height="640" font-family="sans-serif" font-size="12" role="img" '
           'aria-label="Attested requests served under overload, by proxy">', '<rect width="860" height="640" fill="#fff"/>',
           '<text x="40" y="24" font-size="15">Attested requests served within one second, under a flood of unattested ones</text>']
    names = [p for p in PROXIES if any(r["proxy"] == p for r in rows)]
    for n, name in enumerate(names):
        out += [f'<rect x="{40 + n * 150}" y="36" width="12" height="12" fill="{COLOURS[name]}"/><text x="{58 + n * 150}" y="47">{name}</text>']
    for g, (title, *_) in enumerate(LOADS):
        left = 50 + g * 270
        out.append(f'<text x="{left}" y="282">{title}</text>')
        for tick in (0, 50, 100):
            y = 260 - tick * 1.9
            out.append(f'<line x1="{left}" x2="{left + 240}" y1="{y}" y2="{y}" stroke="#ddd"/>' + (f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{tick}%</text>' if g == 0 else ""))
        for n, name in enumerate(names):
            row = next((r for r in rows if r["proxy"] == name and r["load"] == title), None)
            if row:
                height, x = row["served"] * 190, left + 6 + n * 47
                p99 = "-" if row["p99"] is None else f"{row['p99']:.0f} ms"
                out.append(f'<rect x="{x}" y="{260 - height:.1f}" width="40" height="{height:.1f}" fill="{COLOURS[name]}"/>'
                           f'<text x="{x + 20}" y="{255 - height:.1f}" text-anchor="middle" font-size="10">{p99}</text>')
    out.append('<text x="40" y="300" font-size="10" fill="#555">above each bar: the 99th percentile of their latency</text>')
    if slows:
        total = BEFORE + slow_seconds + AFTER
        X, Y = (lambda s: 50 + s * 780 / total), (lambda share: 590 - share * 230)
        out += ['<text x="40" y="336" font-size="15">The upstream gets five times slower, and recovers: attested served, of those offered</text>',
                f'<rect x="{X(BEFORE):.0f}" y="350" width="{X(BEFORE + slow_seconds) - X(BEFORE):.0f}" height="240" fill="#f6efe6"/>']
        for tick in (0, 50, 100):
            out.append(f'<line x1="50" x2="830" y1="{Y(tick / 100)}" y2="{Y(tick / 100)}" stroke="#ddd"/><text x="42" y="{Y(tick / 100) + 4}" text-anchor="end">{tick}%</text>')
        for second in range(0, total + 1, 15):
            out.append(f'<text x="{X(second):.0f}" y="608" text-anchor="middle">{second} s</text>')
        for row in slows:
            points = " ".join(f"{X(n):.1f},{Y(min(1, served / max(1, offered))):.1f}" for n, (offered, served) in enumerate(row["seconds"]))
            out.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[row["proxy"]]}" stroke-width="1.8"/>')
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--binaries", required=True)
    ask.add_argument("--seconds", type=int, default=20)
    ask.add_argument("--slow-seconds", type=int, default=60)
    ask.add_argument("--only", default=",".join(PROXIES))
    ask.add_argument("--svg")
    ask.add_argument("--json")
    args = ask.parse_args()
    names = [p for p in PROXIES if p in args.only.split(",")]
    if "haproxy" in names and not shutil.which("haproxy"):
        print("haproxy: not installed, left out", file=sys.stderr)
        names.remove("haproxy")
    folder = tempfile.mkdtemp(prefix="assay-overload-")
    now = int(time.time())
    token = lambda n: hs256({"iss": ISSUER, "aud": AUDIENCE, "did": f"device-{n:04}", "iat": now, "exp": now + 86400})
    tokens = [token(n) for n in range(INSTALLATIONS)]
    upstream = subprocess.Popen(["taskset", "-c", "1", f"{args.binaries}/bench-capacity", str(UPSTREAM), str(WORKERS), str(MEAN_MS)])
    try:
        if not listening(UPSTREAM):
            sys.exit("the upstream does not start")
        rows = [row for name in names for row in steady(args, folder, name, tokens)]
        slows = [slowdown(args, folder, name, tokens) for name in names if name != "static-limit"] if args.slow_seconds else []
    finally:
        stop(upstream)
    table(rows, slows)
    if args.svg:
        write(args.svg, svg(rows, slows, args.slow_seconds))
    if args.json:
        write(args.json, json.dumps({"loads": rows, "slowdown": slows}, indent=1))
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
