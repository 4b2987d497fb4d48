// What works now, on a page: <button data-weir-journey="checkout">. What cannot be done now gets
// aria-disabled and the reason beside it, as <span class="weir-reason">. A link or a form that gets only looks.
(function () {
  "use strict";
  var at = "/.well-known/weir/journeys", states = {}, made = 0, wait = 0, ours = new WeakMap();

  function looks(el) {
    return el.tagName === "A" || (el.tagName === "FORM" && !/^(post|dialog)$/i.test(el.getAttribute("method") || ""));
  }

  function stops(el, state) {
    return state === "closed" || state === "by_phone" || (state === "read_only" && !looks(el));
  }

  function mark(el) {
    var by = "aria-describedby", told = states[el.getAttribute("data-weir-journey")], hint = ours.get(el);
    var says = told && (stops(el, told.state) || told.state === "proof") ? told.headline : "";
    if (hint) {
      if (hint.textContent === says && hint.isConnected && hint.state === told.state) return;
      var rest = (el.getAttribute(by) || "").replace(hint.id, "").trim();
      if (rest) el.setAttribute(by, rest);
      else el.removeAttribute(by);
      el.removeAttribute("aria-disabled");
      hint.remove();
      ours.delete(el);
    }
    if (!says) return;
    hint = document.createElement("span");
    hint.id = "weir-" + ++made + "-reason";
    hint.className = "weir-reason";
    hint.textContent = says;
    hint.state = told.state;
    el.insertAdjacentElement(el.tagName === "FORM" ? "afterbegin" : "afterend", hint);
    el.setAttribute(by, ((el.getAttribute(by) || "") + " " + hint.id).trim());
    if (stops(el, told.state)) el.setAttribute("aria-disabled", "true");
    ours.set(el, hint);
  }

  function all() { document.querySelectorAll("[data-weir-journey]").forEach(mark); }

  function apply(told) {
    states = Object.create(null);
    told.journeys.forEach(function (one) { states[one.name] = one; });
    all();
    document.dispatchEvent(new CustomEvent("weir:journeys", { detail: told }));
  }

  function hold(event) {
    var el = event.target.closest && event.target.closest("[data-weir-journey]");
    if (!el || !ours.has(el) || !stops(el, ours.get(el).state)) return;
    if (el.tagName === "FORM" && event.type !== "submit") return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }

  function poll() {
    var most = 3e5;
    fetch(at, { headers: { accept: "application/json" } }).then(function (answer) {
      // Nobody tells any more: nothing is known to be in the way.
      var json = /json/.test(answer.headers.get("content-type"));
      if (answer.status === 404 || (answer.ok && !json)) return { journeys: [] };
      if (!answer.ok) throw answer;
      return answer.json();
    }).then(function (told) { apply(told); most = 6e4; }).catch(function () {}).then(function () {
      wait = Math.min(wait * 2 || 5e3, most);
      setTimeout(listen, wait * (0.75 + Math.random() / 2));
    });
  }

  function listen() {
    if (!window.EventSource) return poll();
    var events = new EventSource(at);
    events.addEventListener("journeys", function (event) { wait = 0; apply(JSON.parse(event.data)); });
    events.onerror = function () { if (events.readyState === 2) poll(); };
  }

  document.addEventListener("click", hold, true);
  document.addEventListener("submit", hold, true);
  new MutationObserver(all).observe(document.documentElement, { childList: true, subtree: true });
  listen();
})();
