#!/usr/bin/env python3
"""CPU per attestation against the same two requests without their work and one bare P-256 verification.

usage: attestation.py --binaries FOLDER [--rounds 7] [--count 20000] [--connections 128] [--challenges 0]

FOLDER holds assay, attesters and bench-empty. The service has one worker on processor 0, embedded stores, a quantum of
1 ms; the attesters share processor 1. Rounds of attestations (HS256, ES256), empty requests and verifications are interleaved;
the median is printed, with the ratio that docs/decisions and the budget speak of:

    attestation / (two empty requests + one verification)

--challenges N: after it, N challenges, and the service's memory at every tenth of them.
"""
import argparse, json, os, resource, shutil, statistics, subprocess, sys, tempfile, time

import peers

EMPTY, SERVICE = 19040, {"HS256": 19041, "ES256": 19042}
PATH = "/assay/v1"
WARM = 40_000  # more answers than the service keeps for retries: from then on its memory is used again, not made


def service_config(folder, assay, algorithm, subject):
    home = f"{folder}/{algorithm}"
    os.makedirs(home)
    concealment = "decoy" if algorithm == "HS256" else "sealed"
    peers.write(f"{home}/assay.yaml", f"""assay: 1
state: {{ dir: state }}
attestation:
  serve:
    address: 127.0.0.1:{SERVICE[algorithm]}
    path: {PATH}
    unlock: {{ file: unlock.key }}
    quantum: 1ms
    limits: {{ per_address_per_minute: 1000000, concurrency: 10000, open_challenges: 10000000 }}
  token: {{ issuer: "{peers.ISSUER}", audience: {peers.AUDIENCE}, algorithm: {algorithm}, concealment: {concealment} }}
  apps:
    shop: {{ linux: {{ require: [measurement], danger_affirm_measurement_alone: true }} }}
""")
    subprocess.run(["openssl", "rand", "-out", f"{home}/unlock.key", "32"], check=True)
    os.chmod(f"{home}/unlock.key", 0o600)
    subprocess.run([assay, "app", "register", subject, "-c", f"{home}/assay.yaml", "--name", "shop", "--version", "1.0.0"],
                   check=True, capture_output=True)
    return [assay, "service", "-c", f"{home}/assay.yaml"]


class Server:
    def __init__(self, command, port, log):
        out = open(log, "wb")
        self.process = subprocess.Popen(["taskset", "-c", "0"] + command, stdout=out, stderr=out)
        if not peers.listening(port):
            sys.exit(f"nothing listens on {port}; see {log}")
        self.port = port

    def load(self, args, what, subject, count):
        """CPU microseconds of the server for each answered piece of work."""
        before = peers.cpu_seconds(self.process.pid)
        out = subprocess.run(["taskset", "-c", "1", f"{args.binaries}/attesters", what, f"127.0.0.1:{self.port}", PATH, subject,
                              str(count), str(args.connections)], capture_output=True, text=True)
        if out.returncode:
            sys.exit(f"{what}: {out.stderr}")
        return (peers.cpu_seconds(self.process.pid) - before) * 1e6 / json.loads(out.stdout)["done"]


def verification(args, count):
    """CPU microseconds of one bare verification; the start of the process is taken off."""
    def used(n):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["taskset", "-c", "0", f"{args.binaries}/attesters", "verify", str(n)], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (used(count) - used(1)) * 1e6 / (count - 1)


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--binaries", required=True)
    ask.add_argument("--rounds", type=int, default=7)
    ask.add_argument("--count", type=int, default=20000)
    ask.add_argument("--connections", type=int, default=128)
    ask.add_argument("--challenges", type=int, default=0)
    args = ask.parse_args()
    folder = tempfile.mkdtemp(prefix="assay-attestation-")
    assay, subject = f"{args.binaries}/assay", f"{args.binaries}/attesters"
    servers = {"empty": Server([f"{args.binaries}/bench-empty", str(EMPTY), PATH], EMPTY, f"{folder}/empty.log")}
    for algorithm, port in SERVICE.items():
        servers[algorithm] = Server(service_config(folder, assay, algorithm, subject), port, f"{folder}/{algorithm}.log")
    got = {"two empty requests": [], "P-256 verification": [], "attestation HS256": [], "attestation ES256": []}
    try:
        for server, what in (("empty", "empty"), ("HS256", "attest"), ("ES256", "attest")):
            servers[server].load(args, what, subject, WARM)
        for _ in range(args.rounds):
            got["two empty requests"].append(servers["empty"].load(args, "empty", subject, args.count))
            got["P-256 verification"].append(verification(args, args.count))
            for algorithm in SERVICE:
                got[f"attestation {algorithm}"].append(servers[algorithm].load(args, "attest", subject, args.count))
        table(got)
        memory(args, servers["HS256"], subject)
    finally:
        for server in servers.values():
            peers.stop(server.process)
    shutil.rmtree(folder, ignore_errors=True)


def table(got):
    middle = {name: statistics.median(figures) for name, figures in got.items()}
    least = middle["two empty requests"] + middle["P-256 verification"]
    print(f"{'':<24}{'us CPU':>9}{'min..max':>18}{'ratio':>8}")
    for name, figures in got.items():
        ratio = f"{middle[name] / least:.2f}" if name.startswith("attestation") else ""
        print(f"{name:<24}{middle[name]:>9.1f}{f'{min(figures):.1f}..{max(figures):.1f}':>18}{ratio:>8}")


def memory(args, server, subject):
    step = args.challenges // 10
    if not step:
        return
    print(f"{'challenges':>12}{'MiB':>8}")
    print(f"{0:>12}{peers.memory_mib(server.process.pid):>8.1f}")
    for tenth in range(1, 11):
        # A million a minute is the most that one address may be given.
        rested = time.monotonic() + 60 * step / 900_000
        server.load(args, "challenge", subject, step - step // 10)
        server.load(args, "attest", subject, step // 10)
        time.sleep(max(0, rested - time.monotonic()))
        print(f"{tenth * step:>12}{peers.memory_mib(server.process.pid):>8.1f}", flush=True)


if __name__ == "__main__":
    main()
