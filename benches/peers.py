#!/usr/bin/env python3
"""What Weir costs a request beside its peers: nginx with the same rules, and `floor`, the least that a hyper forwarder can be.

    cargo build --release && cargo build --release --bench floor
    benches/peers.py                                # every case, against both
    benches/peers.py --cases h1,guard --pairs 20    # fewer cases, more certainty
    benches/peers.py --swap                         # p99 before and while the law is swapped every second
    benches/peers.py --swap --arm                   # the same while a playbook is armed and stood down in turn
    benches/peers.py --count                        # instructions a request, by valgrind: exact, and slow
    benches/peers.py --count --cases h1,h1+languages,routes10,routes10+armed,routes10+elsewhere,conditions1k

Needs Linux with two cores, Python 3.11, nginx, wrk and h2load; openssl for the certificate; valgrind for --count.

The proxy under test runs alone on CPU 0 with one worker. The upstream (nginx, `return 200` with 1 KiB) and the load run on
CPU 1. A figure is the CPU time of all the proxy's threads and processes, from the kernel's scheduler, divided by the requests
that the load generator counted. Both sides of a duel are up at once and are loaded in turn, A B B A, so that both see the same
machine: what is printed is the median of the ratios and their quartiles. Always look at nginx against itself (--against nginx-b)
before believing a small difference.

What is written behind a `+` is added to a case, for Weir alone: `limit` (a limit for each value of a header, as `guard` has),
`nolimit` (`guard` without it), `languages` (two), `profiles` (three apps in the field), `playbooks` (two, none of them armed),
`armed` (the one that changes the journey asked for), `elsewhere` (the one that changes another journey).
"""

import argparse, http.client, os, re, resource, shlex, shutil, signal, socket, statistics, subprocess, sys, tempfile, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
CASES = {  # name: (rules, path, TLS, HTTP/2)
    "h1": ("plain", "/api/v1/items?id=7", False, False),
    "tls": ("plain", "/api/v1/items?id=7", True, False),
    "h2": ("plain", "/api/v1/items?id=7", True, True),
    "guard": ("guard", "/api/v1/items?id=7", False, False),
    "rules1k": ("rules1k", "/svc/%04d/items", False, False),
    "regex1k": ("regex1k", "/api/v1/items?id=7", False, False),
    "routes10": ("routes10", "/r/0007/items", False, False),
    "routes10k": ("routes10k", "/r/%04d/items", False, False),
    "conditions10": ("conditions10", "/api/v1/items?id=7", False, False),
    "conditions1k": ("conditions1k", "/api/v1/items?id=7", False, False),
}
ONLY_WEIR = {"routes10", "routes10k", "conditions10", "conditions1k"}  # for --count: what many cost more than few
EXTRAS = {"limit", "nolimit", "languages", "profiles", "playbooks", "armed", "elsewhere"}
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "application/json",
    "Accept-Language": "en-GB,en;q=0.7",
    "Accept-Encoding": "gzip, deflate, br",
    "Cookie": "session=6f1d0a4be2c94d0d8f6e5a4b3c2d1e0f; theme=dark",
    "X-Client-Id": "c0001",
}
AGENTS = "(sqlmap|nikto|masscan|zgrab|nuclei)"
QUERIES = r"(union\s+select|<script|\.\./)"
SUFFIXES = r"\.(php|asp|cgi)$"
SERVICES = [f"/svc/{n:04d}/" for n in range(1000)]
MISSES = [rf"^/(old|legacy)/{n:04d}/[a-z]+\.(bak|tmp)$" for n in range(1000)]


def case_of(name):
    """A case with what is added to it: (rules, path, TLS, HTTP/2)."""
    plain, *extras = name.split("+")
    if plain not in CASES or not EXTRAS.issuperset(extras):
        sys.exit(f"{name} is no case; there are {', '.join(CASES)}, each with any of {', '.join(sorted(EXTRAS))} behind a +")
    rules, *rest = CASES[plain]
    return "+".join([rules, *extras]), *rest


