#!/usr/bin/env python3
"""sleepers.py - thieves who sign in once, do little, and come back.

Takes any stream of gen_rba.py or second.py and adds sleepers: somebody with the right password signs in from a
device and a network that the account never saw, looks round and leaves.  Three to fourteen days later the same
device cookie returns through another network, signs in again and checks out.  A scorer that lets time make a
device trusted catches the first visit and loses the second.  truth.kind is sleeper_first and sleeper_second.

  python3 sleepers.py add STREAM.jsonl[.gz] --out OUT.jsonl.gz [--seed 1] [--count 400]
  python3 sleepers.py measure STREAM.jsonl[.gz] SCORES.tsv          # what was caught at the 1 % lines
"""
import argparse, gzip, heapq, json, random, sys
from collections import Counter
from types import SimpleNamespace
from common import DAY, EVAL_FROM, T0, events, opener, rate_above, tasks_of, thr_at_fpr

LINE = 0.01
FAR = 0.6             # from abroad or from a listed exit; the others from the owner's own country
KNOWN_PAIR = 0.3      # the pair stands in a list that the company has
TOOLS = ("ua", "plat", "ja4", "h2")
NET = ("ip", "asn", "cc", "geo", "rep")


def survey(path):
    """owners who sign in with a password, software people use by day, networks thieves come from, providers of each account"""
    s = SimpleNamespace(owners=[], people={}, thieves=[], providers={}, countries=Counter(), carts=False, last=0.0)
    for _, o in events(path):
        if o.get("type") == "set":
            continue
        s.last = o["t"]
        s.carts |= o["route"] == "cart"
        if o["route"] != "login" or o["out"] != "ok":
            continue
        if o["truth"]["y"]:
            s.thieves.append({k: o[k] for k in NET})
        elif o["cred"] is not None:
            s.owners.append((o["t"], o["acct"], o["cred"]))
            s.people.setdefault(int((o["t"] - T0) // DAY), []).append({k: o[k] for k in TOOLS + NET})
            s.providers.setdefault(o["acct"], set()).add(o["asn"])
            s.countries[o["cc"]] += 1
    return s


def plan(path, seed, count):
    r = random.Random(("sleepers", seed).__repr__())
    S = survey(path)
    owners, people, thieves = S.owners, S.people, S.thieves
    end = min(S.last, T0 + 75 * DAY)
    land = max(S.countries, key=S.countries.get)
    far = [n for n in thieves if n["cc"] != land or n["rep"]]
    out, used = [], set()

    def near(t):
        return r.choice(people[min(people, key=lambda d: abs(d - int((t - T0) // DAY)))])

    def network(t, strange):
        """a line that is not one of the owner's providers: most often one that thieves use"""
        pool = far if far and r.random() < FAR else thieves
        for _ in range(40):
            n = r.choice(pool) if pool and r.random() < 0.85 else {k: near(t)[k] for k in NET}
            if n["asn"] not in strange:
                break
        return n

    def grown(tool, t):
        """the same software as people have it at that time"""
        for _ in range(40):
            x = near(t)
            if kin(x) == kin(tool):
                return {k: x[k] for k in TOOLS}
        return tool

    def ident(p):
        return p + "%012x" % r.getrandbits(48)
    first_seen = {}
    for t, a, _ in owners:
        first_seen.setdefault(a, t)
    tries = 0
    while len(used) < count and tries < 60 * count:
        tries += 1
        t0, acct, cred = r.choice(owners)
        gap = r.uniform(3, 14) * DAY
        day = T0 + int(r.uniform(EVAL_FROM, 75 - 1 - gap / DAY)) * DAY
        t = day + (t0 - T0) % DAY                                    # at an hour at which somebody did sign in
        if acct in used or t < first_seen[acct] + 2 * DAY or t + gap > end - 7200:
            continue
        used.add(acct)
        like = {k: v for k, v in near(t).items() if k in TOOLS}
        cookie, strange = None, set(S.providers[acct])
        for kind, at in (("sleeper_first", t), ("sleeper_second", t + gap)):
            tool = like if cookie is None else grown(like, at)
            net = network(at, strange)
            strange.add(net["asn"])
            web = like["ua"].startswith("Mozilla")
            leak = {"pwned": cred["pwned"], "pair": cred["pair"] or r.random() < KNOWN_PAIR}
            cookie, lines = visit(r, kind, at, acct, tool, net, web, S.carts, cookie, leak, ident)
            out += lines
    out.sort(key=lambda x: x[0])
    return out, len(used)


def kin(tool):
    """browser or app, system and TLS stack, without versions"""
    ua = tool["ua"]
    seen = tuple(k for k in ("Edg/", "Firefox/", "SamsungBrowser/", "Chrome/", "iPhone", "Android", "Macintosh", "CFNetwork", "Cronet") if k in ua)
    return ua.split("/", 1)[0], seen, tool["h2"], tool["plat"]


def visit(r, kind, t, acct, tool, net, web, carts, cookie, leak, ident):
    """one sign-in and what follows: a look round the first time, a checkout the second"""
    lines, sess = [], None
    auth = None

    def say(route, method="GET", out=None, acct=acct, cred=None):
        nonlocal cookie
        new = None if cookie else ident("d")
        o = {"t": round(t, 3), **net, **tool, "dev": cookie, "setdev": new, "sess": sess, "acct": acct, "route": route, "method": method, "status": 200,
             "out": out, "auth": auth, "cred": cred, "truth": {"y": 1, "kind": kind, "grp": "attack"}}
        order = ("t", "ip", "asn", "cc", "geo", "rep", "ua", "plat", "ja4", "h2", "dev", "setdev", "sess", "acct", "route", "method", "status", "out", "auth",
                 "cred", "truth")
        lines.append((t, json.dumps({k: o[k] for k in order}, separators=(",", ":"))))
        cookie = cookie or new
    if web and r.random() < 0.85:
        say("login_page", acct=None)
        t += r.lognormvariate(2.0, 0.6)
    say("login", "POST", "ok", cred=leak)
    sess, auth = ident("s"), {"acr": "aal1", "amr": ["pwd"], "at": int(t), "bind": None}
    steps = ["account"] + ["orders"] * (r.random() < 0.6)
    if kind == "sleeper_second":
        steps += ["cart"] * (web and carts)
    for s in steps:
        t += r.lognormvariate(2.4, 0.7)
        say(s)
    if kind == "sleeper_second":
        t += r.lognormvariate(3.0, 0.6)
        say("checkout", "POST", "ok")
    return cookie, lines


def add(path, out, seed, count):
    extra, n = plan(path, seed, count)
    with opener(path) as f, (gzip.open(out, "wt", compresslevel=5) if out.endswith(".gz") else open(out, "w")) as g:
        for _, s in heapq.merge(((json.loads(s)["t"], s.rstrip("\n")) for s in f), extra, key=lambda x: x[0]):
            g.write(s + "\n")
    print(f"{n} sleepers, {len(extra)} lines added -> {out}", file=sys.stderr)


def measure(path, scores):
    """share caught at the 1 % line of honest sign-ins and of honest sensitive steps"""
    sc = {}
    with opener(scores) as f:
        for line in f:
            q = line.split()
            sc[int(q[0])] = (float(q[1]), float(q[2] if len(q) > 2 else q[1]))
    honest = {"E1": [], "E3": []}
    seen = {k: [] for k in ("first", "second", "checkout")}
    for i, o in events(path):
        for task in tasks_of(o):
            if task == "E2" or i not in sc:
                continue
            x = sc[i][task == "E1"]
            if not o["truth"]["y"]:
                honest[task].append(x)
            elif o["truth"]["kind"].startswith("sleeper"):
                seen["checkout" if task == "E3" else o["truth"]["kind"][8:]].append(x)
    line = {k: thr_at_fpr(v, LINE) for k, v in honest.items()}
    return {k: {"caught": rate_above(v, line["E3" if k == "checkout" else "E1"]), "n": len(v)} for k, v in seen.items()}


def main():
    ap = argparse.ArgumentParser(description="Thieves who sign in once and come back.")
    sub = ap.add_subparsers(dest="what", required=True)
    p = sub.add_parser("add", help="write the stream with sleepers in it")
    p.add_argument("stream")
    p.add_argument("--out", required=True)
    p.add_argument("--seed", default="1")
    p.add_argument("--count", type=int, default=400)
    p = sub.add_parser("measure", help="share of sleepers caught at the 1 %% lines")
    p.add_argument("stream")
    p.add_argument("scores")
    p.add_argument("--json", action="store_true")
    a = ap.parse_args()
    if a.what == "add":
        return add(a.stream, a.out, a.seed, a.count)
    m = measure(a.stream, a.scores)
    if a.json:
        print(json.dumps(m))
    else:
        for k, want in (("first", None), ("second", 0.70), ("checkout", 0.50)):
            print(f"{k:9s} caught {m[k]['caught']:.3f} of {m[k]['n']}" + (f"   must {want:.2f}" if want else ""))


if __name__ == "__main__":
    main()
