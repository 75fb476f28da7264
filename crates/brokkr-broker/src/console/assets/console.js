// Keeps the live parts of a page fresh. Everything that is put into a page is put in as text, or comes as a whole
// page from the broker, which has escaped it.
'use strict';

// No page looks at itself more often than that, however much changes.
const LOOK_MS = 1000;
// Times pass without any change, and changes may go unheard.
const SLOW_LOOK_MS = 15000;

/** Fetches the page again and exchanges the parts that are marked as live and have changed. */
async function look() {
  const said = document.getElementById('connection');
  try {
    const answer = await fetch(location.href, { redirect: 'manual', headers: { Accept: 'text/html' } });
    if (answer.type === 'opaqueredirect') { location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    for (const part of document.querySelectorAll('[data-live]')) {
      const other = fresh.getElementById(part.id);
      if (other && !isWrittenIn(part) && other.innerHTML !== was.get(part)) {
        was.set(part, other.innerHTML);
        const put = keep(part);
        part.replaceChildren(...document.importNode(other, true).childNodes);
        put();
      }
    }
    said.textContent = '';
  } catch {
    said.textContent = 'The broker does not answer; what is shown may be old.';
  }
}

/** What the broker last said of each live part. */
const was = new Map();

function isWrittenIn(part) {
  const active = document.activeElement;
  return part.contains(active) && active.matches('input:not([type=checkbox]), select, textarea');
}

/** Remembers what people have done to a part: where the focus is, what is ticked, written and unfolded. */
function keep(part) {
  const all = (selector) => [...part.querySelectorAll(selector)];
  const active = part.contains(document.activeElement) ? document.activeElement : null;
  const nameOf = (element) => [element.localName, element.getAttribute('href'), element.getAttribute('value')].join(' ');
  const focused = active && nameOf(active);
  const ticked = new Set(all('input[type=checkbox]:checked').map((box) => box.value));
  const fields = 'input[id]:not([type=checkbox], [type=hidden]), textarea[id]';
  const written = new Map(all(fields).filter((field) => field.value !== field.defaultValue).map((field) => [field.id, field.value]));
  const texts = () => all('details').map((details, index) => `${index} ${details.querySelector('summary').textContent}`);
  const unfolded = new Set(texts().filter((_, index) => all('details')[index].open));
  return () => {
    all('input[type=checkbox]').forEach((box) => { box.checked = ticked.has(box.value); });
    all(fields).forEach((field) => { if (written.has(field.id)) field.value = written.get(field.id); });
    texts().forEach((text, index) => { all('details')[index].open = unfolded.has(text); });
    const same = focused && all(active.localName).find((element) => nameOf(element) === focused);
    if (same) same.focus({ preventScroll: true });
  };
}

const isSeen = () => document.visibilityState === 'visible';
let lookedAt = 0;
let lookComes = false;
let looking = Promise.resolve();

/** Looks at once, or as soon as it may again. What changes during a look is seen by another one after it. */
function lookSoon() {
  if (lookComes) return;
  lookComes = true;
  setTimeout(async () => {
    await looking;
    lookComes = false;
    lookedAt = Date.now();
    if (isSeen()) looking = look();
  }, Math.max(0, lookedAt + LOOK_MS - Date.now()));
}

/** Looks whenever the broker says that something has changed, and seldom if it says nothing. Pages that nobody sees hold no connection. */
function keepLooking() {
  const parts = document.querySelectorAll('[data-live]');
  if (!parts.length) return;
  parts.forEach((part) => was.set(part, part.innerHTML));
  const path = document.getElementById('main').dataset.changes;
  let changes = null;
  const hear = () => {
    if (changes || !isSeen()) return;
    changes = new EventSource(path);
    // Something may have changed before.
    changes.addEventListener('listening', lookSoon);
    changes.addEventListener('changed', lookSoon);
    changes.addEventListener('error', () => {
      if (changes && changes.readyState === EventSource.CLOSED) { changes = null; lookSoon(); }
    });
  };
  document.addEventListener('visibilitychange', () => {
    if (isSeen()) { hear(); lookSoon(); } else if (changes) { changes.close(); changes = null; }
  });
  setInterval(() => { hear(); lookSoon(); }, SLOW_LOOK_MS);
  hear();
}

function theme() {
  const button = document.getElementById('theme');
  const use = (name) => { if (name) document.documentElement.dataset.theme = name; };
  use(localStorage.getItem('theme'));
  if (!button) return;
  button.hidden = false;
  button.addEventListener('click', () => {
    const liked = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
    const next = (document.documentElement.dataset.theme || liked) === 'dark' ? 'light' : 'dark';
    localStorage.setItem('theme', next);
    use(next);
  });
}

theme();
keepLooking();
