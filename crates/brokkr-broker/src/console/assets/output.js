// Shows what an order prints: the last lines, in a terminal's colours, and in place of what is not shown a gap that opens. Every text is
// put in as text.
'use strict';

const LINES_MAX = 2000;
// As many may be unfolded before the page says that the rest is in the download.
const LINES_UNFOLDED_MAX = 20000;
// Lines that stay beside one that was found.
const AROUND = 2;

const bytesOf = (text) => new TextEncoder().encode(text).length;
const endsIn = (text) => text.split('\n').length - 1;
const counted = (number) => `${number.toLocaleString('en')} ${number === 1 ? 'line' : 'lines'}`;

/** Makes lines of pieces, each of which begins where the one before ends. A line knows its place: the bytes before it. */
class Writer {
  constructor(put) {
    this.put = put;
    this.line = null;
    this.style = new Set();
  }

  write(piece) {
    let place = piece.offset;
    for (const text of piece.text.match(/[^\n]*\n|[^\n]+/g) || []) {
      if (!this.line) {
        this.line = document.createElement('span');
        this.line.place = place;
        if (piece.stream === 'system') this.line.className = 'remark';
        this.put(this.line);
      }
      this.append(text);
      place += bytesOf(text);
      if (text.endsWith('\n')) this.line = null;
    }
  }

