// Keeps a page up to date: when the server says that the campaign has changed, the page is asked for
// again and the parts marked data-live take the place of those shown. Changes are asked for in a
// dialog, and forms with data-auto are sent when something in them changes. All of it works without
// this script too, by reloading.

const SETTLED = 250; // ms without a key until a search is sent

async function fresh(address) {
  const answer = await fetch(address, { headers: { accept: "text/html" } });
  if (!answer.ok && answer.status !== 404) throw new Error(answer.statusText);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

function isBusy(part) {
  // What somebody types into or has opened stays as it is.
  return part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea");
}

function takeOver(page, everything = false) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = page.querySelector(`[data-live="${CSS.escape(part.dataset.live)}"]`);
    if (!now || (!everything && isBusy(part)) || now.innerHTML === part.dataset.last) continue;
    part.dataset.last = now.innerHTML;
    part.className = now.className;
    part.replaceChildren(...now.cloneNode(true).childNodes);
  }
  document.dispatchEvent(new CustomEvent("fresh"));
}

let refreshing = null;
let again = false;

export async function refresh() {
  if (refreshing) {
    again = true;
    return refreshing;
  }
  refreshing = fresh(location.href)
    .then((page) => takeOver(page))
    .catch(() => say("no answer from the server", true))
    .finally(() => {
      refreshing = null;
      if (again) {
        again = false;
        refresh();
      }
    });
  return refreshing;
}

function say(text, isLost = false) {
  const place = document.getElementById("connection");
  place.textContent = text;
  place.classList.toggle("lost", isLost);
}

// Events. A page that nobody looks at holds no connection: browsers have few for one server.
let source = null;
let known = null;

function listen() {
  if (source || document.hidden) return;
  source = new EventSource(`/events?campaign=${encodeURIComponent(document.body.dataset.campaign)}`);
  const heard = (event) => {
    say("live");
    if (known !== null && event.data !== known) refresh();
    known = event.data;
  };
  source.addEventListener("now", heard);
  source.addEventListener("changed", heard);
  source.onerror = () => {
    say("connection lost, trying again", true);
    if (source.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(listen, 5000);
    }
  };
}

if (document.querySelector("[data-live]")) {
  listen();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden && source) {
      source.close();
      source = null;
    } else {
      listen();
    }
  });
  addEventListener("pagehide", () => source?.close());
}

// Dialogs.
const dialog = document.getElementById("dialog");

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-dialog]")) return;
  event.preventDefault();
  const address = `${form.getAttribute("action")}?${new URLSearchParams(new FormData(form))}`;
  try {
    const page = await fresh(address);
    const asked = page.getElementById("confirm");
    if (!asked) throw new Error("no question");
    dialog.replaceChildren(asked);
    dialog.showModal();
    dialog.querySelector("input:not([type=hidden]), button").focus();
  } catch {
    location.href = address;
  }
});

dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) {
    event.preventDefault();
    dialog.close();
  }
});

// Searches and choices.
let typing = 0;

async function send(form) {
  const fields = [...new FormData(form)].filter(([, value]) => value);
  const query = new URLSearchParams(fields).toString();
  const address = location.pathname + (query ? `?${query}` : "");
  if (!document.querySelector("[data-live]") || form.dataset.auto === "reload") {
    location.href = address;
    return;
  }
  history.replaceState(null, "", address);
  takeOver(await fresh(address), true);
}

for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("input", (event) => {
    if (!event.target.name) return; // it is for another script
    clearTimeout(typing);
    typing = setTimeout(() => send(form), event.target.matches("select, [type=checkbox]") ? 0 : SETTLED);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(typing);
    send(form);
  });
}
