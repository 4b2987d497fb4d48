#!/usr/bin/env python3
"""second.py - a company of another kind: a bank and telecom that lives in a mobile app.

Same lines as gen_rba.py (see there), other people.  Most customers use an app with a JSON API and never
fetch a sign-in page.  They sit behind carrier NAT whose exit changes within hours, speak both address
families, roam, use privacy relays, share the family tablet, and let the desk in the shop help them.
Many have short histories.

Without --calm everything disturbing falls into the evaluation window together: an app release that changes
the TLS library of half of the customers overnight, an operating-system wave, a renumbered city, an antivirus
update, a holiday, a marketing push with fresh accounts.  With --calm none of it happens.

Ground truth sits in `truth` and nowhere else.  Own code, standard library only, deterministic for
(seed, scale, calm).  All numbers are assumptions; none is a measurement.

  python3 second.py --seed 11 --scale 0.5 --out second_11.jsonl.gz
  python3 second.py --seed 11 --scale 0.5 --calm --out second_11_calm.jsonl.gz
"""
import argparse, gzip, json, math, random, sys

DAY = 86400.0
T0 = 1756684800.0          # 2025-09-01T00:00:00Z, as gen_rba.py
DAYS = 75
EVAL = 30

# one country per seed, each with its cities: latitude, longitude, weight
LANDS = {"ES": [(40.4, -3.7, 30), (41.4, 2.2, 24), (39.5, -0.4, 12), (37.4, -6.0, 10), (41.6, -0.9, 8), (36.7, -4.4, 8), (43.3, -2.9, 8)],
         "PL": [(52.2, 21.0, 30), (50.1, 19.9, 16), (51.8, 19.5, 12), (51.1, 17.0, 13), (52.4, 16.9, 11), (54.4, 18.6, 10), (53.4, 14.6, 8)],
         "IT": [(41.9, 12.5, 26), (45.5, 9.2, 24), (40.9, 14.3, 16), (45.1, 7.7, 13), (38.1, 13.4, 10), (44.5, 11.3, 9)],
         "SE": [(59.3, 18.1, 34), (57.7, 12.0, 22), (55.6, 13.0, 16), (59.9, 17.6, 10), (58.4, 15.6, 9), (63.8, 20.3, 7)]}
ABROAD = {"FR": (48.9, 2.3, 18), "DE": (52.5, 13.4, 15), "GB": (51.5, -0.1, 14), "PT": (38.7, -9.1, 10), "GR": (38.0, 23.7, 10),
          "TR": (41.0, 29.0, 9), "US": (40.7, -74.0, 8), "MA": (33.6, -7.6, 6), "EG": (30.0, 31.2, 4), "TH": (13.8, 100.5, 4)}

H2 = {"chrome": "1:65536;2:0;4:6291456;6:262144|15663105|0|m,a,s,p", "firefox": "1:65536;2:0;4:131072;5:16384|12517377|0|m,p,a,s",
      "safari": "2:0;3:100;4:2097152;9:1|10420225|0|m,s,a,p", "urlsession": "2:0;4:2097152|10485760|0|m,s,p,a",
      "okhttp": "4:16777216|16711681|0|m,p,a,s", "cronet": "1:65536;2:0;4:6291456;6:262144|15663105|0|m,a,s,p",
      "shield": "1:4096;3:128;4:65535|0|0|m,p,a,s", "go": "2:0;4:4194304;6:10485760|1073741824|0|a,m,p,s"}
# full handshake, resumed, QUIC.  The library of the app before and after the release differ in the middle part.
JA4 = {"chrome": ("t13d1516h2_8daaf6152771_d8a2da3f94cd", "t13d1517h2_8daaf6152771_b6f405a00624", "q13d0312h3_55b375c5d22e_5a1f323ddc56"),
       "firefox": ("t13d1715h2_5b57614c22b0_7121afd63204",) * 3,
       "safari": ("t13d2014h2_a09f3c656075_14788d8d241b",) * 3, "safari26": ("t13d2013h2_a09f3c656075_7f0f34a4126d",) * 3,
       "urlsession": ("t13d2014h2_a09f3c656075_e42f34c56612",) * 3, "urlsession26": ("t13d2013h2_a09f3c656075_92d1ab40c7e5",) * 3,
       "okhttp": ("t13d1812h2_e8a523a41297_eca864cca44a", "t13d1813h2_e8a523a41297_3c2d1f0b9a77", "t13d1812h2_e8a523a41297_eca864cca44a"),
       "cronet": ("t13d1515h2_8daaf6152771_02713d6af862", "t13d1516h2_8daaf6152771_b0da82dd1658", "q13d0311h3_55b375c5d22e_06cda9e17597"),
       "shield": ("t13d751300_479067518aa3_cb17ee1ea1a4",) * 3, "go": ("t13d190900_9dc949149365_97f8aa674fd9",) * 3}