def conditions(many):
    """Conditions of every kind, none of which holds for what the load asks."""
    kinds = [
        "{{ path = '/old/{n:04d}/index.html' }}",
        "{{ path_prefix = '/legacy/{n:04d}/' }}",
        "{{ path_suffix = '-{n:04d}.bak' }}",
        "{{ path_matches = '^/(old|legacy)/{n:04d}/[a-z]+\\.(bak|tmp)$' }}",
        "{{ query_matches = '(?i)debug{n:04d}=(on|true)' }}",
        "{{ header = {{ name = 'user-agent', matches = '(?i)scraper-{n:04d}/[0-9]+' }} }}",
        "{{ header = {{ name = 'x-probe-{n:04d}', present = true }} }}",
        "{{ header = {{ name = 'accept', contains = 'application/x-{n:04d}' }} }}",
        "{{ address = '10.{a}.{b}.0/24' }}",
        "{{ all = [{{ method = 'DELETE' }}, {{ not = {{ host = 'shop-{n:04d}.example' }} }}] }}",
    ]
    return "".join(f"[[refuse]]\nwhen = {kinds[n % 10].format(n=n, a=n // 250, b=n % 250)}\nstatus = 403\n" for n in range(many))


def playbook(name, journey):
    """Nobody gets above a throttle, where sign-ins fail: armed, it is weighed on every request of the journey and holds none."""
    return f"""summary = "A playbook of the bench."
owner = "bench"
expires = "24h"
[changes.{journey}]
at_most = "throttle"
where = {{ contaminated = true }}
[notice.en]
headline = "We are checking more carefully"
detail = "Everything else works as before."
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def nginx_conf(work, name, rules, upstream, http, tls):
    maps = places = ""
    if rules != "plain":
        maps = (f'map $http_user_agent $agent {{ default 0; "~*{AGENTS}" 1; }} map $args $query {{ default 0; "~*{QUERIES}" 1; }}\n'
                "limit_req_zone $http_x_client_id zone=clients:32m rate=1000000r/s;")
        denied = ["= /.env", "^~ /.git/", "^~ /wp-admin", "^~ /admin/", "~ " + SUFFIXES]
        places = ("limit_req zone=clients burst=1000000 nodelay; if ($agent) { return 403; } if ($query) { return 403; }\n"
                  "if ($request_method !~ ^(GET|POST|HEAD|PUT|DELETE)$) { return 405; }\n"
                  + "".join(f"location {place} {{ return 403; }}\n" for place in denied)
                  + "".join(f"location {path} {{ proxy_pass http://up; }}\n" for path in ("/api/v1/", "/static/")))
    if rules == "rules1k":
        places += "".join(f"location {path} {{ proxy_pass http://up; }}\n" for path in SERVICES)
    if rules == "regex1k":
        places += "".join(f"location ~ {miss} {{ return 403; }}\n" for miss in MISSES)
    text = f"""
        worker_processes 1; daemon off; pid {work}/{name}.pid; error_log {work}/{name}.err error; worker_rlimit_nofile 20000;
        events {{ worker_connections 10000; }}
        http {{
            access_log off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 1h;
            client_body_temp_path {work}/{name}.body; proxy_temp_path {work}/{name}.proxy; fastcgi_temp_path {work}/{name}.f;
            uwsgi_temp_path {work}/{name}.u; scgi_temp_path {work}/{name}.s;
            {maps}
            upstream up {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 1h; }}
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            server {{
                listen 127.0.0.1:{http} backlog=4096; listen 127.0.0.1:{tls} ssl http2 backlog=4096;
                ssl_certificate {work}/cert.pem; ssl_certificate_key {work}/key.pem; ssl_protocols TLSv1.3;
                {places}
                location / {{ proxy_pass http://up; }}
            }}
        }}"""
    (work / f"{name}.conf").write_text(text)
    return f"nginx -c {work}/{name}.conf"


def upstream_conf(work, port):
    (work / "upstream.conf").write_text(f"""
        worker_processes 1; daemon off; pid {work}/upstream.pid; error_log {work}/upstream.err error; worker_rlimit_nofile 20000;
        events {{ worker_connections 10000; }}
        http {{
            access_log off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 1h;
            client_body_temp_path {work}/up.b; proxy_temp_path {work}/up.p; fastcgi_temp_path {work}/up.f;
            uwsgi_temp_path {work}/up.u; scgi_temp_path {work}/up.s;
            server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ default_type application/json; return 200 "{"x" * 1024}"; }} }}
        }}""")
    return f"nginx -c {work}/upstream.conf"


def weir_rules(work, name, rules, upstream, http, tls, lines):
    """The same law in Weir's language."""
    home = work / name / "rules"
    home.mkdir(parents=True, exist_ok=True)
    rules, *extras = rules.split("+")
    (home / "gateway.toml").write_text(f"""
workers = 1
admin = "off"
decisions = {{ to = "{work}/{name}/lines", allowed_one_in = {lines} }}
[[listen]]
address = "127.0.0.1:{http}"
[[listen]]
address = "127.0.0.1:{tls}"
tls = {{ certificate = "{work}/cert.pem", key = "{work}/key.pem" }}
""")
    law = f'[upstreams.up]\nservers = ["http://127.0.0.1:{upstream}"]\nprotocol = "http1"\ntimeout = {{ keep = "60s" }}\n'
    paths = []
    if rules != "plain":
        paths = ["/api/v1/", "/static/"]
        regexes = [f"{{ header = {{ name = 'user-agent', matches = '(?i){AGENTS}' }} }}", f"{{ query_matches = '(?i){QUERIES}' }}",
                   f"{{ path_matches = '{SUFFIXES}' }}"]
        denied = ["{ path = '/.env' }", "{ path_prefix = ['/.git/', '/wp-admin', '/admin/'] }"]
        for when in regexes + denied:
            law += f"[[refuse]]\nwhen = {when}\nstatus = 403\n"
        law += "[[refuse]]\nwhen = { not = { method = ['GET', 'POST', 'HEAD', 'PUT', 'DELETE'] } }\nstatus = 405\n"
    if rules == "rules1k":
        paths += SERVICES
    if rules == "regex1k":
        law += "".join(f"[[refuse]]\nwhen = {{ path_matches = '{miss}' }}\nstatus = 403\n" for miss in MISSES)
    if (rules in ("guard", "rules1k", "regex1k") and "nolimit" not in extras) or "limit" in extras:
        law += '[limits.clients]\nkey = "header"\nheader = "x-client-id"\nrate = "1000000/s"\n'
    if rules.startswith("conditions"):
        law += conditions({"conditions10": 10, "conditions1k": 1000}[rules])
    if "languages" in extras:
        law += '[languages]\nspeak = ["en", "de"]\n'
    if "profiles" in extras:
        for at, app in enumerate(("ShopApp", "ShopTablet", "Kiosk")):
            law += f'[profiles.app{at}]\napp = {{ name = "{app}", from = "3.2", below = "4.0" }}\nstep_up = 403\nthrottle = 503\n'
    playbooks = {"playbooks", "armed", "elsewhere"}.intersection(extras)
    if playbooks:
        law += '[help.main]\nphone = "+44 20 7946 0000"\ntext = { chat = "https://help.example/chat" }\n'
        law += ('[journeys.other]\nroutes = ["GET /other"]\nwhen_unknown = "throttle"\n'
                'ladder = [{ at = 40, do = "allow" }, { at = 0, do = "throttle" }]\n')
        (home / "playbooks").mkdir(exist_ok=True)
        for journey in ("look", "other") if rules.startswith("routes") else ("other",):
            (home / "playbooks" / f"on_{journey}.toml").write_text(playbook(f"on_{journey}", journey))
    if rules.startswith("routes"):
        many = {"routes10": 10, "routes10k": 10_000}[rules]
        routes = ", ".join(f'"GET /r/{n:04d}/items"' for n in range(many))
        held = 'when_unknown = "allow"\nladder = [{ at = 1, do = "allow" }, { at = 0, do = "throttle" }]'
        ladder = held if playbooks else 'ladder = [{ at = 0, do = "allow" }]'
        law += f"[journeys.look]\nroutes = [{routes}]\n{ladder}\n"
    listed = ", ".join(f'{{ prefix = "{path}", upstream = "up" }}' for path in paths)
    law += f'[[site]]\nhosts = ["127.0.0.1"]\nupstream = "up"\npaths = [{listed}]\n'
    (home / "law.toml").write_text(law)
    return home


