"use strict";
// Keeps an open page up to date, and gives it keys. Every page works without this.
(() => {
  const main = document.getElementById("main");
  const link = document.getElementById("link");
  const policy = window.trustedTypes
    ? trustedTypes.createPolicy("docket", { createHTML: (text) => text })
    : { createHTML: (text) => text };

  // Light and dark ------------------------------------------------------------------------------------------

  const SCHEMES = ["", "light", "dark"];
  const kept = {
    get: (name) => { try { return localStorage.getItem("docket-" + name) || ""; } catch { return ""; } },
    set: (name, value) => { try { localStorage.setItem("docket-" + name, value); } catch { /* not allowed */ } },
  };
  const paint = () => { document.documentElement.dataset.scheme = kept.get("scheme"); };
  paint();
  window.addEventListener("storage", paint);

  // The line that says "Cancelled 3 tasks" is about what just happened: a reload does not repeat it.
  if (document.querySelector("[data-done]")) {
    const here = new URL(location.href);
    for (const name of ["done", "n", "others", "what"]) here.searchParams.delete(name);
    history.replaceState(null, "", here);
  }

  // Live ----------------------------------------------------------------------------------------------------
  // One stream for each browser: over HTTP/1.1 it has six connections to a server, and a stream holds one. The page
  // that was looked at last has it; the others ask from time to time. So does a page whose stream brings nothing, as
  // behind a proxy that gathers answers.

  const EVERY = 5000, PATIENCE = 6000;
  const me = String(Math.random());
  const others = window.BroadcastChannel ? new BroadcastChannel("docket-live") : null;
  const shown = new Map();
  let source = null, timer = 0, silent = 0, streams = true;

  const say = (kind, text) => {
    if (!link || (link.textContent === text && link.className === kind)) return;
    link.className = kind;
    link.textContent = text;
  };
  const inUse = (place) => place.contains(document.activeElement) && document.activeElement !== place
    || place.querySelector("input:checked, details[open]") !== null
    || (!getSelection().isCollapsed && place.contains(getSelection().anchorNode));
  const show = (parts) => {
    for (const [id, text] of Object.entries(parts)) {
      const place = document.getElementById(id);
      if (!place || shown.get(id) === text || inUse(place)) continue;
      shown.set(id, text);
      place.innerHTML = policy.createHTML(text);
    }
    mark(row);
  };
  async function ask() {
    try {
      const answer = await fetch(main.dataset.parts, { credentials: "same-origin", headers: { accept: "application/json" } });
      const parts = await answer.json();
      if (parts.away) return say("away", parts.away);
      if (!answer.ok) throw new Error(answer.status);
      show(parts);
      say("slow", "every 5 s");
    } catch { say("away", "no connection; trying again"); }
  }
  const poll = () => { if (!timer) timer = setInterval(ask, EVERY); };
  const rest = () => { clearInterval(timer); timer = 0; };
  const close = () => { if (source) source.close(); source = null; clearTimeout(silent); };
  function open() {
    if (!main?.dataset.live || kept.get("live") === "off" || document.hidden || source) return;
    rest();
    if (!window.EventSource || !streams) { ask(); poll(); return; }
    source = new EventSource(main.dataset.live);
    others?.postMessage(me);
    silent = setTimeout(() => { streams = false; close(); open(); }, PATIENCE);
    const heard = () => clearTimeout(silent);
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) { close(); poll(); }  // the server has refused
      say("away", "no connection; trying again");
    };
    source.addEventListener("parts", (event) => { heard(); show(JSON.parse(event.data)); say("live", "live"); });
    source.addEventListener("away", (event) => { heard(); say("away", JSON.parse(event.data)); });
  }
  function stop() { close(); rest(); }
  function begin() {
    if (kept.get("live") === "off") { stop(); say("", "paused by you (l)"); } else open();
  }
  if (others) others.onmessage = (event) => { if (event.data !== me && source) { close(); if (!document.hidden) { say("slow", "every 5 s"); poll(); } } };
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else begin(); });
  window.addEventListener("focus", begin);
  window.addEventListener("pagehide", stop);
  window.addEventListener("pageshow", begin);

  // A page that came while Redis was away has nothing to keep up to date: it looks whether that is over.
  if (main?.querySelector(".away-page")) {
    say("away", "trying again each 5 s");
    setTimeout(() => location.reload(), EVERY);
  }

  // Keys ----------------------------------------------------------------------------------------------------

  let row = -1, goes = 0;
  const rows = () => [...document.querySelectorAll("main tbody tr")];
  function mark(at) {
    const all = rows();
    all.forEach((each, number) => each.classList.toggle("at", number === at));
  }
  function move(by) {
    const all = rows();
    if (!all.length) return;
    row = Math.min(Math.max(row + by, 0), all.length - 1);
    mark(row);
    all[row].scrollIntoView({ block: "nearest" });
  }
  const help = document.getElementById("help");
  const keys = {
    "/": () => document.querySelector("form[role=search] input:not([type=hidden])")?.focus(),
    "?": () => (help?.open ? help.close() : help?.showModal()),
    g: () => { goes = Date.now(); },
    j: () => move(1),
    k: () => move(-1),
    x: () => rows()[row]?.querySelector("input[type=checkbox]")?.click(),
    Enter: () => (rows()[row]?.querySelector("a.key") ?? rows()[row]?.querySelector("a"))?.click(),
    l: () => { kept.set("live", kept.get("live") === "off" ? "" : "off"); begin(); },
    t: () => { kept.set("scheme", SCHEMES[(SCHEMES.indexOf(kept.get("scheme")) + 1) % SCHEMES.length]); paint(); },
  };
  document.addEventListener("keydown", (event) => {
    const on = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(on.tagName)) {
      if (event.key === "Escape" || (on.type === "checkbox" && "jkx".includes(event.key))) on.blur(); else return;
    }
    if (Date.now() - goes < 1500 && event.key !== "g") {
      goes = 0;
      const there = document.querySelector(`#nav a[data-key="${CSS.escape(event.key)}"]`);
      if (there) { event.preventDefault(); there.click(); return; }
    }
    if (event.key === "Enter" && (/^(A|BUTTON|SUMMARY)$/.test(on.tagName) || row < 0)) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });

  // The box above a column of boxes checks them all.
  document.documentElement.dataset.script = "";
  document.addEventListener("change", (event) => {
    const table = event.target.matches("[data-all]") && event.target.closest("table");
    for (const box of table ? table.querySelectorAll("tbody input[name=key]") : []) box.checked = event.target.checked;
  });

  // Buttons that copy what stands beside them.
  document.addEventListener("click", (event) => {
    const from = event.target.closest?.("[data-copy]");
    if (!from) return;
    const text = document.getElementById(from.dataset.copy)?.textContent ?? "";
    navigator.clipboard?.writeText(text).then(() => { from.textContent = "Copied"; });
  });
  for (const each of document.querySelectorAll("[data-copy]")) each.hidden = !navigator.clipboard;

  begin();
})();