PLAT = {"chrome_win": "Windows", "edge_win": "Windows", "chrome_mac": "macOS", "chrome_android": "Android"}
APP = "Northline"


def pick(r, items):
    """a weighted choice among (value, weight) pairs"""
    x = r.random() * sum(w for _, w in items)
    for v, w in items:
        x -= w
        if x < 0:
            return v
    return items[-1][0]


class Device:
    """a telephone with the app, or a browser; its software moves with time and with the waves of the world"""
    __slots__ = ("kind", "fam", "lag", "model", "cookie", "cset", "keep", "sess", "shield", "dpop", "rel", "wave", "moved", "shared", "hs")

    def __init__(self, w, r, kind):
        self.kind, self.model, self.hs = kind, r.randrange(1000), False
        self.cookie, self.cset, self.sess, self.shared = None, 0.0, {}, False
        self.lag = r.expovariate(1 / 4.0)
        ios = r.random() < w.P["ios"]
        self.fam = {"app": "app_ios" if ios else "app_android", "phone": "safari_ios" if ios else "chrome_android",
                    "tablet": "safari_ios" if r.random() < 0.6 else "chrome_android", "desk": "edge_win"}.get(kind) or pick(
            r, [("chrome_win", 48), ("edge_win", 18), ("firefox_win", 10), ("chrome_mac", 10), ("safari_mac", 14)])
        x = r.random()
        self.keep = "keep" if kind == "desk" or x < (0.90 if kind == "app" else 0.62) else "clear" if kind == "app" or x < 0.80 else "cap7"
        self.dpop = kind == "app" and r.random() < w.P["dpop"]
        # day at which each wave reaches this device; most automatic updates happen in the first night
        self.rel = w.release + (r.uniform(0, 0.5) if r.random() < 0.72 else r.expovariate(1 / 4.0))
        self.wave = w.oswave + (r.expovariate(1 / 5.0) if r.random() < w.P["adopt"] else 1e9)
        self.moved = w.winmove + r.expovariate(1 / 6.0) if self.fam in ("chrome_win", "firefox_win") and r.random() < 0.45 else 1e9
        y = r.random()
        self.shield = -1.0 if kind == "pc" and y < 0.03 else w.shieldup + r.random() if kind == "pc" and y < 0.13 else 1e9

    def client(self, r, t):
        """user agent, platform hint, JA4 and HTTP/2 print at this moment"""
        d = (t - T0) / DAY
        fam = self.fam
        if d >= self.moved:
            fam = "edge_win" if fam == "firefox_win" or self.model % 3 else "firefox_win"
        v26 = d >= self.wave
        c = 139 + int(max(0.0, d - self.lag) / 28 + 0.35)
        ap = "10.%d.0" % int((d - self.rel) / 14) if d >= self.rel else "9.%d.0" % (4 + int(max(0.0, d - self.lag) / 14))
        ios = "26.0" if v26 else "18.6" if self.model % 4 else "18.5"
        if fam == "app_ios":
            ua = f"{APP}/{ap} CFNetwork/3860.100.1 Darwin/25.0.0" if v26 else f"{APP}/{ap} (iPhone; iOS {ios}; Scale/3.00)"
            st, h = ("urlsession26" if v26 else "urlsession"), "urlsession"
        elif fam == "app_android":
            n = 13 + self.model % 3
            new = d >= self.rel
            ua = f"{APP}/{ap} (Linux; Android {n}; Cronet/139.0)" if new else f"{APP}/{ap} (Android {n}; okhttp/4.12.0)"
            st = h = "cronet" if new else "okhttp"
        elif fam == "safari_ios":
            ua = (f"Mozilla/5.0 (iPhone; CPU iPhone OS {ios.replace('.', '_')} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
                  f"Version/{ios} Mobile/15E148 Safari/604.1")
            st, h = ("safari26" if v26 else "safari"), "safari"
        elif fam == "safari_mac":
            ua = f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{ios} Safari/605.1.15"
            st, h = ("safari26" if v26 else "safari"), "safari"
        elif fam == "firefox_win":
            f = 142 + int(max(0.0, d - self.lag) / 28 + 0.6)
            ua = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{f}.0) Gecko/20100101 Firefox/{f}.0"
            st = h = "firefox"
        else:
            sysname = {"chrome_mac": "Macintosh; Intel Mac OS X 10_15_7", "chrome_android": "Linux; Android 10; K"}.get(fam, "Windows NT 10.0; Win64; x64")
            ua = (f"Mozilla/5.0 ({sysname}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{c}.0.0.0{' Mobile' if fam == 'chrome_android' else ''}"
                  f" Safari/537.36{f' Edg/{c}.0.0.0' if fam == 'edge_win' else ''}")
            st = h = "chrome"
        if d >= self.shield:
            st = h = "shield"
        x = r.random()
        return ua, PLAT.get(fam), JA4[st][0 if x < 0.6 else 1 if x < 0.85 else 2], H2[h]

    def web(self):
        return self.kind != "app"


