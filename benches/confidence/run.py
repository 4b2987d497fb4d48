#!/usr/bin/env python3
"""run.py - the bench of the scorer: every world, one table, the figures that must be met beside it.

    cargo build --release
    benches/confidence/run.py --weir target/release/weir                 # everything; the first time takes long
    benches/confidence/run.py --weir target/release/weir --worlds s1,second_11 --no-peers
    benches/confidence/run.py --scores DIR                               # score files NAME.tsv that lie there already
    benches/confidence/run.py --list

Worlds are made once and kept under --cache, named after what made them; --streams DIR takes NAME.jsonl.gz from there instead.
For each world `weir eval FILE --scores OUT.tsv` replays it through the code of the gateway; common.py's metrics judge the
scores.  Beside them stands the best form of Freeman et al. on the same file, fed with a day's delay, also kept.

caught  share of thieves beyond the line that challenges 1 % of honest people, for right-password sign-ins (E1), attempts
        before the answer (E2) and sensitive steps (E3)
groups  honest groups of 200 or more that are challenged above 5 % or three times the mean, whichever is larger
The exit code is 1 when a must is missed.  Standard library only.
"""
import argparse, hashlib, json, os, subprocess, sys, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import common, lockout, sleepers

TASKS = ("E1", "E2", "E3")
SHOP = ((.70, .80, .62), (.84, .93, .81))                 # must, aim
APP = ((.20, .45, .20), (.35, .60, .40))
OVER_FREEMAN = 2.5                                        # right-password sign-ins
# name: (generator and its arguments, must and aim, what is measured beside the three tasks)
WORLDS = {
    "s1": (["gen_rba.py", "--seed", "1"], SHOP, None),
    "s2": (["gen_rba.py", "--seed", "2"], SHOP, None),
    "s3": (["gen_rba.py", "--seed", "3"], SHOP, None),
    "s4_shift": (["gen_rba.py", "--seed", "4", "--shift", "0.5"], SHOP, None),
    "s5_shift": (["gen_rba.py", "--seed", "5", "--shift", "0.5"], SHOP, None),
    "second_11": (["second.py", "--seed", "11"], APP, None),
    "second_12": (["second.py", "--seed", "12"], APP, None),
    "second_13": (["second.py", "--seed", "13"], APP, None),
    "second_11_calm": (["second.py", "--seed", "11", "--calm"], None, None),
    "second_12_calm": (["second.py", "--seed", "12", "--calm"], None, None),
    "s1_sleepers": ("s1", None, "sleepers"),
    "s2_sleepers": ("s2", None, "sleepers"),
    "s1_lockout": ("s1", None, "lockout"),
}
SCALE = {"gen_rba.py": 1.0, "second.py": 0.5}
SOURCES = {"gen_rba.py": ["gen_rba.py"], "second.py": ["second.py", "thieves.py"], "sleepers": ["sleepers.py"], "lockout": ["lockout.py"]}


def note(quiet, text):
    if not quiet:
        print("\r\033[K" + text, end="", file=sys.stderr, flush=True)


def digest(*parts):
    h = hashlib.blake2b(digest_size=6)
    for p in parts:
        h.update(p if isinstance(p, bytes) else str(p).encode())
    return h.hexdigest()


def file_digest(path):
    h = hashlib.blake2b(digest_size=6)
    with open(path, "rb") as f:
        while b := f.read(1 << 20):
            h.update(b)
    return h.hexdigest()


def stream(name, a):
    """the file of a world: given, kept, or made now"""
    if a.streams and (p := Path(a.streams) / f"{name}.jsonl.gz").exists():
        return p
    how, _, extra = WORLDS[name]
    if extra:
        base = stream(how, a)
        p = a.cache / f"{name}-{digest(base.name, base.stat().st_size, *((HERE / s).read_bytes() for s in SOURCES[extra]))}.jsonl.gz"
        cmd = [sys.executable, HERE / f"{extra}.py", "add", base] + (["--count", max(20, int(400 * a.scale))] if extra == "sleepers" else [])
    else:
        scale = str(SCALE[how[0]] * a.scale)
        p = a.cache / f"{name}-{digest(scale, *how, *((HERE / s).read_bytes() for s in SOURCES[how[0]]))}.jsonl.gz"
        cmd = [sys.executable, HERE / how[0], *how[1:], "--scale", scale]
    if not p.exists():
        note(a.quiet, f"{name}: making the stream")
        part = p.with_name("part-" + p.name)
        subprocess.run([*map(str, cmd), "--out", str(part)], check=True, stderr=subprocess.DEVNULL)
        part.rename(p)
    return p


