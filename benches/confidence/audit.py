#!/usr/bin/env python3
"""audit.py - does a single field give the thieves away?

A generated stream is worth nothing when one accident of its making separates honest people from thieves.
For each task this prints the AUC of single facts that no thief needs to differ in.  .5 is blind; what lies
above about .65 without a reason deserves a look.

  python3 audit.py STREAM.jsonl[.gz] [--json]
"""
import argparse, json, math, sys
from collections import Counter
from common import DAY, auc, events, tasks_of


def facts(path):
    """per decision: (task, y, {fact: value}); rarity is counted over what came before"""
    seen = {k: Counter() for k in ("ip", "net", "asn", "ua", "ja4", "ja4_b", "tool")}
    fetch, acts, last = {}, {}, {}
    hours = Counter()
    for _, o in events(path):
        if o.get("type") == "set":
            continue
        t, ck = o["t"], o["dev"]
        v6 = ":" in o["ip"]
        net = ":".join(o["ip"].split(":")[:4]) if v6 else o["ip"].rsplit(".", 1)[0]
        val = {"ip": net if v6 else o["ip"], "net": net, "asn": o["asn"], "ua": o["ua"], "ja4": o["ja4"], "ja4_b": o["ja4"].split("_")[1], "tool": (o["ua"], o["ja4"])}
        for task in tasks_of(o):
            h = int(t % DAY // 3600)
            f = {"rare " + k: -math.log(1 + seen[k][v]) for k, v in val.items()}
            f.update({"hour": -hours[h], "hour of day": h, "weekday": int(t // DAY) % 7, "sixth version": v6, "listed": bool(o["rep"]), "resumed or QUIC": o["ja4"][0] == "q",
                      "no hint": o["plat"] is None, "millisecond": (t * 1000) % 1000})
            if task != "E3":
                f["no page fetched"] = not (ck and t - fetch.get(ck, -1e9) < 1800)
                f["pair leaked"] = bool(o["cred"] and o["cred"]["pair"])
                f["password leaked"] = bool(o["cred"] and o["cred"]["pwned"])
                f["no cookie"] = ck is None
            else:
                f["pace"] = -math.log(0.05 + t - last.get(o["sess"], t - 60))
                f["steps before"] = -acts.get(o["sess"], 0)
            yield task, o["truth"]["y"], o["truth"]["kind"], f
        hours[int(t % DAY // 3600)] += 1
        for k, v in val.items():
            seen[k][v] += 1
        if o["route"] == "login_page" and (ck or o["setdev"]):
            fetch[ck or o["setdev"]] = t
        if o["sess"]:
            last[o["sess"]] = t
            acts[o["sess"]] = acts.get(o["sess"], 0) + 1


def audit(path):
    cols = {}
    for task, y, _, f in facts(path):
        for k, v in f.items():
            cols.setdefault((task, k), ([], []))[y].append(float(v))
    return {t: {k: round(auc(c[1], c[0]), 3) for (tt, k), c in cols.items() if tt == t} for t in ("E1", "E2", "E3")}


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description="AUC of single facts, .5 = blind.")
    ap.add_argument("stream")
    ap.add_argument("--json", action="store_true")
    a = ap.parse_args()
    m = audit(a.stream)
    if a.json:
        sys.exit(print(json.dumps(m, indent=1)))
    names = sorted({k for t in m.values() for k in t})
    print("%-18s%8s%8s%8s" % ("fact", *m))
    for k in names:
        print("%-18s%8s%8s%8s" % (k, *("%.3f" % m[t][k] if k in m[t] else "" for t in m)))