class World:
    """networks, customers and the dates of the disturbing things; `legit` lives their lives"""

    def __init__(self, seed, scale, calm):
        self.seed, self.scale, self.calm = seed, scale, calm
        r = self.r = random.Random(("second", seed).__repr__())
        u = lambda a, b: a + (b - a) * r.random()
        self.P = dict(ios=u(.42, .55), dpop=u(.08, .16), adopt=u(.55, .75), typo=u(.05, .09), mfa=u(.20, .32), bio=u(.05, .10), relay=u(.07, .12), vpn=u(.04, .07), border=u(.04, .06),
                      v6=u(.35, .6), pwned=u(.28, .42), leaked=u(.012, .02), pool=int(u(18, 40)), roam=u(.03, .06), push=u(.18, .3),
                      holiday=u(.16, .26), churn=u(1.5, 4.0))
        self.release = u(36, 42)
        self.oswave, self.winmove = self.release + u(1, 5), self.release + u(-2, 4)
        self.shieldup, self.renumber = self.release + u(0, 8), self.release + u(2, 10)
        a, b = self.release + u(3, 12), self.release + u(-3, 8)
        self.hol, self.pushed = (a, a + u(7, 10)), (b, b + u(8, 14))
        if calm:                                                 # the same company, and nothing happens
            self.release = self.oswave = self.winmove = self.shieldup = self.renumber = 1e9
            self.hol = self.pushed = (1e9, 1e9)
        self.land = pick(r, [(c, 1) for c in LANDS])
        self.cities = LANDS[self.land]
        self.ev, self.geo, self.rep, self.asn_ix = [], {}, {}, {}
        self._networks()
        self._people()

    # ------------------------------------------------------------------ networks
    def _networks(self):
        r = self.r
        nc = len(self.cities)
        self.fixed = [(64600 + i, w) for i, w in enumerate([30, 24, 18, 14, 8, 6])]
        self.mobile = [(64620 + i, w) for i, w in enumerate([36, 30, 22, 12])]
        self.merged = 64640                                      # where a renumbered city's lines go
        self.relay = [64650, 64651]
        self.hosting = [64700 + i for i in range(8)]
        self.abroad = {c: [64800 + 4 * i + j for j in range(4)] for i, c in enumerate(ABROAD)}
        # a carrier's exits in a region: one pool over several /24s, handed out by the hour
        self.pool = {(a, ci): [self.v4(a, ci * 20 + j % 5, 1 + r.randrange(254)) for j in range(self.P["pool"])]
                     for a, _ in self.mobile for ci in range(nc)}
        self.renumbered = (r.randrange(min(3, nc)), self.fixed[r.randrange(2)][0])
        self.shops = [dict(asn=65000, city=pick(r, [(i, c[2]) for i, c in enumerate(self.cities)]), ip=self.v4(65000, 10 + i, 4),
                           desks=[Device(self, r, "desk") for _ in range(r.randint(2, 4))]) for i in range(max(4, int(14 * self.scale)))]

    def v4(self, asn, hi, lo):
        ix = self.asn_ix.setdefault(asn, len(self.asn_ix))
        return f"{244 + ix // 256}.{ix % 256}.{hi % 256}.{lo % 256}"

    def v6(self, r, asn, region, pfx=None):
        p = pfx if pfx is not None else r.randrange(65536)
        return "2001:db8:%x:%x:%x:%x:%x:%x" % ((asn - 64500) * 32 + region, p, *(r.getrandbits(16) for _ in range(4)))

    def where(self, key, cc, city):
        """what a city-level table says of this address; one in twelve is off by a city"""
        if key not in self.geo:
            if cc == self.land:
                g = random.Random((self.seed, key).__repr__())
                c = self.cities[city if g.random() > 0.08 else g.randrange(len(self.cities))]
                self.geo[key] = (cc, c[0], c[1])
            else:
                self.geo[key] = (cc, ABROAD[cc][0], ABROAD[cc][1])
        return self.geo[key]

    def flags(self, key, asn):
        if key not in self.rep:
            g = random.Random((self.seed, "flag", key).__repr__())
            self.rep[key] = (["dc"] if asn in self.hosting else ["vpn"] if asn in self.relay and g.random() < 0.4 else
                             ["proxy"] if g.random() < 0.006 else [])
        return self.rep[key]

    def net(self, ip, asn, cc=None, city=0):
        key = ip if ":" not in ip else ":".join(ip.split(":")[:4])
        cc = cc or self.land
        return ip, asn, self.where(key, cc, city), self.flags(key, asn)

    def cell(self, r, carrier, city, who, t):
        """a carrier exit: another one every few hours, sometimes the neighbouring region's, often IPv6"""
        rr = random.Random((self.seed, who, int(t / (3600 * self.P["churn"]))).__repr__())
        if rr.random() < 0.06:
            city = rr.randrange(len(self.cities))
        if rr.random() < self.P["v6"] * 0.7:
            return self.net(self.v6(r, carrier, city, rr.randrange(65536)), carrier, None, city)
        return self.net(rr.choice(self.pool[(carrier, city)]), carrier, None, city)

    def line(self, r, isp, city):
        return self.v4(isp, city * 36 + r.randrange(36), 1 + r.randrange(254))

    def foreign(self, r, cc, who, day):
        rr = random.Random((self.seed, who, int(day / 2)).__repr__())
        a = rr.choice(self.abroad[cc])
        return self.net(self.v4(a, rr.randrange(256), 1 + rr.randrange(254)), a, cc)

    # ------------------------------------------------------------------ people
    def _people(self):
        r, P = self.r, self.P
        n = int(7000 * self.scale)
        extra = 0 if self.calm else int(n * P["push"])
        self.people, self.homes = [], []
        for i in range(n + extra):
            city = pick(r, [(k, c[2]) for k, c in enumerate(self.cities)])
            x, y = r.random(), r.random()
            push = i >= n
            U = dict(id=f"c{i:06d}", city=city, carrier=pick(r, self.mobile), born=-1.0, trips=[], mfa=r.random() < P["mfa"], bio=r.random() < P["bio"],
                     leaked=r.random() < P["leaked"], pwned=r.random() < P["pwned"], mgr=r.random() < 0.5, remember=r.random() < 0.45,
                     relay=r.random() < P["relay"], vpn=r.random() < P["vpn"], border=None, chrono=r.gauss(0, 1.5), push=push, devs=[],
                     gap=1.2 if x < .14 else 3.0 if x < .34 else 8.0 if x < .55 else 24.0 if x < .78 else 60.0)
            if push:
                U["born"] = r.uniform(*self.pushed)
            elif r.random() < 0.24:
                U["born"] = r.uniform(12, DAYS)
            if y < 0.80:
                U["devs"].append(Device(self, r, "app"))
            if y >= 0.55:
                U["devs"].append(Device(self, r, "pc" if r.random() < 0.62 else "phone"))
            # several accounts of one household share a line, and often one tablet or computer
            if self.homes and not push and r.random() < 0.34 and len(self.homes[-1]["who"]) < 4:
                H = self.homes[-1]
                U["city"] = H["city"]
            else:
                H = dict(city=city, isp=pick(r, self.fixed), v6=r.random() < P["v6"], ip=None, until=0.0, pfx=0, who=[],
                         tab=Device(self, r, "tablet" if r.random() < 0.5 else "pc") if r.random() < 0.30 else None)
                if H["tab"]:
                    H["tab"].shared, H["tab"].keep = True, "keep"
                self.homes.append(H)
            H["who"].append(U)
            U["home"] = H
            if r.random() < P["border"]:                         # works or studies abroad, comes home at week's end
                U["border"] = pick(r, [(c, v[2]) for c, v in ABROAD.items()])
            if r.random() < 0.14:
                s = r.uniform(4, DAYS - 6)
                U["trips"].append((s, s + r.uniform(3, 10), pick(r, [(c, v[2]) for c, v in ABROAD.items()]), r.random() < 0.6))
            if r.random() < P["holiday"] and not self.calm:
                a, b = self.hol
                U["trips"].append((a + r.uniform(-1, 2), b + r.uniform(-2, 2), pick(r, [(c, v[2]) for c, v in ABROAD.items()]) if r.random() < 0.6 else None, r.random() < 0.5))
            self.people.append(U)

    def home_net(self, r, U, dev, t):
        H = U["home"]
        d = (t - T0) / DAY
        isp = self.merged if d >= self.renumber and (H["city"], H["isp"]) == self.renumbered else H["isp"]
        if t >= H["until"] or (isp == self.merged and not H.get("moved")):
            H["moved"] = isp == self.merged
            first = H["ip"] is None
            H["ip"], H["pfx"] = self.line(r, isp, H["city"]), r.randrange(65536)
            H["until"] = t + r.expovariate(1 / (30 * DAY)) + (r.uniform(0, 20 * DAY) if first else 0)
        if H["v6"] and dev.model % 10 < 7:
            return self.net(self.v6(r, isp, H["city"], H["pfx"]), isp, None, H["city"])
        return self.net(H["ip"], isp, None, H["city"])

    def place(self, r, U, t):
        """device, network and group of one visit"""
        d, hour = (t - T0) / DAY, (t % DAY) / 3600
        H = U["home"]
        dev = U["devs"][0] if r.random() < 0.84 else r.choice(U["devs"])
        trip = next((x for x in U["trips"] if x[0] <= d <= x[1]), None)
        if trip and dev.kind != "pc":
            if trip[2] is None:                                  # away inside the country
                city = (U["city"] + 1 + int(trip[0]) % (len(self.cities) - 1)) % len(self.cities)
                return dev, self.cell(r, U["carrier"], city, U["id"], t) if r.random() < 0.6 else self.net(
                    self.line(random.Random((U["id"], int(d)).__repr__()), self.fixed[dev.model % 3][0], city), self.fixed[dev.model % 3][0], None, city), "away"
            if trip[3] and r.random() < 0.7:
                return dev, self.cell(r, U["carrier"], U["city"], U["id"], t), "roaming"
            return dev, self.foreign(r, trip[2], U["id"], d), "roaming" if dev.kind in ("app", "phone") else "away"
        if U["border"] and (t - T0) // DAY % 7 < 5 and r.random() < 0.6:
            if dev.kind in ("app", "phone") and r.random() < 0.6:
                return dev, self.cell(r, U["carrier"], U["city"], U["id"], t), "roaming"
            return dev, self.foreign(r, U["border"], U["id"], d if r.random() < 0.5 else 0), "roaming"
        if U["vpn"] and r.random() < 0.5:
            a = self.hosting[dev.model % 3]
            return dev, self.net(self.v4(a, 220 + dev.model % 4, 1 + r.randrange(40)), a, self.land if r.random() < 0.7 else None, U["city"]), "vpn"
        if H["tab"] and r.random() < 0.22:
            return H["tab"], self.home_net(r, U, H["tab"], t), "family"
        if dev.kind in ("app", "phone"):
            if U["relay"] and dev.kind == "phone" and r.random() < 0.85:
                a = r.choice(self.relay)
                rr = random.Random((self.seed, U["id"], int(t / 7200)).__repr__())
                city = U["city"] if rr.random() < 0.7 else rr.randrange(len(self.cities))
                return dev, self.net(self.v4(a, city * 4 + rr.randrange(4), 1 + rr.randrange(60)), a, None, city), "relay"
            if r.random() < (0.62 if 8 <= hour < 19 else 0.34):
                return dev, self.cell(r, U["carrier"], U["city"], U["id"], t), "cgnat"
        if r.random() < 0.09:                                    # a cafe, work, a friend's line
            a, city = pick(r, self.fixed), U["city"] if r.random() < 0.75 else r.randrange(len(self.cities))
            return dev, self.net(self.line(r, a, city), a, None, city), "elsewhere"
        return dev, self.home_net(r, U, dev, t), "home"

    # ------------------------------------------------------------------ lines of the stream
    def emit(self, t, net, cl, truth, acct, route, method="GET", status=200, out=None, dev=None, setdev=None, sess=None, auth=None, cred=None):
        o = {"t": round(t, 3), "ip": net[0], "asn": net[1], "cc": net[2][0], "geo": [net[2][1], net[2][2]], "rep": net[3], "ua": cl[0], "plat": cl[1],
             "ja4": cl[2], "h2": cl[3], "dev": dev, "setdev": setdev, "sess": sess, "acct": acct, "route": route, "method": method, "status": status,
             "out": out, "auth": auth, "cred": cred, "truth": truth}
        self.ev.append((t, json.dumps(o, separators=(",", ":"))))

    def signal(self, t, acct, event):
        self.ev.append((t, json.dumps({"t": round(t, 3), "type": "set", "event": event, "acct": acct}, separators=(",", ":"))))

    @staticmethod
    def token(r, p):
        return p + "%012x" % r.getrandbits(48)

    @staticmethod
    def clock(r, U=None):
        """hour of day at which people open the app; thieves keep the same hours"""
        x = r.random()
        h = r.gauss(20, 2.6) if x < 0.4 else r.gauss(12.7, 2.0) if x < 0.7 else r.gauss(8.3, 1.4)
        return (h + (U["chrono"] if U else r.gauss(0, 1.5))) % 24

    def auth_of(self, U, t, dev=None):
        acr, amr = ("phr", ["swk", "user"]) if U["bio"] else ("aal2", ["pwd", "otp"]) if U["mfa"] else ("aal1", ["pwd"])
        return {"acr": acr, "amr": amr, "at": int(t), "bind": "dpop" if dev and dev.dpop else None}

    # ------------------------------------------------------------------ one visit
    def visit(self, r, U, t, dev, net, grp, note=None):
        d = (t - T0) / DAY
        truth = {"y": 0, "kind": "legit", "grp": grp}
        if note:
            truth["note"] = note
        if dev.moved <= d and not dev.hs:                        # another browser: half carry their cookies over
            dev.hs = True
            if dev.model % 2:
                dev.cookie, dev.sess = None, {}
        if dev.keep == "clear" or (dev.keep == "cap7" and t - dev.cset > 7 * DAY) or (dev.kind == "app" and r.random() < 0.007):
            dev.cookie, dev.sess = None, {}
        s = dev.sess.get(U["id"])
        if s and s[2] < t:
            s = dev.sess.pop(U["id"]) and None

        def send(route, method="GET", out=None, status=200, acct=U["id"], cred=None):
            ck, setc = dev.cookie, None
            if ck is None:
                dev.cookie, dev.cset = self.token(r, "d"), t
                setc = dev.cookie
            self.emit(t, net, dev.client(r, t), truth, acct, route, method, status, out, ck, setc, s and s[0], s and s[1], cred)
        if dev.web() and r.random() < 0.8:
            send("home", acct=s and U["id"])
            t += r.uniform(1, 10)
        if s is None:
            if dev.web() and r.random() < 0.82:
                send("login_page", acct=None)
                t += r.lognormvariate(1.2 if U["mgr"] else 2.4, 0.7)
            cred = None if U["bio"] else {"pwned": U["pwned"], "pair": U["leaked"]}
            p = 0.0 if U["bio"] else self.P["typo"] * (0.4 if U["mgr"] or dev.kind == "app" else 1.4)
            k = 0
            while r.random() < p:
                send("login", "POST", "fail", 401, cred={"pwned": r.random() < 0.15, "pair": False})
                t += r.lognormvariate(2.5, 0.6)
                k, p = k + 1, 0.3
                if k == 3:                                       # forgotten: by the reset journey, or give up for today
                    if r.random() < 0.4:
                        return t
                    send("reset_request", "POST", "ok", 202)
                    t += r.lognormvariate(4.0, 0.7)
                    send("reset_confirm", "POST", "ok")
                    U["pwned"], U["leaked"] = r.random() < 0.05, False
                    cred = {"pwned": U["pwned"], "pair": False}
                    t += r.uniform(3, 12)
                    break
            mfa = U["mfa"] and not U["bio"]
            send("login", "POST", "mfa" if mfa else "ok", cred=cred)
            if mfa:
                t += r.lognormvariate(2.4, 0.4)
                send("mfa", "POST", "ok")
            long = U["remember"] and dev.keep == "keep" and not dev.shared
            s = dev.sess[U["id"]] = (self.token(r, "s"), self.auth_of(U, t, dev), t + (30 * DAY if long else 1800))
            self.signed.append((t, U, dev, net, s, dev.cookie, grp))
        else:
            self.opened.append((t, U, dev, net, s, dev.cookie, grp))
        brisk = 1.4 if dev.kind == "app" and r.random() < 0.5 else 0.3 if dev.kind == "app" else 0.0
        first = U["born"] > 0 and d - U["born"] < 1.0
        steps = ["account"] + [r.choice(["orders", "account", "browse"]) for _ in range(int(r.expovariate(1 / 1.4)))]
        for x in steps:
            t += r.lognormvariate(2.2 - brisk, 0.8)
            send(x)
        if first and r.random() < 0.5:
            t += r.lognormvariate(3.2 - brisk, 0.6)
            send("payment_add", "POST", "ok")
        for route, p in (("payment_add", 0.025), ("address_change", 0.008), ("email_change", 0.003), ("password_change", 0.005)):
            if r.random() < p:
                t += r.lognormvariate(3.0 - brisk, 0.6)
                send(route, "POST", "ok")
        p = 0.45 if first else 0.16
        while r.random() < p:
            t += r.lognormvariate(2.8 - brisk, 0.7)
            send("checkout", "POST", "ok")
            p = 0.15
        return t

    def staff(self, D, day):
        """the agent's own session on this desk today"""
        return "s%012x" % random.Random((self.seed, D.cookie, day).__repr__()).getrandbits(48)

    def desk(self, r, t, U, shop, D):
        """an agent in the shop acts for the customer, from the shop's browser, under the agent's own session"""
        d = (t - T0) / DAY
        net = self.net(shop["ip"], shop["asn"], None, shop["city"])
        truth = {"y": 0, "kind": "legit", "grp": "desk"}
        if D.cookie is None:
            D.cookie = self.token(r, "d")
        day = int(d)
        s = (self.staff(D, day), {"acr": "aal2", "amr": ["pwd", "hwk"], "at": int(T0 + day * DAY + 8.5 * 3600), "bind": None})

        def send(route, method="GET", out=None, status=200, own=False, cred=None):
            self.emit(t, net, D.client(r, t), truth, U["id"], route, method, status, out, D.cookie, None, None if own else s[0], None if own else s[1], cred)
        x = r.random()
        send("account")
        t += r.lognormvariate(3.4, 0.6)
        if x < 0.30:                                             # a forgotten password, then the customer's own telephone
            send("reset_confirm", "POST", "ok")
            U["pwned"], U["leaked"] = False, False
            return t, True
        if x < 0.5:
            send(r.choice(["address_change", "payment_add"]), "POST", "ok")
            if r.random() < 0.3:
                t += r.lognormvariate(3.4, 0.6)
                send("checkout", "POST", "ok")
            return t, False
        if x < 0.6:
            send("email_change", "POST", "ok")
            return t, False
        send("login", "POST", "mfa" if U["mfa"] else "ok", own=True, cred={"pwned": U["pwned"], "pair": U["leaked"]})   # signs in at the desk
        t += r.lognormvariate(3.0, 0.5)
        if U["mfa"]:
            send("mfa", "POST", "ok", own=True)
            t += 10
        s = (self.token(r, "s"), self.auth_of(U, t))
        if r.random() < 0.6:
            send("checkout", "POST", "ok")
        return t, False

    # ------------------------------------------------------------------ everybody, in time order
    def legit(self):
        r = self.r
        end = T0 + DAYS * DAY
        plan = []
        for U in self.people:
            t = T0 + U["born"] * DAY if U["born"] > 0 else T0 + r.expovariate(1 / (U["gap"] * DAY))
            if U["born"] > 0 and t < end:
                plan.append((t, U["id"], U, None))
            while t < end:
                tt = T0 + math.floor((t - T0) / DAY) * DAY + self.clock(r, U) * 3600
                if tt > T0 + U["born"] * DAY:
                    plan.append((tt, U["id"], U, None))
                    for _ in range(3):                           # comes back the same day
                        if r.random() > 0.28:
                            break
                        tt += r.choice([r.uniform(60, 900), r.uniform(900, 3 * 3600), r.uniform(3 * 3600, 9 * 3600)])
                        plan.append((tt, U["id"], U, None))
                t += max(0.8, r.gammavariate(1.3, U["gap"] / 1.3)) * DAY
            if r.random() < 0.24:
                plan.append((T0 + (int(r.uniform(max(1, U["born"] + 1), DAYS + 8)) + r.uniform(9, 19) / 24) * DAY, U["id"], U, "desk"))
            if U["devs"] and r.random() < 0.10:                  # lost or replaced telephone: reset, and in from the new one
                plan.append((T0 + (r.uniform(max(2, U["born"] + 2), DAYS + 4)) * DAY, U["id"], U, "newphone"))
        plan.sort(key=lambda x: x[:2])
        self.signed, self.opened = [], []
        for t, _, U, how in plan:
            if t >= end - 7200:
                continue
            if how == "desk":
                same = [s for s in self.shops if s["city"] == U["city"]] or self.shops
                shop = r.choice(same)
                t, again = self.desk(r, t, U, shop, r.choice(shop["desks"]))
                if again:
                    dev = U["devs"][0]
                    dev.sess.pop(U["id"], None)
                    self.visit(r, U, t + r.uniform(40, 400), dev, self.cell(r, U["carrier"], shop["city"], U["id"], t), "desk")
                continue
            if how == "newphone":
                k = next((i for i, x in enumerate(U["devs"]) if x.kind in ("app", "phone")), None)
                if k is None:
                    continue
                old, dev = U["devs"][k], Device(self, r, U["devs"][k].kind)
                U["devs"][k] = dev
                if r.random() < 0.6:
                    dev.fam = old.fam
                home = r.random() < 0.6
                net, grp = self.home_net(r, U, dev, t) if home else self.cell(r, U["carrier"], U["city"], U["id"], t), "home" if home else "cgnat"
                if r.random() < 0.45:
                    truth, cl, ck = {"y": 0, "kind": "legit", "grp": grp, "note": "newphone"}, dev.client(r, t), self.token(r, "d")
                    dev.cookie, dev.cset = ck, t
                    self.emit(t, net, cl, truth, U["id"], "reset_request", "POST", 202, "ok", None, ck)
                    t += r.lognormvariate(4.0, 0.6)
                    self.emit(t, net, cl, truth, U["id"], "reset_confirm", "POST", 200, "ok", ck)
                    t += r.uniform(4, 20)
                self.visit(r, U, t, dev, net, grp, "newphone")
                continue
            dev, net, grp = self.place(r, U, t)
            d = (t - T0) / DAY
            if grp in ("home", "cgnat"):
                if U["born"] > 0 and d - U["born"] < 3:
                    grp = "new"
                elif dev.kind == "app" and dev.fam == "app_android" and dev.rel <= d < dev.rel + 3:
                    grp = "release"
                elif grp == "home" and d >= self.renumber and (U["home"]["city"], U["home"]["isp"]) == self.renumbered and d < self.renumber + 7:
                    grp = "renumbered"
            self.visit(r, U, t, dev, net, grp)

    def run(self):
        import thieves
        self.legit()
        thieves.Thieves(self).run()
        end = T0 + DAYS * DAY
        self.ev = [e for e in self.ev if T0 <= e[0] < end]
        self.ev.sort(key=lambda x: x[0])
        return self.ev


def main():
    ap = argparse.ArgumentParser(description="A bank and telecom with a mobile app: lines for the scorer.")
    ap.add_argument("--seed", default="11")
    ap.add_argument("--scale", type=float, default=1.0)
    ap.add_argument("--calm", action="store_true", help="none of the disturbing things")
    ap.add_argument("--out", default="-")
    a = ap.parse_args()
    ev = World(a.seed, a.scale, a.calm).run()
    f = sys.stdout if a.out == "-" else gzip.open(a.out, "wt", compresslevel=5) if a.out.endswith(".gz") else open(a.out, "w")
    for _, s in ev:
        f.write(s + "\n")
    if f is not sys.stdout:
        f.close()
        print(f"{len(ev)} events -> {a.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
