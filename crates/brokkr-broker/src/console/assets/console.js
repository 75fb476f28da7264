// Keeps the live parts of a page fresh and follows output. Everything that is put into a page is put in as text, or comes as a whole
// page from the broker, which has escaped it.
'use strict';

// No page looks at itself more often than that, however much changes.
const LOOK_MS = 1000;
// Times pass without any change, and changes may go unheard.
const SLOW_LOOK_MS = 15000;
const LINES_MAX = 2000;

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

/** The output of an order: the last lines of it, in the terminal's colours. */
class Output {
  constructor(element) {
    this.element = element;
    this.waiting = [];
    this.scheduled = false;
    this.clear();
    this.follow = document.getElementById('follow');
    this.search = document.getElementById('search');
    this.said = document.getElementById('output-said');
    this.search.addEventListener('input', () => this.mark());
    document.querySelectorAll('.scripted').forEach((control) => { control.hidden = false; });
  }

  clear() {
    this.waiting = [];
    this.lines = 0;
    this.dropped = 0;
    this.style = new Set();
    this.line = null;
    this.fresh = true;
  }

  add(text) {
    this.waiting.push(text);
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => { this.scheduled = false; this.show(); });
  }

  show() {
    if (this.fresh) { this.element.replaceChildren(); this.fresh = false; }
    let lines = this.waiting.join('').split('\n');
    this.waiting = [];
    // Lines that would be dropped at once are never made.
    if (lines.length > LINES_MAX + 1) {
      this.dropped += lines.length - LINES_MAX - 1;
      lines = lines.slice(-LINES_MAX - 1);
      this.line = null;
    }
    lines.forEach((text, index) => {
      if (index > 0 || !this.line) {
        this.line = document.createElement('span');
        this.element.append(this.line);
        this.lines += 1;
      }
      this.write(text + (index < lines.length - 1 ? '\n' : ''));
    });
    while (this.lines > LINES_MAX) { this.element.firstChild.remove(); this.lines -= 1; this.dropped += 1; }
    this.said.textContent = this.dropped ? `${this.dropped} lines before these are in the download` : '';
    if (this.follow.checked) this.element.scrollTop = this.element.scrollHeight;
    if (this.search.value) this.mark();
  }

  write(text) {
    text.split(/(\x1b\[[0-9;:?]*[@-~])/).forEach((piece, index) => {
      if (index % 2) { if (piece.endsWith('m')) this.colour(piece.slice(2, -1)); return; }
      if (!piece) return;
      if (!this.style.size) { this.line.append(piece); return; }
      const span = document.createElement('span');
      span.className = [...this.style].map((code) => `t${code}`).join(' ');
      span.textContent = piece;
      this.line.append(span);
    });
  }

  colour(codes) {
    for (const code of codes.split(/[;:]/).map(Number)) {
      if (code === 0) this.style.clear();
      else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) { this.plain(); this.style.add(code); }
      else if (code === 39) this.plain();
      else if ([1, 3, 4].includes(code)) this.style.add(code);
      else if (code === 38 || code === 48) break;
    }
  }

  plain() { [...this.style].filter((code) => code >= 30).forEach((code) => this.style.delete(code)); }

  mark() {
    const sought = this.search.value.toLowerCase();
    let found = 0;
    let first = null;
    for (const line of this.element.children) {
      const has = sought !== '' && line.textContent.toLowerCase().includes(sought);
      line.classList.toggle('found', has);
      if (has) { found += 1; first = first || line; }
    }
    if (sought === '') return;
    this.said.textContent = `${found} lines`;
    if (first) { this.follow.checked = false; first.scrollIntoView({ block: 'nearest' }); }
  }
}

function followOutput() {
  const element = document.getElementById('output');
  if (!element || !element.dataset.follow) return;
  const output = new Output(element);
  let events = null;
  let over = false;
  // A browser has few connections for a broker: a page that nobody sees needs none, and begins again when it is seen.
  const hear = () => {
    if (!isSeen() && events) { events.close(); events = null; }
    if (!isSeen() || events || over) return;
    events = new EventSource(element.dataset.follow);
    events.addEventListener('open', () => output.clear());
    events.addEventListener('output', (event) => output.add(JSON.parse(event.data).text));
    events.addEventListener('ended', () => { over = true; events.close(); lookSoon(); });
  };
  document.addEventListener('visibilitychange', hear);
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
followOutput();
keepLooking();