class Proxy:
    """A proxy on CPU 0, until it is stopped."""

    def __init__(self, bench, name, rules):
        self.name, self.http, self.tls = name, free_port(), free_port()
        work, upstream, label = bench.work, bench.upstream, f"{name}-{rules}"
        self.env = {}
        if name == "floor":
            command = f"{bench.a.under} {bench.floor()} 127.0.0.1:{self.http} 127.0.0.1:{upstream}"
        elif name.startswith("weir"):
            self.home = weir_rules(work, label, rules, upstream, self.http, self.tls, 100 if name == "weir" else 1)
            binary = bench.a.base if name == "weir-base" else bench.a.weir
            command = f"{bench.a.under} {binary} run --rules {self.home}"
        else:
            command = nginx_conf(work, label, rules, upstream, self.http, self.tls)
        self.log = work / f"{label}.log"
        self.process = bench.start(command, "0", self.log)
        bench.wait(self.http, self.log)
        for extra, journey in (("armed", "look"), ("elsewhere", "other")):
            if extra in rules.split("+"):
                bench.steer(self, "arm", f"on_{journey}", "--reason", "the bench")

    def tree(self):
        found, children = [self.process.pid], {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry))
        for one in found:
            found += children.get(one, [])
        return found

    def cpu(self):
        """Seconds on a CPU so far, of every thread."""
        total = 0
        for one in self.tree():
            for thread in Path(f"/proc/{one}/task").iterdir():
                total += int((thread / "schedstat").read_text().split()[0])
        return total / 1e9

    def stop(self):
        for one in reversed(self.tree()):
            try:
                os.kill(one, signal.SIGTERM)
            except ProcessLookupError:
                pass
        try:
            self.process.wait(8)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Bench:
    def __init__(self, a):
        self.a, self.work, self.running = a, Path(tempfile.mkdtemp(prefix="weir-peers-")), []
        subprocess.run(shlex.split(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost -addext "
            f"subjectAltName=IP:127.0.0.1 -keyout {self.work}/key.pem -out {self.work}/cert.pem"), check=True, stderr=subprocess.DEVNULL)
        (self.work / "key.pem").chmod(0o600)
        (self.work / "load.lua").write_text(
            "local asks, at = {}, 0\n"
            "function init(args) for n = 0, 1023 do asks[n] = wrk.format('GET', string.format(args[1], n % 1000), {"
            + ", ".join(f"['{key}'] = '{value}'" for key, value in HEADERS.items()) + "}) end end\n"
            "function request() at = (at + 1) % 1024; return asks[at] end\n"
            "function done(s, l) local e = s.errors; print(string.format('DONE %d %d %.0f %.0f', s.requests,"
            " e.connect + e.read + e.write + e.status + e.timeout, l:percentile(50), l:percentile(99))) end\n")
        # Each connection rests this long before each request: about half of what the proxy can do.
        (self.work / "paced.lua").write_text((self.work / "load.lua").read_text() + f"function delay() return {a.rest} end\n")
        self.upstream = free_port()
        log = self.work / "upstream.log"
        self.start(upstream_conf(self.work, self.upstream), "1", log)
        self.wait(self.upstream, log)

    def floor(self):
        if self.a.floor:
            return self.a.floor
        built = sorted(Path(self.a.target).glob("release/deps/floor-*"), key=lambda path: path.stat().st_mtime)
        built = [path for path in built if not path.suffix]
        return built[-1] if built else sys.exit("build the floor first: cargo build --release --bench floor")

    def start(self, command, cpu, log):
        with open(log, "w") as out:
            process = subprocess.Popen(["taskset", "-c", cpu, *shlex.split(command)], stdout=out, stderr=out, start_new_session=True)
        self.running.append(process)
        return process

    def wait(self, port, log):
        for _ in range(600):
            try:
                return socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                time.sleep(0.05)
        sys.exit(f"nothing listens on port {port}:\n{log.read_text()[-2000:]}")

    def steer(self, proxy, *words):
        """A command to a running Weir, as an operator types it."""
        socket = proxy.home.parent / "data" / "weir.sock"
        for _ in range(600):  # it is made after the ports are open, and under valgrind that takes a while
            if socket.exists():
                break
            time.sleep(0.05)
        return subprocess.run([self.a.weir, *words, "--socket", str(socket), "--json"], check=True, capture_output=True, text=True).stdout

    def check(self, proxy, rules, path):
        """The rules are really on."""
        rules = rules.split("+")[0]
        for asked, wanted in [(path.replace("%04d", "0007"), 200)] + ([("/.env", 403)] if rules in ("guard", "rules1k", "regex1k") else []):
            connection = http.client.HTTPConnection("127.0.0.1", proxy.http, timeout=30)
            connection.request("GET", asked)
            status = connection.getresponse().status
            connection.close()
            if status != wanted:
                sys.exit(f"{proxy.name} answers {asked} with {status}, not {wanted}")

    def load(self, proxy, case, seconds, script="load"):
        _, path, tls, h2 = case_of(case)
        base = f"https://127.0.0.1:{proxy.tls}" if tls else f"http://127.0.0.1:{proxy.http}"
        if h2:
            fields = [word for key, value in HEADERS.items() for word in ("-H", f"{key}: {value}")]
            return ["h2load", "-t1", "-c8", "-m8", "-D", str(seconds), *fields, base + path]
        return ["wrk", "-t1", "-c64", f"-d{seconds}s", "-s", f"{self.work}/{script}.lua", base, "--", path.replace("%", "%%") if "%04d" not in path else path]

    def measure(self, proxy, case, seconds):
        """Microseconds of CPU a request."""
        before = proxy.cpu()
        said = subprocess.run(["taskset", "-c", "1", *self.load(proxy, case, seconds)], capture_output=True, text=True).stdout
        spent = proxy.cpu() - before
        if found := re.search(r"DONE (\d+) (\d+)", said):
            requests, failed = map(int, found.groups())
        elif found := re.search(r"(\d+) succeeded, (\d+) failed", said):
            requests, failed = map(int, found.groups())
        else:
            sys.exit(f"cannot read the load generator:\n{said}")
        if failed or not requests:
            sys.exit(f"{proxy.name}: {failed} of {requests} requests failed in {case}\n{said}")
        return spent / requests * 1e6, requests / seconds

    def duel(self, case, ours, theirs):
        rules, path, *_ = case_of(case)
        proxies = {name: Proxy(self, name, rules) for name in (ours, theirs)}
        try:
            for proxy in proxies.values():
                if proxy.name != "floor" or rules == "plain":
                    self.check(proxy, rules, path)
                self.measure(proxy, case, 1)
            got = {ours: [], theirs: []}
            for turn in range(self.a.pairs):
                for name in (ours, theirs) if turn % 2 == 0 else (theirs, ours):
                    got[name].append(self.measure(proxies[name], case, self.a.seconds)[0])
        finally:
            for proxy in proxies.values():
                proxy.stop()
        ratios = sorted(a / b for a, b in zip(got[ours], got[theirs]))
        low, high = ratios[len(ratios) // 4], ratios[(3 * len(ratios)) // 4]
        print(f"{case:10} {ours:9} / {theirs:9} {statistics.median(ratios):5.2f}  ({low:.2f} to {high:.2f})  "
              f"{statistics.median(got[ours]):6.1f} us / {statistics.median(got[theirs]):6.1f} us", flush=True)

    def swap(self):
        """p99 at half of saturation, before and while the law (or what is armed) is swapped every second."""
        case = "routes10+playbooks" if self.a.arm else "guard"
        rules, path, *_ = case_of(case)
        proxy = Proxy(self, "weir", rules)
        try:
            self.check(proxy, rules, path)
            self.measure(proxy, case, 2)
            for turn in range(self.a.pairs):
                for swapping in (False, True):
                    swaps = 0
                    load = subprocess.Popen(["taskset", "-c", "1", *self.load(proxy, case, 8, "paced")], stdout=subprocess.PIPE, text=True)
                    began = time.monotonic()
                    while load.poll() is None:
                        time.sleep(1 - (time.monotonic() - began) % 1)
                        if swapping and load.poll() is None:
                            swaps += 1
                            if self.a.arm:
                                on = swaps % 2 == 1
                                self.steer(proxy, *(["arm", "on_look"] if on else ["stand-down", "on_look", "--now"]), "--reason", "the bench")
                                continue
                            law = proxy.home / "law.toml"
                            law.with_suffix(".new").write_text(re.sub(r"\n# swap.*", "", law.read_text()) + f"\n# swap {turn} {swaps}\n")
                            law.with_suffix(".new").rename(law)
                    done = re.search(r"DONE (\d+) (\d+) (\d+) (\d+)", load.stdout.read())
                    requests, failed, p50, p99 = map(int, done.groups())
                    if swapping and self.a.arm and swaps % 2 == 1:
                        self.steer(proxy, "stand-down", "on_look", "--now", "--reason", "the bench")
                    print(f"{'swapping' if swapping else 'at rest':9} {requests:8} requests, {failed} failed, {swaps} {'armings' if self.a.arm else 'swaps'}, "
                          f"p50 {p50} us, p99 {p99} us", flush=True)
        finally:
            proxy.stop()

    def count(self, case, name="weir"):
        """Instructions a request in user space, after a warm-up."""
        rules, path, tls, h2 = case_of(case)
        out = self.work / f"count-{case}-{name}"
        self.a.under = f"valgrind --tool=callgrind --separate-threads=yes --compress-strings=no --compress-pos=no --callgrind-out-file={out}"
        proxy = Proxy(self, name, rules)
        base = f"https://127.0.0.1:{proxy.tls}" if tls else f"http://127.0.0.1:{proxy.http}"
        fields = [word for key, value in HEADERS.items() for word in ("-H", f"{key}: {value}")]
        for asks, word in ((500, "--zero"), (2000, "--dump")):
            load = ["h2load", *([] if h2 else ["--h1"]), "-t1", "-c4", "-m1", "-n", str(asks), *fields, base + path.replace("%04d", "0007")]
            subprocess.run(load, check=True, stdout=subprocess.DEVNULL)
            subprocess.run(["callgrind_control", word, str(proxy.process.pid)], check=True, stdout=subprocess.DEVNULL)
        proxy.stop()
        # The worker's thread is the one with the most; what watches files beside it is not the request's doing.
        parts = [path for path in self.work.glob(f"{out.name}.1-*") if re.search(r"\ntotals: \d", path.read_text())]
        total = max(int(re.search(r"\ntotals: (\d+)", path.read_text())[1]) for path in parts)
        print(f"{case:20} {name:10} {total / 2000:8.0f} instructions a request", flush=True)

    def close(self):
        for process in self.running:
            if process.poll() is None:
                process.terminate()
        if not self.a.keep:
            shutil.rmtree(self.work, ignore_errors=True)


def main():
    target = os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="h1,tls,h2,guard,rules1k,regex1k")
    parser.add_argument("--ours", default="weir", help="weir, weir-lines (a line for every request) or weir-base (see --base)")
    parser.add_argument("--against", default="nginx,floor", help="nginx, nginx-b, floor, weir-base")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--weir", default=f"{target}/release/weir")
    parser.add_argument("--base", default="", help="another Weir to compare with, as weir-base")
    parser.add_argument("--floor", default="", help="the floor's binary; the newest in the target directory if absent")
    parser.add_argument("--target", default=str(target))
    parser.add_argument("--under", default="", help="what to run Weir under")
    parser.add_argument("--rest", type=int, default=6, help="milliseconds that a connection rests before a request, for --swap")
    parser.add_argument("--keep", action="store_true", help="leave the work folder, with what --count found, in place")
    parser.add_argument("--swap", action="store_true")
    parser.add_argument("--arm", action="store_true", help="with --swap: arm and stand down instead of saving a law")
    parser.add_argument("--count", action="store_true")
    a = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    bench = Bench(a)
    try:
        if a.swap:
            bench.swap()
        for case in [] if a.swap else a.cases.split(","):
            if a.count:
                bench.count(case, a.ours)
                continue
            for theirs in a.against.split(","):
                if theirs == "floor" and case_of(case)[0] != "plain" or theirs == "floor" and case_of(case)[2]:
                    continue
                if (case in ONLY_WEIR or "+" in case) and not theirs.startswith("weir"):
                    continue
                bench.duel(case, a.ours, theirs)
    finally:
        bench.close()


if __name__ == "__main__":
    main()
