// What the page does beyond being read: it swaps in the pieces that the
// daemon says have changed, counts down, filters as one types, and copies.
// Without it the page reads the same and is refreshed by hand.

const body = document.body;
const main = document.querySelector('main');
const link = document.getElementById('link');
const list = document.getElementById('apps');
const search = document.querySelector('.search');
const AGAIN = 15_000;

document.documentElement.classList.add('js');

// Addresses that name an app behind the hash lead to its page.
function follow() {
  const named = /^#app=([a-z0-9/-]+)$/.exec(location.hash.replaceAll('%2F', '/'));
  if (named) location.replace(`/apps/${named[1]}`);
}
addEventListener('hashchange', follow);
follow();

// --- Time ---

// The daemon's clock counts, not that of this machine.
let offset = 0;
const setClock = (now) => {
  const server = Date.parse(now);
  if (!Number.isNaN(server)) offset = server - Date.now();
};

const span = (seconds) => {
  const two = (big, unit, small, less) => (small ? `${big} ${unit} ${small} ${less}` : `${big} ${unit}`);
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), 'min', s % 60, 's');
  if (s < 86_400) return two(Math.floor(s / 3600), 'h', Math.floor(s / 60) % 60, 'min');
  return two(Math.floor(s / 86_400), 'd', Math.floor(s / 3600) % 24, 'h');
};

const ago = (seconds) => {
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
};

const set = (node, text) => {
  if (node.textContent !== text) node.textContent = text;
};

function tick() {
  const now = Date.now() + offset;
  for (const time of document.querySelectorAll('time.ago')) {
    const at = Date.parse(time.dateTime);
    time.title ||= `${time.dateTime.replace('T', ' ').replace('Z', ' UTC')}`;
    set(time, ago((now - at) / 1000));
  }
  for (const time of document.querySelectorAll('time.until')) {
    set(time, span(Math.ceil((Date.parse(time.dateTime) - now) / 1000)));
  }
  for (const bar of document.querySelectorAll('progress[data-until]')) {
    const left = (Date.parse(bar.dataset.until) - now) / 1000;
    bar.value = Math.min(bar.max, Math.max(0, bar.max - left));
  }
}

// --- Swapping in what changed ---

const fresh = (html) => {
  const template = document.createElement('template');
  template.innerHTML = html;
  return template.content.firstElementChild;
};

const keyOf = (node) => (node.nodeType === 1 ? node.dataset?.key || node.id || '' : '');
const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