  append(text) {
    text.split(/(\x1b\[[0-9;:?]*[@-~])/).forEach((part, index) => {
      if (index % 2) { if (part.endsWith('m')) this.colour(part.slice(2, -1)); return; }
      if (!part) return;
      if (!this.style.size) { this.line.append(part); return; }
      const span = document.createElement('span');
      span.className = [...this.style].map((code) => `t${code}`).join(' ');
      span.textContent = part;
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
}

/** A place where something is left out. What it does when it is pressed brings that back. */
function gap(text, open) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'gap';
  button.textContent = text;
  button.addEventListener('click', open);
  return button;
}

class Output {
  constructor(element) {
    this.element = element;
    this.follow = document.getElementById('follow');
    this.search = document.getElementById('search');
    this.fold = document.getElementById('fold');
    this.said = document.getElementById('output-said');
    this.waiting = [];
    this.scheduled = false;
    this.clear(0);
    this.search.addEventListener('input', () => { this.unfolded.clear(); this.find(true); });
    this.fold.addEventListener('change', () => { this.unfolded.clear(); this.find(true); });
    document.querySelectorAll('.scripted').forEach((control) => { control.hidden = false; });
  }

  /** What is shown stays until there is something else to show. */
  clear(attempt) {
    this.attempt = attempt;
    this.waiting = [];
    this.dropped = 0;
    this.linesMax = LINES_MAX;
    this.before = null;
    this.unfolded = new Set();
    this.lines = document.createElement('span');
    this.writer = new Writer((line) => this.lines.append(line));
  }

  add(piece) {
    if (piece.attempt !== this.attempt) this.clear(piece.attempt);
    this.waiting.push(piece);
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => { this.scheduled = false; this.show(); });
  }

  show() {
    const pieces = this.waiting;
    this.waiting = [];
    // Lines that would be dropped at once are never made.
    let first = pieces.length;
    for (let lines = 0; first > 0 && lines <= this.linesMax;) { first -= 1; lines += endsIn(pieces[first].text); }
    if (first > 0) this.writer.line = null;
    pieces.slice(0, first).forEach((piece) => { this.dropped += endsIn(piece.text); });
    pieces.slice(first).forEach((piece) => this.writer.write(piece));
    if (this.lines.parentNode !== this.element) this.element.replaceChildren(this.lines);
    this.drop();
    this.tellWhatIsBefore();
    if (this.follow.checked) this.element.scrollTop = this.element.scrollHeight;
    if (this.search.value) this.find(false);
  }

  all() { return [...this.lines.children].filter((child) => child.localName === 'span'); }

  drop() {
    const lines = this.all();
    lines.slice(0, Math.max(0, lines.length - this.linesMax)).forEach((line) => { line.remove(); this.dropped += 1; });
  }

  tellWhatIsBefore() {
    if (this.before) this.before.remove();
    this.before = null;
    if (!this.dropped) return;
    const more = Math.min(this.dropped, LINES_MAX);
    if (this.linesMax + more > LINES_UNFOLDED_MAX) {
      this.before = gap(`${counted(this.dropped)} before these: they are in the download`, () => {});
      this.before.disabled = true;
    } else {
      this.before = gap(`${counted(this.dropped)} before these: show ${more.toLocaleString('en')} of them`, () => this.unfoldBefore());
    }
    this.element.prepend(this.before);
  }

  /** Fetches lines that were dropped, or never made, and puts them where they belong. */
  async unfoldBefore() {
    this.follow.checked = false;
    const { lines, before } = this;
    before.disabled = true;
    const next = this.all()[0];
    const asked = new URLSearchParams({ attempt: this.attempt, before: next.place });
    let pieces = [];
    try {
      const answer = await fetch(`${this.element.dataset.output}/earlier?${asked}`, { redirect: 'error' });
      if (!answer.ok) throw new Error(String(answer.status));
      pieces = await answer.json();
    } catch {
      before.disabled = false;
      this.said.textContent = 'The broker did not give the lines before these.';
      return;
    }
    // Meanwhile another attempt may have begun, or lines may have been dropped.
    if (this.lines !== lines || this.all()[0] !== next) { this.tellWhatIsBefore(); return; }
    this.putBefore(next, pieces);
  }

  putBefore(next, pieces) {
    const made = [];
    const writer = new Writer((line) => made.push(line));
    pieces.forEach((piece) => writer.write(piece));
    // The first line may have begun before the first piece.
    if (pieces.length && pieces[0].offset > 0 && made.length > 1) made.shift();
    const shown = made.slice(-LINES_MAX);
    const height = this.element.scrollHeight;
    this.lines.prepend(...shown);
    this.linesMax += shown.length;
    this.dropped = shown.length && shown[0].place > 0 ? Math.max(1, this.dropped - shown.length) : 0;
    this.tellWhatIsBefore();
    if (this.search.value) this.find(false);
    this.element.scrollTop += this.element.scrollHeight - height;
    this.element.focus({ preventScroll: true });
  }

  /** Marks the lines that have what is sought, and folds the others where that is wished. */
  find(goThere) {
    const sought = this.search.value.toLowerCase();
    const lines = this.all();
    const found = lines.map((line) => sought !== '' && line.textContent.toLowerCase().includes(sought));
    lines.forEach((line, index) => line.classList.toggle('found', found[index]));
    this.foldAllBut(lines, found, sought !== '' && this.fold.checked);
    const first = lines[found.indexOf(true)];
    if (goThere && first) { this.follow.checked = false; first.scrollIntoView({ block: 'nearest' }); }
    this.said.textContent = sought === '' ? '' : counted(found.filter(Boolean).length);
  }

  foldAllBut(lines, found, folds) {
    this.lines.querySelectorAll(':scope > .gap').forEach((button) => button.remove());
    const near = new Set();
    found.forEach((has, index) => { for (let at = index - AROUND; has && at <= index + AROUND; at += 1) near.add(at); });
    let folded = [];
    const close = (next) => {
      if (!folded.length) return;
      const these = folded;
      folded = [];
      this.lines.insertBefore(gap(counted(these.length), (event) => this.unfold(event.currentTarget, these)), next);
    };
    lines.forEach((line, index) => {
      line.hidden = folds && !near.has(index) && !this.unfolded.has(line);
      if (line.hidden) folded.push(line);
      else close(line);
    });
    close(null);
  }

  unfold(button, lines) {
    this.follow.checked = false;
    lines.forEach((line) => { line.hidden = false; this.unfolded.add(line); });
    button.remove();
    this.element.focus({ preventScroll: true });
  }
}

function followOutput(element) {
  const output = new Output(element);
  let events = null;
  let over = false;
  // A browser has few connections for a broker: a page that nobody sees needs none, and begins again when it is seen.
  const hear = () => {
    if (!isSeen() && events) { events.close(); events = null; }
    if (!isSeen() || events || over) return;
    events = new EventSource(element.dataset.output + element.dataset.query);
    events.addEventListener('open', () => output.clear(0));
    events.addEventListener('output', (event) => output.add(JSON.parse(event.data)));
    events.addEventListener('ended', () => { over = true; events.close(); lookSoon(); });
  };
  document.addEventListener('visibilitychange', hear);
  hear();
}

followOutput(document.getElementById('output'));