def score(name, path, a):
    """(score file, seconds): from the gateway's own code, or one that lies there"""
    if a.scores:
        p = Path(a.scores) / f"{name}.tsv"
        return (p, None) if p.exists() else (None, None)
    out = a.cache / f"{name}.tsv"
    note(a.quiet, f"{name}: scoring")
    t = time.monotonic()
    r = subprocess.run([a.weir, "eval", str(path), "--scores", str(out)], capture_output=True, text=True)
    if r.returncode:
        sys.exit(f"{a.weir} eval {path} ended with {r.returncode}:\n{r.stderr.strip()}")
    return out, time.monotonic() - t


def judge(path, scores):
    """common.py's metrics of one score file, and how many decisions have no score"""
    sc, rows, seen, missing = {}, [], {}, 0
    with common.opener(str(scores)) as f:
        for line in f:
            q = line.split()
            sc[int(q[0])] = (float(q[1]), float(q[2] if len(q) > 2 else q[1]))
    for i, o in common.events(str(path)):
        if o.get("type") == "set":
            continue
        for t in common.tasks_of(o):
            if i in sc:
                tr = o["truth"]
                rows.append((t, tr["y"], tr["kind"], tr["grp"], seen.get(o["acct"], 0), sc[i][t == "E1"]))
            else:
                missing += 1
        if o["route"] == "login" and o["out"] in ("ok", "mfa"):
            seen[o["acct"]] = seen.get(o["acct"], 0) + 1
    return common.metrics(rows), missing


def freeman(name, path, a):
    """caught at 1 % by the best form, per task: {task: (form, caught)}"""
    kept = a.cache / f"freeman-{file_digest(path)}.json"
    if not kept.exists():
        if a.no_peers:
            return {}
        note(a.quiet, f"{name}: Freeman's forms (slow, kept afterwards)")
        part = kept.with_name("part-" + kept.name)
        subprocess.run([sys.executable, str(HERE / "freeman.py"), str(path), "--delay", "86400", "--json", str(part)], check=True, stdout=subprocess.DEVNULL)
        part.rename(kept)
    forms = json.loads(kept.read_text())
    return {t: max(((k, m[t]["tpr@1%"]) for k, m in forms.items() if t in m), key=lambda x: x[1]) for t in TASKS if any(t in m for m in forms.values())}


def world(name, a):
    path = stream(name, a)
    scores, secs = score(name, path, a)
    if scores is None:
        return None
    m, missing = judge(path, scores)
    _, figures, extra = WORLDS[name]
    peer = freeman(name, path, a) if not extra else {}
    R = {"world": name, "file": str(path), "seconds": secs, "unscored": missing, "tasks": {}, "misses": []}
    if missing:
        R["misses"].append(f"{missing} decisions without a score")
    for k, t in enumerate(TASKS):
        if t not in m:
            continue
        o = m[t]
        groups = {g: v for g, (v, n) in o["by_group_challenge@1%"].items() if n >= 200}
        total = sum(n for _, n in o["by_group_challenge@1%"].values())
        mean = sum(v * n for v, n in o["by_group_challenge@1%"].values()) / total
        over = {g: round(v, 4) for g, v in sorted(groups.items(), key=lambda x: -x[1]) if v > max(0.05, 3 * mean)}
        x = {"caught": o["tpr@1%"], "caught_at_0.1%": o["tpr@0.1%"], "auc": o["auc"], "challenged_for_90%": o["challenge@tpr0.9"], "over": over,
             "worst": max(groups.items(), key=lambda g: g[1], default=None), "kinds": o["by_kind_tpr@1%"], "groups": o["by_group_challenge@1%"],
             "thieves": o["n_pos"], "honest": o["n_neg"]}
        if figures:
            x["must"], x["aim"] = figures[0][k], figures[1][k]
            if x["caught"] < x["must"]:
                R["misses"].append(f"{t} {x['caught']:.3f} is under {x['must']:.2f}")
        if t in peer:
            x["freeman"], x["over_freeman"] = peer[t], x["caught"] / max(1e-9, peer[t][1])
            if t == "E1" and figures and x["over_freeman"] < OVER_FREEMAN:
                R["misses"].append(f"E1 is {x['over_freeman']:.1f} x Freeman, not {OVER_FREEMAN}")
        if over and not extra:
            R["misses"].append(f"{t} groups: " + ", ".join(f"{g} {v:.1%}" for g, v in over.items()))
        R["tasks"][t] = x
    if extra == "sleepers":
        s = R["sleepers"] = sleepers.measure(str(path), str(scores))
        R["misses"] += [f"sleepers {k} {s[k]['caught']:.3f} is under {w:.2f}" for k, w in (("second", .70), ("checkout", .50)) if s[k]["caught"] < w]
    if extra == "lockout":
        s = R["lockout"] = lockout.measure(str(path), str(scores), 37)
        if s["slowed"] > 0.02 or s["own_slowed"]:
            R["misses"].append(f"lock-out slows {s['slowed']:.1%} of customers, {s['own_slowed']} on their own devices")
    return R