// Makes `old` like `wanted` and keeps every node that may stay, so that focus,
// selection and scrolling stay too and a dot changes its colour in place.
function morph(old, wanted) {
  if (old.nodeType !== 1) {
    if (old.data !== wanted.data) old.data = wanted.data;
    return;
  }
  // The clock goes on by itself.
  if (old.nodeName === 'TIME' && old.dateTime === wanted.dateTime) return;
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  let at = old.firstChild;
  for (const child of [...wanted.childNodes]) {
    let found = at;
    if (keyOf(child)) {
      while (found && !alike(found, child)) found = found.nextSibling;
    } else if (found && !alike(found, child)) {
      found = null;
    }
    if (found) {
      if (found !== at) old.insertBefore(found, at);
      else at = at.nextSibling;
      morph(found, child);
    } else {
      old.insertBefore(child, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function place(item) {
  const { previousElementSibling: before, nextElementSibling: behind } = item;
  const fits = (!before || before.dataset.sort < item.dataset.sort) && (!behind || item.dataset.sort < behind.dataset.sort);
  if (fits) return;
  const after = [...list.children].find((other) => other !== item && other.dataset.sort > item.dataset.sort);
  // Moving takes the focus away.
  const focused = item.contains(document.activeElement) ? document.activeElement : null;
  list.insertBefore(item, after ?? null);
  focused?.focus();
}

function swap(id, html) {
  const old = document.getElementById(id);
  if (html === null) {
    old?.remove();
    return;
  }
  const wanted = fresh(html);
  if (old) morph(old, wanted);
  else if (list && wanted.nodeName === 'LI') list.append(wanted);
  const item = document.getElementById(id);
  if (item?.nodeName === 'LI' && list) place(item);
}

function shown() {
  filter();
  tick();
}

async function reread() {
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } });
  if (!answer.ok) throw new Error(`the daemon answers ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const typed = search?.elements.q.value;
  morph(main, page.querySelector('main'));
  if (typed !== undefined) search.elements.q.value = typed;
  body.dataset.version = page.body.dataset.version;
  setClock(page.body.dataset.now);
  shown();
}

// --- Live ---

let source = null;
let timer = 0;

const say = (text, live) => {
  set(link, text);
  link.classList.toggle('live', live);
};

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
}

async function reading() {
  const broken = await reread().then(() => false, () => true);
  say(broken ? 'The daemon does not answer' : 'Read every 15 s', false);
  timer = setTimeout(open, AGAIN);
}

function open() {
  close();
  if (!body.dataset.events || document.hidden) return;
  const address = new URL(body.dataset.events, location.origin);
  address.searchParams.set('since', body.dataset.version);
  const mine = new EventSource(address);
  source = mine;
  mine.onopen = () => say('Live', true);
  mine.onerror = () => {
    if (mine !== source) return;
    // The browser tries again by itself, unless it was told no.
    if (mine.readyState === EventSource.CLOSED) reading();
    else say('Reconnecting', false);
  };
  mine.addEventListener('parts', (event) => {
    const { now, parts } = JSON.parse(event.data);
    setClock(now);
    for (const [id, html] of Object.entries(parts)) swap(id, html);
    body.dataset.version = event.lastEventId;
    shown();
  });
  mine.addEventListener('resync', () => reread().catch(() => say('Reconnecting', false)));
}

// A page that nobody sees costs nothing; seen again, it catches up.
document.addEventListener('visibilitychange', () => (document.hidden ? close() : open()));
addEventListener('pagehide', close);
addEventListener('pageshow', (event) => event.persisted && open());

// --- Filter ---

function filter() {
  if (!list) return;
  const words = search.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kind = search.elements.show.value;
  let any = false;
  for (const item of list.children) {
    const fits = (!kind || item.dataset.kind === kind) && words.every((word) => item.dataset.find.includes(word));
    if (item.hidden === fits) item.hidden = !fits;
    any ||= fits;
  }
  document.getElementById('first')?.toggleAttribute('hidden', list.children.length > 0);
  document.getElementById('none').hidden = any || list.children.length === 0;
  for (const tile of document.querySelectorAll('[data-show]')) {
    const current = String(tile.dataset.show === kind);
    if (tile.getAttribute('aria-current') !== current) tile.setAttribute('aria-current', current);
  }
}

function remember() {
  const query = new URLSearchParams();
  for (const name of ['q', 'show']) {
    if (search.elements[name].value) query.set(name, search.elements[name].value);
  }
  history.replaceState(null, '', query.size ? `/?${query}` : '/');
  filter();
}

if (search) {
  search.addEventListener('input', remember);
  search.addEventListener('submit', (event) => {
    event.preventDefault();
    remember();
  });
  main.addEventListener('click', (event) => {
    const tile = event.target.closest('[data-show]');
    if (!tile || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    search.elements.show.value = tile.dataset.show;
    remember();
  });
  addEventListener('keydown', (event) => {
    const typing = event.target.closest('input');
    if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.elements.q.focus();
    }
    if (event.key === 'Escape' && typing) {
      search.elements.q.value = '';
      remember();
    }
  });
}

// --- Copy ---

async function copy(text, code) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context there is only the selection.
    getSelection().selectAllChildren(code);
    document.execCommand('copy');
  }
}

main.addEventListener('click', async (event) => {
  const button = event.target.closest('.copy');
  if (!button) return;
  await copy(button.dataset.copy, button.previousElementSibling);
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
});

setClock(body.dataset.now);
shown();
setInterval(tick, 1000);
open();
