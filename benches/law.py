#!/usr/bin/env python3
"""How fast a change is in force: a rule file that is saved, a playbook that is armed, `weir check`.

    cargo build --release
    benches/law.py                                  # everything, 20 times each
    benches/law.py --only save,arm --times 5

Needs Linux, Python 3.11 and openssl. Everything happens on loopback, against an upstream of its own.

`save` is the time from the rename that puts a rule file in its place to the first answer that follows it, over a connection that
is asked all the time: for the shipped rules, and for those with 10,000 routes and 1,000 conditions more. `arm` is the same for a
playbook: from the start of the command `weir arm` as a process, and from the first byte of the request to the control socket.
`check` is the command as a process. Printed are median, smallest and largest, in milliseconds.
"""

import argparse, http.client, http.server, json, os, shutil, socket, statistics, subprocess, sys, tempfile, threading, time
from pathlib import Path

from peers import conditions, free_port

HERE = Path(__file__).resolve().parent
PROBE = """[[refuse]]
name = "the bench asks whether this law is in force"
when = {{ path = "/bench/probe" }}
status = {status}
"""
MANY = 10_000


class Shop(http.server.BaseHTTPRequestHandler):
    """The upstream: it answers everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Upstream(http.server.ThreadingHTTPServer):
    """Its connections end when Weir's do; that is no error."""

    def handle_error(self, *_):
        pass


class Socket(http.client.HTTPConnection):
    """HTTP over the control socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


class Weir:
    """A running Weir with the shipped rules, or with many more."""

    def __init__(self, a, many):
        self.a, self.work = a, Path(tempfile.mkdtemp(prefix="weir-law-"))
        self.port, self.rules, self.data = free_port(), self.work / "rules", self.work / "data"
        shutil.copytree(HERE.parent / "rules", self.rules)
        self.shop = Upstream(("127.0.0.1", 0), Shop)
        threading.Thread(target=self.shop.serve_forever, daemon=True).start()
        (self.rules / "gateway.toml").write_text(f'admin = "off"\nworkers = 1\n[[listen]]\naddress = "127.0.0.1:{self.port}"\n')
        sites = self.rules / "sites.toml"
        sites.write_text(sites.read_text().replace("127.0.0.1:3000", f"127.0.0.1:{self.shop.server_port}"))
        (self.rules / "bench.toml").write_text(
            '[journeys.bench]\nroutes = ["GET /bench/served"]\nwhen_unknown = "allow"\n'
            'ladder = [{ at = 1, do = "allow" }, { at = 0, do = "throttle" }]\n')
        (self.rules / "playbooks" / "bench.toml").write_text(
            'summary = "The bench holds its own journey."\nowner = "bench"\nexpires = "1h"\n[changes.bench]\nat_most = "throttle"\n'
            + "".join(f'[notice.{word}]\nheadline = "One moment"\ndetail = "Please come back soon."\n' for word in ("en", "de")))
        if many:
            routes = ", ".join(f'"GET /many/{at:05}/{{id}}"' for at in range(MANY))
            (self.rules / "many.toml").write_text(
                f'[journeys.many]\nroutes = [{routes}]\nladder = [{{ at = 0, do = "allow" }}]\n' + conditions(1000))
        self.save(403)
        self.log = open(self.work / "weir.log", "w")
        self.process = subprocess.Popen([a.weir, "run", "--rules", str(self.rules)], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    sys.exit(f"Weir does not start:\n{(self.work / 'weir.log').read_text()[-2000:]}")
                time.sleep(0.05)
        self.client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def save(self, status):
        """Puts another law in place, as an editor does."""
        draft = self.work / "probe.new"
        draft.write_text(PROBE.format(status=status))
        draft.rename(self.rules / "probe.toml")

    def ask(self, path):
        self.client.request("GET", path)
        answer = self.client.getresponse()
        answer.read()
        return answer.status

    def until(self, path, status, began):
        """Milliseconds until a path is answered so."""
        while (said := self.ask(path)) != status:
            if time.monotonic() - began > 60:
                sys.exit(f"{path} is still answered with {said}, not {status}:\n{(self.work / 'weir.log').read_text()[-2000:]}")
            time.sleep(0.0005)
        return (time.monotonic() - began) * 1e3

    def command(self, *words):
        return [self.a.weir, *words, "--socket", str(self.data / "weir.sock"), "--json"]

    def steer(self, *words):
        subprocess.run(self.command(*words), check=True, stdout=subprocess.DEVNULL)

    def close(self):
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.shop.shutdown()
        self.log.close()
        shutil.rmtree(self.work, ignore_errors=True)


def show(what, took):
    print(f"{what:58} median {statistics.median(took):7.1f}  ({min(took):.1f} to {max(took):.1f}) ms, {len(took)} times", flush=True)


def saving(weir, times, what):
    took = []
    for turn in range(times):
        time.sleep(0.3)  # Let the last change come to rest.
        status = 410 if turn % 2 == 0 else 403
        began = time.monotonic()
        weir.save(status)
        took.append(weir.until("/bench/probe", status, began))
    show(f"saved -> in force, {what}", took)


def arming(weir, times, what):
    whole, inside, ended = [], [], []
    for _ in range(times):
        weir.until("/bench/served", 200, time.monotonic())
        began = time.monotonic()
        command = subprocess.Popen(weir.command("arm", "bench", "--reason", "the bench"), stdout=subprocess.DEVNULL)
        whole.append(weir.until("/bench/served", 429, began))
        if command.wait(30):
            sys.exit("weir arm failed")
        weir.steer("stand-down", "bench", "--now", "--reason", "the bench")
        weir.until("/bench/served", 200, time.monotonic())

        control = Socket(weir.data / "weir.sock")
        control.connect()
        began = time.monotonic()
        body = json.dumps({"reason": "the bench"})
        control.request("POST", "/v1/playbooks/bench/arm", body, {"Content-Type": "application/json"})
        answer = control.getresponse()
        said = answer.read()
        if answer.status != 200:
            sys.exit(f"arming was answered with {answer.status}: {said.decode()}")
        inside.append((time.monotonic() - began) * 1e3)
        weir.until("/bench/served", 429, began)
        ended.append((time.monotonic() - began) * 1e3)
        control.close()
        weir.steer("stand-down", "bench", "--now", "--reason", "the bench")
    show(f"`weir arm` -> first request under it, {what}", whole)
    show(f"armed over the socket -> its answer, {what}", inside)
    show(f"armed over the socket -> first request under it, {what}", ended)


def checking(weir, times, what):
    took = []
    for _ in range(times):
        began = time.monotonic()
        subprocess.run([weir.a.weir, "check", str(weir.rules)], check=True, stdout=subprocess.DEVNULL)
        took.append((time.monotonic() - began) * 1e3)
    show(f"`weir check`, {what}", took)


def main():
    target = os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="save,arm,check")
    parser.add_argument("--rules", default="shipped,many", help="shipped, many (10,000 routes and 1,000 conditions more)")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--weir", default=f"{target}/release/weir")
    a = parser.parse_args()
    steps = {"save": saving, "arm": arming, "check": checking}
    for rules in a.rules.split(","):
        weir = Weir(a, rules == "many")
        try:
            for step in a.only.split(","):
                steps[step](weir, a.times, f"{rules} rules")
        finally:
            weir.close()


if __name__ == "__main__":
    main()