def table(results, kinds):
    print("%-16s %-3s %7s %6s %6s  %6s %6s  %-19s %6s  %s" % ("world", "", "caught", "must", "aim", "AUC", "@0.1%", "best of Freeman", "times", "worst group of 200 or more"))
    for R in results:
        for t, x in R["tasks"].items():
            grade = "" if "must" not in x else "aim" if x["caught"] >= x["aim"] else "ok" if x["caught"] >= x["must"] else "MISS"
            f = "%-12s %.3f" % tuple(x["freeman"]) if "freeman" in x else ""
            w = "%s %.1f %%%s" % (x["worst"][0], 100 * x["worst"][1], "  OVER" if x["over"] else "") if x["worst"] else ""
            print("%-16s %-3s %7.3f %6s %6s  %6.3f %6.3f  %-19s %6s  %-26s %s" % (
                R["world"] if t == "E1" else "", t, x["caught"], "%.2f" % x["must"] if "must" in x else "", "%.2f" % x["aim"] if "aim" in x else "", x["auc"],
                x["caught_at_0.1%"], f, "%.1f" % x["over_freeman"] if "freeman" in x else "", w, grade))
            if kinds:
                print("      thieves  " + "  ".join(f"{k} {v:.2f}" for k, (v, n) in sorted(x["kinds"].items(), key=lambda q: q[1][0])))
                print("      honest   " + "  ".join(f"{k} {v:.1%} of {n}" for k, (v, n) in sorted(x["groups"].items(), key=lambda q: -q[1][0])))
        if "sleepers" in R:
            s = R["sleepers"]
            print("%-16s     first visit %.3f, second %.3f (must .70), its checkout %.3f (must .50), of %d" % (
                "", s["first"]["caught"], s["second"]["caught"], s["checkout"]["caught"], s["second"]["n"]))
        if "lockout" in R:
            s = R["lockout"]
            print("%-16s     %d customers behind the exits: slowed %.2f %% (must 2), on their own devices %d of %d (must 0)" % (
                "", s["customers"], 100 * s["slowed"], s["own_slowed"], s["own"]))
        if R["seconds"]:
            print("%-16s     scored in %.1f s" % ("", R["seconds"]))
    misses = [(R["world"], x) for R in results for x in R["misses"]]
    print("\nevery must is met" if not misses else f"\n{len(misses)} missed:")
    for w, x in misses:
        print(f"  {w}: {x}")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--weir", help="the binary whose `eval` scores")
    ap.add_argument("--scores", help="a directory with NAME.tsv instead of --weir")
    ap.add_argument("--streams", help="a directory with NAME.jsonl.gz to use before making any")
    ap.add_argument("--cache", type=Path, default=HERE.parents[1] / "target" / "confidence", help="where streams and peers are kept (target/confidence)")
    ap.add_argument("--worlds", help="names, separated by commas (all)")
    ap.add_argument("--scale", type=float, default=1.0, help="size of every world against the full bench (1)")
    ap.add_argument("--no-peers", action="store_true", help="do not compute Freeman's forms; use those that are kept")
    ap.add_argument("--kinds", action="store_true", help="also each kind of thief and each group")
    ap.add_argument("--json", action="store_true")
    ap.add_argument("--list", action="store_true", help="name the worlds")
    a = ap.parse_args()
    if a.list:
        for k, (how, _, extra) in WORLDS.items():
            print("%-16s %s" % (k, f"{extra} on {how}" if extra else " ".join(how)))
        return 0
    names = a.worlds.split(",") if a.worlds else list(WORLDS)
    unknown = [n for n in names if n not in WORLDS]
    if unknown:
        ap.error(f"no world named {', '.join(unknown)}; --list names them")
    if not a.weir and not a.scores:
        ap.error("say --weir BINARY, or --scores DIR")
    a.quiet = a.json or not sys.stderr.isatty()
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    a.cache.mkdir(parents=True, exist_ok=True)
    results = [R for R in (world(n, a) for n in names) if R]
    note(a.quiet, "")
    if not results:
        sys.exit(f"no score file in {a.scores} belongs to a world asked for")
    if a.json:
        print(json.dumps(results, indent=1))
    else:
        table(results, a.kinds)
    return 1 if any(R["misses"] for R in results) else 0


if __name__ == "__main__":
    sys.exit(main())
