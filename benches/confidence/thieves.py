#!/usr/bin/env python3
"""thieves.py - who attacks the company of second.py.

They come from the victim's own city through exits in ordinary homes, drive real browsers and replicas of the
app with the right prints, and keep the hours of the people they rob.  Each kind is named in truth.kind; the
groups of the honest are second.py's.  Nothing here may be told from honest life by one field alone: audit.py.
"""
import random
from second import DAY, DAYS, EVAL, T0, pick

# how many of each at scale 1: attempts, or thieves
N = dict(stuff_pairs=12500, stuff_fresh=5000, spray=2000, lockout=95, geo=260, relay_otp=70, warm=80, simswap=230, stealer=210, cookie=90,
         alternate=90, farm=24, farm_use=9, insider=18, insider_acts=7, accomplice=0.3, carding=45)
FREQUENT = 0.2         # share of victims drawn by sign-ins; the others by account, so that most have short histories


class Thieves:
    """the hostile part of the stream, drawn from its own generator so that honest life does not move with it"""

    def __init__(self, w):
        self.w, self.r = w, random.Random(("thieves", w.seed).__repr__())
        self.lo, self.hi = EVAL, DAYS - 1.0
        late = [L for L in w.signed if L[0] > T0 + 20 * DAY]
        self.late = late or w.signed
        per = {}
        for L in w.signed:
            per.setdefault(L[1]["id"], []).append(L)
        self.per = list(per.values())

    # ------------------------------------------------------------------ means
    def n(self, k):
        return max(1, int(N[k] * self.w.scale))

    def when(self, lo=None, hi=None):
        r = self.r
        d = int(r.uniform(self.lo if lo is None else lo, self.hi if hi is None else hi))
        return T0 + d * DAY + self.w.clock(r) * 3600

    def victim(self, need_pw=True, session=False):
        """somebody who uses the service; one-time codes and passkeys stop most thieves of passwords"""
        r = self.r
        while True:
            L = r.choice(self.w.opened if session and self.w.opened else self.w.signed if r.random() < FREQUENT else r.choice(self.per))
            U = L[1]
            if session:
                if L[0] < T0 + 24 * DAY or L[4][1]["bind"] and r.random() < 0.97:
                    continue
                return L
            if need_pw and (U["bio"] or U["mfa"] and r.random() < 0.92):
                continue
            return L

    def exit_near(self, U, t, match=None):
        """an exit in the victim's city: the same provider when it can be had, else another's; often another customer's own line"""
        r, w = self.r, self.w
        city = U["city"] if U else pick(r, [(i, c[2]) for i, c in enumerate(w.cities)])
        if match is None:
            match = 0.6
        x = r.random()
        if x < 0.38:
            a = U["carrier"] if U and r.random() < match else pick(r, w.mobile)
            return w.cell(r, a, city, r.random(), t)
        if x < 0.58:                                             # malware in the home of another customer
            for _ in range(6):
                L = r.choice(self.late)
                if L[1]["city"] == city and L[3][2][0] == w.land:
                    return L[3]
        a = U["home"]["isp"] if U and r.random() < match else pick(r, w.fixed)
        d = (t - T0) / DAY
        if d >= w.renumber and (city, a) == w.renumbered:
            a = w.merged
        if r.random() < 0.3:
            return w.net(w.v6(r, a, city), a, None, city)
        return w.net(w.line(r, a, city), a, None, city)

    def exit_any(self, t, home=0.93):
        r, w = self.r, self.w
        if r.random() < home:
            return self.exit_near(None, t)
        if r.random() < 0.5:
            a = r.choice(w.hosting)
            return w.net(w.v4(a, r.randrange(200), 1 + r.randrange(254)), a, None, r.randrange(len(w.cities)))
        return w.foreign(r, pick(r, [(c, 1) for c in ("US", "TR", "DE", "GB", "MA")]), r.random(), (t - T0) / DAY)

    def client(self, t, like=None):
        """the software of a real customer at that moment: a headless browser or a replica of the app"""
        r = self.r
        dev = like or r.choice(self.late)[2]
        return dev.client(r, t), dev

    def say(self, kind, t, net, cl, acct, route, method="GET", status=200, out=None, dev=None, setdev=None, sess=None, auth=None, cred=None):
        self.w.emit(t, net, cl, {"y": 1, "kind": kind, "grp": "attack"}, acct, route, method, status, out, dev, setdev, sess, auth, cred)

    def knock(self, kind, t, net, cl, dev, acct, ok, cred, keep=None):
        """one sign-in with the habits of the client it imitates; the cookie it ends with"""
        r = self.r
        ck, page = keep, t - r.lognormvariate(1.8, 0.8)
        for route, p, at in (("home", 0.8, page - r.uniform(1, 10)), ("login_page", 0.8, page)) if dev.web() else ():
            if r.random() < p:
                new = None if ck else self.w.token(r, "d")
                self.say(kind, at, net, cl, None, route, dev=ck, setdev=new)
                ck = ck or new
        new = None if ck else self.w.token(r, "d")
        self.say(kind, t, net, cl, acct, "login", "POST", 200 if ok else 401, ok or "fail", ck, new, None, None, cred)
        return ck or new

    def enter(self, kind, t, net, cl, dev, U, cred, keep=None, otp=False):
        """a sign-in that succeeds: (cookie, session, auth, moment)"""
        r = self.r
        m = U["mfa"] or otp
        ck = self.knock(kind, t, net, cl, dev, U["id"], "mfa" if m else "ok", cred, keep)
        if m:
            t += r.lognormvariate(2.4, 0.4)
            self.say(kind, t, net, cl, U["id"], "mfa", "POST", 200, "ok", ck)
        return ck, self.w.token(r, "s"), {"acr": "aal2" if m else "aal1", "amr": ["pwd", "otp"] if m else ["pwd"], "at": int(t), "bind": None}, t

    def rob(self, kind, t, net, cl, acct, ck, s, au, steps=None, quick=None):
        """look round, then take: the same pace as people in a hurry"""
        r = self.r
        q = (1.2 if r.random() < 0.5 else 0.2) if quick is None else quick
        for x in ["account"] + [r.choice(["orders", "account", "browse"]) for _ in range(int(r.expovariate(1 / 1.2)))]:
            t += r.lognormvariate(2.2 - q, 0.8)
            self.say(kind, t, net, cl, acct, x, dev=ck, sess=s, auth=au)
        if steps is None:
            steps = []
            if r.random() < 0.35:
                steps.append(r.choice(["payment_add", "payment_add", "email_change", "address_change", "password_change"]))
            if r.random() < 0.75:
                steps.append("checkout")
        for x in steps:
            t += r.lognormvariate(2.9 - q, 0.7)
            self.say(kind, t, net, cl, acct, x, "POST", 200, "ok", ck, None, s, au)
        return t

    def leak(self, U, pair=0.06):
        return {"pwned": U["pwned"] or self.r.random() < 0.06, "pair": U["leaked"] or self.r.random() < pair}

    def alive(self, U, t):
        return t > T0 + (U["born"] + 1.5) * DAY

    # ------------------------------------------------------------------ kinds
    def stuffing(self, kind, pair, pwned, hit, exist):
        """low and slow: one or two tries from a home line, then the next line"""
        r, w = self.r, self.w
        left = self.n(kind)
        s = r.uniform(self.lo, self.hi - 16)
        dur = r.uniform(14, min(30, self.hi - s))
        while left > 0:
            t = self.when(s, s + dur)
            net = self.exit_any(t)
            cl, dev = self.client(t)
            for _ in range(1 + (r.random() < 0.35)):
                U = r.choice(w.people) if r.random() < exist else None
                ok = U and self.alive(U, t) and not U["bio"] and r.random() < hit
                leak = {"pwned": r.random() < pwned, "pair": r.random() < pair}
                acct = U["id"] if U else "x%08x" % r.getrandbits(32)
                if ok and not U["mfa"]:
                    ck, ss, au, tt = self.enter(kind, t, net, cl, dev, U, leak)
                    if r.random() < 0.5:
                        self.rob(kind, tt, net, cl, U["id"], ck, ss, au)
                else:
                    self.knock(kind, t, net, cl, dev, acct, "mfa" if ok else None, leak)
                t += r.lognormvariate(5.5, 1.2)
                left -= 1

    def lockouts(self):
        """wrong passwords on purpose, on a real account, while its owner is about: the owner must not pay"""
        r = self.r
        for _ in range(self.n("lockout")):
            L = r.choice(r.choice(self.per))
            t, U = L[0] - r.uniform(300, 5400), L[1]
            if t < T0 + self.lo * DAY:
                continue
            for _ in range(r.randint(15, 45)):
                net = self.exit_any(t)
                cl, dev = self.client(t)
                self.knock("lockout", t, net, cl, dev, U["id"], None, {"pwned": r.random() < 0.3, "pair": False})
                t += r.uniform(5, 150)

    def passwords(self):
        r, w = self.r, self.w
        for kind, like in (("geo", 0.5), ("relay_otp", 0.9)):    # the right password from the right city
            for _ in range(self.n(kind)):
                L = self.victim(kind == "geo")
                U, t = L[1], self.when()
                if not self.alive(U, t) or U["bio"]:
                    continue
                net = self.exit_near(U, t)
                cl, dev = self.client(t, L[2] if r.random() < like else None)
                if r.random() < 0.1:
                    self.knock(kind, t - r.uniform(8, 40), net, cl, dev, U["id"], None, {"pwned": r.random() < .15, "pair": False})
                ck, s, au, t = self.enter(kind, t, net, cl, dev, U, self.leak(U), otp=kind == "relay_otp")
                self.rob(kind, t, net, cl, U["id"], ck, s, au)
                if r.random() < 0.1:
                    w.signal(t - r.lognormvariate(10.5, 1.3) if r.random() < 0.5 else t + r.lognormvariate(9, 1), U["id"], "risc/credential-compromise")
        for _ in range(self.n("warm")):                          # several quiet visits first, then the theft
            L = self.victim()
            U, t = L[1], self.when(self.lo - 6, self.hi - 6)
            if not self.alive(U, t):
                continue
            cl, dev = self.client(t, L[2] if r.random() < 0.5 else None)
            seat = self.exit_near(U, t)
            ck, k = None, r.randint(3, 5)
            for i in range(k):
                net = seat if r.random() < 0.6 else self.exit_near(U, t)
                cl = dev.client(r, t)
                ck, s, au, t = self.enter("warm", t, net, cl, dev, U, self.leak(U), ck)
                self.rob("warm", t, net, cl, U["id"], ck, s, au, None if i == k - 1 else [])
                t += r.uniform(0.7, 2.6) * DAY
        for _ in range(self.n("simswap")):                       # the number moved to another card: reset and code both arrive
            L = self.victim(False)
            U, t = L[1], self.when()
            if U["bio"] and r.random() < 0.7 or not self.alive(U, t):
                continue
            net = self.exit_near(U, t, 0.8)
            cl, dev = self.client(t, L[2] if r.random() < 0.5 else None)
            ck = w.token(r, "d")
            self.say("simswap", t, net, cl, U["id"], "reset_request", "POST", 202, "ok", None, ck)
            t += r.lognormvariate(4.0, 0.6)
            self.say("simswap", t, net, cl, U["id"], "reset_confirm", "POST", 200, "ok", ck)
            t += r.uniform(4, 20)
            ck, s, au, t = self.enter("simswap", t, net, cl, dev, U, {"pwned": False, "pair": False}, ck, otp=True)
            self.rob("simswap", t, net, cl, U["id"], ck, s, au)

    def stealers(self):
        """what an info-stealer takes from one machine: the device cookie, the session, the password"""
        r = self.r
        for _ in range(self.n("stealer")):                       # signs in with the owner's cookie and software
            L = self.victim()
            t, U, dev = L[0] + r.lognormvariate(11.6, 0.9), L[1], L[2]
            if t < T0 + self.lo * DAY or t > T0 + self.hi * DAY:
                t = max(L[0] + DAY, T0 + r.uniform(self.lo, self.hi) * DAY)
            if t > T0 + self.hi * DAY or not L[5]:
                continue
            net = self.exit_near(U, t, 0.5) if r.random() < 0.75 else self.exit_any(t, 0.8)
            cl = dev.client(r, t)
            ck, s, au, t = self.enter("stealer", t, net, cl, dev, U, self.leak(U, 0.1), L[5])
            self.rob("stealer", t, net, cl, U["id"], ck, s, au)
        for kind in ("cookie", "alternate"):
            for _ in range(self.n(kind)):
                L = self.victim(session=True)
                U, dev, s = L[1], L[2], L[4]
                # replayed later, or in turn with the owner minutes after one of the owner's own requests
                t = L[0] + (r.lognormvariate(10.4, 1.0) if kind == "cookie" else r.uniform(40, 1500))
                if not T0 + self.lo * DAY < t < min(s[2], T0 + self.hi * DAY):
                    continue
                net = self.exit_near(U, t, 0.5) if r.random() < 0.8 else self.exit_any(t, 0.8)
                self.rob(kind, t, net, dev.client(r, t), U["id"], L[5], s[0], s[1],
                         r.choice([["checkout"], ["payment_add", "checkout"], ["checkout", "checkout"], ["email_change"]]))

    def farms(self):
        """a cookie and a line that behave well on throw-away accounts before the evaluation, then are used on others"""
        r, w = self.r, self.w
        for j in range(self.n("farm")):
            t = T0 + r.uniform(10, 22) * DAY
            cl, dev = self.client(t)
            seat, ck = self.exit_near(None, t), None
            own = ["f%06d" % r.randrange(10 ** 6) for _ in range(r.randint(1, 3))]
            while t < T0 + (EVAL - 0.2) * DAY:
                for a in own:
                    U = dict(id=a, mfa=False)
                    ck, s, au, tt = self.enter("farm_build", t, seat, dev.client(r, t), dev, U, {"pwned": False, "pair": False}, ck)
                    self.rob("farm_build", tt, seat, dev.client(r, t), a, ck, s, au, ["checkout"] if r.random() < 0.2 else [])
                    t += r.uniform(600, 7200)
                t += r.uniform(0.7, 2.5) * DAY
            t = T0 + r.uniform(EVAL, 60) * DAY
            for _ in range(r.randint(N["farm_use"] // 2, N["farm_use"] * 2)):
                U = self.victim()[1]
                if self.alive(U, t) and t < T0 + self.hi * DAY:
                    cl = dev.client(r, t)
                    net = seat if r.random() < 0.6 else self.exit_near(U, t)
                    _, s, au, tt = self.enter("farm", t, net, cl, dev, U, self.leak(U, 0.3), ck)
                    self.rob("farm", tt, net, cl, U["id"], ck, s, au)
                t += r.lognormvariate(9.5, 1.2)

    def insiders(self):
        """an agent changes what an absent customer owns, in the middle of honest work, and a friend signs in"""
        r, w = self.r, self.w
        for _ in range(self.n("insider")):
            shop = r.choice(w.shops)
            D = r.choice(shop["desks"])
            day = int(r.uniform(self.lo, self.hi - 8))
            for _ in range(r.randint(N["insider_acts"] // 2, N["insider_acts"] * 2)):
                day += r.choice([0, 0, 1, 1, 2])
                t = T0 + day * DAY + r.uniform(9, 19) * 3600
                U = r.choice(w.people)                           # as the honest desk's customers: any account, seldom a busy one
                if not self.alive(U, t) or day >= self.hi or D.cookie is None:
                    continue
                net = w.net(shop["ip"], shop["asn"], None, shop["city"])
                au = {"acr": "aal2", "amr": ["pwd", "hwk"], "at": int(T0 + day * DAY + 8.5 * 3600), "bind": None}
                s = w.staff(D, day)
                cl = D.client(r, t)
                self.say("insider", t, net, cl, U["id"], "account", dev=D.cookie, sess=s, auth=au)
                t += r.lognormvariate(3.2, 0.6)
                act = r.choice(["reset_confirm", "email_change", "payment_add", "address_change"])
                self.say("insider", t, net, cl, U["id"], act, "POST", 200, "ok", D.cookie, None, s, au)
                if act in ("reset_confirm", "email_change") and r.random() < N["accomplice"]:
                    t += r.lognormvariate(7.2, 1.0)
                    c2, d2 = self.client(t)
                    n2 = self.exit_near(U, t)
                    ck, s, au, t = self.enter("accomplice", t, n2, c2, d2, U, {"pwned": False, "pair": False}, otp=U["mfa"])
                    self.rob("accomplice", t, n2, c2, U["id"], ck, s, au)

    def carding(self):
        """an account minutes old tries stolen cards until one is taken; a few accounts share a cookie"""
        r, w = self.r, self.w
        ck, dev, cl, net = None, None, None, None
        for _ in range(self.n("carding")):
            t = self.when()
            if dev is None or r.random() < 0.7:
                net = self.exit_any(t, 0.97)
                cl, dev = self.client(t)
                ck = None
            U = dict(id="n%07d" % r.randrange(10 ** 7), mfa=r.random() < 0.3)
            ck, s, au, t = self.enter("carding", t, net, dev.client(r, t), dev, U, {"pwned": r.random() < 0.1, "pair": False}, ck)
            steps = []
            for _ in range(1 + int(r.expovariate(1 / 1.5))):
                steps += ["payment_add", "checkout"] if r.random() < 0.5 else ["checkout"]
            self.rob("carding", t, net, dev.client(r, t), U["id"], ck, s, au, steps)

    def run(self):
        self.stuffing("stuff_pairs", 0.7, 0.85, 0.05, 0.22)
        self.stuffing("stuff_fresh", 0.03, 0.45, 0.04, 0.22)
        self.stuffing("spray", 0.02, 0.98, 0.004, 0.5)
        self.lockouts()
        self.passwords()
        self.stealers()
        self.farms()
        self.insiders()
        self.carding()
        r = self.r
        for U in r.sample(self.w.people, max(1, len(self.w.people) // 300)):          # the feed cries wolf
            self.w.signal(T0 + r.uniform(self.lo, self.hi) * DAY, U["id"], "risc/credential-compromise")
