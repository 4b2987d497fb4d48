#!/usr/bin/env python3
"""lockout.py - how many real customers does a guesser slow down?

For eight hours of one day a guesser works through the exits that most customers share: forty of the carrier's
and three offices, four hundred wrong passwords each.  Whoever scores by address slows everybody behind them.

  python3 lockout.py add STREAM.jsonl[.gz] --out OUT.jsonl.gz
  python3 lockout.py measure OUT.jsonl.gz SCORES.tsv [--line 37]    # customers slowed before the answer, and on devices they own

A device counts as the customer's own when the account signed in with its cookie three days before or earlier.
"""
import argparse, gzip, heapq, json, random, sys
from collections import Counter
from common import DAY, T0, events, opener

FROM, UNTIL = T0 + 70 * DAY + 8 * 3600, T0 + 70 * DAY + 16 * 3600
TRIES, CARRIER, OFFICES = 400, 40, 3


def guesses(path):
    use, accounts, behind, r = Counter(), set(), {}, random.Random(7)
    for _, o in events(path):
        if o.get("type") == "set" or o["route"] != "login" or o["truth"]["y"]:
            continue
        accounts.add(o["acct"])
        kind = {"cgnat": "cgnat", "corp": "office", "desk": "office"}.get(o["truth"]["grp"])
        if kind and ":" not in o["ip"] and FROM <= o["t"] <= UNTIL:
            use[(kind, o["ip"])] += 1
            behind[o["ip"]] = o
    accounts, tools = sorted(accounts), list(behind.values())
    exits = [[ip for (k, ip), _ in use.most_common() if k == kind][:n] for kind, n in (("cgnat", CARRIER), ("office", OFFICES))]
    lines = []
    for ip in exits[0] + exits[1]:
        for _ in range(TRIES):
            t, d = r.uniform(FROM - 3600, UNTIL), r.choice(tools)
            o = dict(behind[ip], t=round(t, 3), ua=d["ua"], ja4=d["ja4"], h2=d["h2"], plat=d["plat"], dev=None, setdev="d%012x" % r.getrandbits(48), sess=None,
                     acct=r.choice(accounts) if r.random() < 0.4 else "x%08x" % r.getrandbits(32), route="login", method="POST", status=401, out="fail",
                     auth=None, cred={"pwned": True, "pair": r.random() < 0.6}, truth={"y": 1, "kind": "lockout_guess", "grp": "attack"})
            lines.append((o["t"], json.dumps(o, separators=(",", ":"))))
    return sorted(lines), len(exits[0]) + len(exits[1])


def add(path, out):
    extra, n = guesses(path)
    with opener(path) as f, (gzip.open(out, "wt", compresslevel=5) if out.endswith(".gz") else open(out, "w")) as g:
        for _, s in heapq.merge(((json.loads(s)["t"], s.rstrip("\n")) for s in f), extra, key=lambda x: x[0]):
            g.write(s + "\n")
    print(f"{len(extra)} guesses through {n} exits -> {out}", file=sys.stderr)


def measure(path, scores, line):
    """of the honest attempts behind the attacked exits in those hours: how many, on own devices, and slowed"""
    sc, attacked = {}, set()
    with opener(scores) as f:
        for s in f:
            q = s.split()
            sc[int(q[0])] = float(q[1])
    for _, o in events(path):
        if o.get("type") != "set" and o["truth"]["kind"] == "lockout_guess":
            attacked.add(o["ip"])
    own, c = {}, Counter()
    for i, o in events(path):
        if o.get("type") == "set" or o["route"] != "login" or o["status"] == 503 or o["truth"]["y"]:
            continue
        key = (o["acct"], o["dev"])
        if o["ip"] in attacked and FROM <= o["t"] <= UNTIL and i in sc:
            mine, slow = o["t"] - own.get(key, o["t"]) >= 3 * DAY, 100 - sc[i] < line
            c.update(customers=1, own=mine, slowed=slow, own_slowed=mine and slow)
        if o["out"] in ("ok", "mfa"):
            own.setdefault((o["acct"], o["dev"] or o["setdev"]), o["t"])
    n = max(1, c["customers"])
    return {"customers": c["customers"], "slowed": c["slowed"] / n, "own": c["own"], "own_slowed": c["own_slowed"]}


def main():
    ap = argparse.ArgumentParser(description="A guesser behind the exits that customers share.")
    sub = ap.add_subparsers(dest="what", required=True)
    p = sub.add_parser("add", help="write the stream with the guesser in it")
    p.add_argument("stream")
    p.add_argument("--out", required=True)
    p = sub.add_parser("measure", help="customers slowed down before the answer")
    p.add_argument("stream")
    p.add_argument("scores")
    p.add_argument("--line", type=float, default=37, help="confidence below which an attempt is slowed (37)")
    a = ap.parse_args()
    if a.what == "add":
        return add(a.stream, a.out)
    print(json.dumps(measure(a.stream, a.scores, a.line)))


if __name__ == "__main__":
    main()
