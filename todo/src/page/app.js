// The todo page: what TodoMVC specifies, on a list that lives on a server.
//
// The server's answer is the truth. Every change is sent first and shown when
// it was acknowledged; what could not be sent is kept and sent later. Every
// two seconds the list is asked for again, so that other people's changes
// appear. There is no framework and no build: the file is served as it is.
'use strict';

const POLL_MS = 2000;
const REQUEST_MS = 15000;
const AT_ONCE = 6;
const UNSENT = 'todo-unsent';
const DRAFT = 'todo-draft';

const find = (selector, within = document) => within.querySelector(selector);

const page = {
  input: find('.new-todo'),
  trouble: find('.trouble'),
  news: find('.news'),
  spoken: find('.spoken'),
  main: find('.main'),
  footer: find('.footer'),
  list: find('.todo-list'),
  all: find('.toggle-all'),
  count: find('.todo-count'),
  clear: find('.clear-completed'),
  filters: [...document.querySelectorAll('.filters a')],
  template: find('template'),
  release: find('meta[name=release]').content,
};

/** What the page knows. `rows` holds one list element for each key. */
const state = {
  todos: [],
  unsent: load(UNSENT),
  rows: new Map(),
  etag: null,
  /** How many changes ended, and how many are under way. */
  changes: 0,
  running: 0,
  /** Whether the trouble on the screen is a refusal. */
  refused: false,
};

// ---- What survives a reload besides the list itself -----------------------

function load(name) {
  try {
    return JSON.parse(sessionStorage.getItem(name)) ?? [];
  } catch {
    return [];
  }
}

function save(name, value) {
  try {
    sessionStorage.setItem(name, JSON.stringify(value));
  } catch {
    // Private windows may refuse; then a reload forgets, and that is all.
  }
}

// ---- Talking to the server ------------------------------------------------

/** Thrown when the server refuses a request for a reason it can tell. */
class Refused extends Error {}

async function ask(method, path, { body, headers = {} } = {}) {
  const response = await fetch(path, {
    method,
    headers: body ? { 'content-type': 'application/json', ...headers } : headers,
    body: body && JSON.stringify(body),
    cache: 'no-store',
    signal: AbortSignal.timeout(REQUEST_MS),
  });
  noteRelease(response.headers.get('x-todo-release'));
  if (response.status >= 500) throw new Error(`${response.status}`);
  if (response.status >= 400 && response.status !== 404) {
    const problem = await response.json().catch(() => ({}));
    throw new Refused(problem.detail ?? `The server refused this: ${response.status}`);
  }
  return response;
}

/** Reads the whole list, or nothing when it is the one we have. */
async function readList() {
  const headers = state.etag ? { 'if-none-match': state.etag } : {};
  let response = await ask('GET', '/todos', { headers });
  if (response.status === 304) return null;
  let etag = response.headers.get('etag');
  const todos = await response.json();
  let next = nextPage(response);
  while (next) {
    // A list of several pages has no tag of its own.
    etag = null;
    response = await ask('GET', next);
    todos.push(...(await response.json()));
    next = nextPage(response);
  }
  return { todos, etag };
}

function nextPage(response) {
  const link = response.headers.get('link')?.match(/<([^>]+)>; rel="next"/);
  if (!link) return null;
  const url = new URL(link[1], location.href);
  return url.pathname + url.search;
}

async function refresh() {
  const changes = state.changes;
  try {
    const list = await readList();
    // What the server refused stays on the screen until the next change.
    if (!state.refused) tellTrouble(null);
    // An answer from before a change of ours would undo it on the screen.
    if (list && changes === state.changes && state.running === 0) {
      state.todos = list.todos;
      state.etag = list.etag;
      render();
    }
    if (state.unsent.length > 0) await sendUnsent();
  } catch (error) {
    tellTrouble(error);
  }
}

/** Runs changes against the server, a few at once, and shows what they did. */
async function change(tasks) {
  state.running += 1;
  state.etag = null;
  const waiting = [...tasks];
  let failure = null;
  const worker = async () => {
    for (let task = waiting.shift(); task && !failure; task = waiting.shift()) {
      try {
        await task();
      } catch (error) {
        failure = error;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  state.running -= 1;
  state.changes += 1;
  tellTrouble(failure);
  render();
  return failure === null;
}

function noteRelease(release) {
  const changed = Boolean(release) && release !== page.release;
  const text = changed ? `Another release answers now: ${release}. Reload the page to use it.` : '';
  if (page.news.textContent !== text) page.news.textContent = text;
  page.news.hidden = !changed;
}

function tellTrouble(error) {
  let text = '';
  state.refused = error instanceof Refused;
  if (state.refused) {
    text = error.message;
  } else if (error) {
    text = 'The server cannot be reached. What you typed is kept; trying again.';
  }
  if (page.trouble.textContent !== text) page.trouble.textContent = text;
  page.trouble.hidden = text === '';
}

function say(text) {
  page.spoken.textContent = text;
}

// ---- Changes --------------------------------------------------------------

function randomKey() {
  // `crypto.randomUUID` is missing on plain http.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function add(title) {
  state.unsent.push({ key: randomKey(), title });
  save(UNSENT, state.unsent);
  render();
  return sendUnsent();
}

let sending = null;

/** Sends what is waiting, in order. The key makes a repeat harmless. */
function sendUnsent() {
  sending ??= change([sendEach]).finally(() => {
    sending = null;
  });
  return sending;
}

async function sendEach() {
  while (state.unsent.length > 0) {
    const { key, title } = state.unsent[0];
    const headers = { 'idempotency-key': key };
    try {
      const response = await ask('POST', '/todos', { body: { title }, headers });
      const todo = await response.json();
      dropUnsent(key);
      // It may be there already, when only an earlier answer got lost.
      if (!state.todos.some((other) => other.id === todo.id)) {
        state.todos.push(todo);
        renameRow(key, todo.id);
      }
      say(`Added: ${todo.title}`);
    } catch (error) {
      if (error instanceof Refused) {
        dropUnsent(key);
        page.input.value = title;
      }
      throw error;
    } finally {
      render();
    }
  }
}

function dropUnsent(key) {
  state.unsent = state.unsent.filter((other) => other.key !== key);
  save(UNSENT, state.unsent);
}

/** How many requests about a todo are under way, and the last of them. */
const queues = new WeakMap();

/** Changes of one todo go out one after the other, so that the last one wins. */
function patch(todo, body) {
  return () => {
    const queue = queues.get(todo) ?? { length: 0, last: Promise.resolve() };
    queues.set(todo, queue);
    queue.length += 1;
    const sent = queue.last.then(async () => {
      const response = await ask('PATCH', `/todos/${todo.id}`, { body });
      if (response.status === 404) return forget(todo);
      const stored = await response.json();
      // What the next request will change is shown already.
      if (queue.length === 1) Object.assign(todo, stored);
    });
    queue.last = sent.catch(() => {}).then(() => {
      queue.length -= 1;
    });
    return sent;
  };
}

const remove = (todo) => async () => {
  await ask('DELETE', `/todos/${todo.id}`);
  forget(todo);
};

function forget(todo) {
  state.todos = state.todos.filter((other) => other.id !== todo.id);
}

/** Shows the change at once, and takes back what could not be stored. */
async function setCompleted(todos, completed) {
  const unsure = new Map(todos.map((todo) => [todo, todo.completed]));
  for (const todo of todos) todo.completed = completed;
  render();
  await change(todos.map((todo) => async () => {
    await patch(todo, { completed })();
    unsure.delete(todo);
  }));
  for (const [todo, before] of unsure) todo.completed = before;
  if (unsure.size > 0) render();
}

async function destroy(todo) {
  if (todo.key) {
    dropUnsent(todo.key);
    render();
  } else if (await change([remove(todo)])) {
    say(`Removed: ${todo.title}`);
  }
}

// ---- Editing --------------------------------------------------------------

function startEditing(todo, row) {
  if (todo.key || row.classList.contains('editing')) return;
  openEdit(row, todo.title).focus();
}

function openEdit(row, text) {
  row.classList.add('editing');
  const edit = find('.edit', row);
  edit.value = text;
  edit.setSelectionRange(text.length, text.length);
  return edit;
}

function stopEditing(row, focus) {
  row.classList.remove('editing');
  if (focus) find('.change', row).focus();
}

async function finishEditing(todo, row, focus) {
  if (!row.classList.contains('editing')) return;
  const typed = find('.edit', row).value;
  const title = typed.trim();
  stopEditing(row, focus);
  if (title === '') {
    await destroy(todo);
  } else if (title !== todo.title) {
    const before = todo.title;
    todo.title = title;
    render();
    if (!(await change([patch(todo, { title })]))) {
      // Not lost: the field opens again with what was typed.
      todo.title = before;
      render();
      const isElsewhere = document.activeElement !== document.body && !row.contains(document.activeElement);
      const edit = openEdit(row, typed);
      // Who went on typing elsewhere must not be torn away.
      if (!isElsewhere) edit.focus();
    }
  }
}

// ---- Showing --------------------------------------------------------------

function filter() {
  const name = location.hash.replace(/^#\//, '');
  return ['active', 'completed'].includes(name) ? name : '';
}

function isShown(todo, row) {
  const name = filter();
  // What is being edited stays until it is done.
  if (row?.classList.contains('editing')) return true;
  return name === '' || todo.completed === (name === 'completed');
}

function render() {
  const left = state.todos.filter((todo) => !todo.completed).length;
  const done = state.todos.length - left;
  const waiting = state.unsent.map((unsent) => ({ ...unsent, completed: false }));
  renderRows([...state.todos, ...waiting]);
  const empty = state.todos.length + waiting.length === 0;
  page.main.hidden = empty;
  page.footer.hidden = empty;
  page.all.checked = left === 0 && done > 0;
  page.clear.hidden = done === 0;
  renderCount(left);
  const name = filter();
  for (const link of page.filters) {
    const selected = link.getAttribute('href') === `#/${name}`;
    link.classList.toggle('selected', selected);
    if (selected) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
}

function renderCount(left) {
  const strong = document.createElement('strong');
  strong.textContent = String(left);
  const text = `${left} ${left === 1 ? 'item' : 'items'} left`;
  if (page.count.textContent === text) return;
  page.count.replaceChildren(strong, text.slice(String(left).length));
}

function renderRows(todos) {
  const shown = todos.filter((todo) => isShown(todo, state.rows.get(todo.id ?? todo.key)));
  const kept = new Set();
  let previous = null;
  for (const todo of shown) {
    const key = todo.id ?? todo.key;
    kept.add(key);
    const row = state.rows.get(key) ?? makeRow(key);
    fillRow(row, todo);
    const place = previous ? previous.nextElementSibling : page.list.firstElementChild;
    if (row !== place) page.list.insertBefore(row, place);
    previous = row;
  }
  for (const [key, row] of state.rows) {
    if (kept.has(key)) continue;
    state.rows.delete(key);
    moveFocusFrom(row);
    row.remove();
  }
}

/** A row stays the same element when it was sent, so that nothing jumps. */
function renameRow(from, to) {
  const row = state.rows.get(from);
  if (!row || state.rows.has(to)) return;
  state.rows.delete(from);
  state.rows.set(to, row);
}

/** Focus must not fall to the top of the page when its row goes away. */
function moveFocusFrom(row) {
  if (!row.contains(document.activeElement)) return;
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  (neighbour ? find('.toggle', neighbour) : page.input).focus();
}

let rowNumber = 0;

function makeRow(key) {
  const row = page.template.content.firstElementChild.cloneNode(true);
  rowNumber += 1;
  const label = find('label', row);
  label.id = `todo-${rowNumber}`;
  find('.toggle', row).setAttribute('aria-labelledby', label.id);
  state.rows.set(key, row);
  wireRow(row);
  return row;
}

function fillRow(row, todo) {
  row.todo = todo;
  row.classList.toggle('completed', todo.completed);
  row.classList.toggle('unsent', Boolean(todo.key));
  find('.unsaved', row).hidden = !todo.key;
  const box = find('.toggle', row);
  box.checked = todo.completed;
  box.disabled = Boolean(todo.key);
  const label = find('label', row);
  if (label.textContent !== todo.title) {
    label.textContent = todo.title;
    find('.change', row).setAttribute('aria-label', `Edit ${todo.title}`);
    find('.destroy', row).setAttribute('aria-label', `Remove ${todo.title}`);
  }
}

// ---- Events ---------------------------------------------------------------

function wireRow(row) {
  const edit = find('.edit', row);
  const box = find('.toggle', row);
  const open = () => startEditing(row.todo, row);
  box.addEventListener('change', () => setCompleted([row.todo], box.checked));
  find('label', row).addEventListener('dblclick', open);
  find('.change', row).addEventListener('click', open);
  find('.destroy', row).addEventListener('click', () => destroy(row.todo));
  row.addEventListener('keydown', (event) => {
    if (event.key === 'F2') open();
  });
  edit.addEventListener('blur', () => finishEditing(row.todo, row, false));
  edit.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    if (event.key === 'Enter') {
      // Or the button that gets the focus would take the key as a click.
      event.preventDefault();
      finishEditing(row.todo, row, true);
    } else if (event.key === 'Escape') {
      stopEditing(row, true);
      render();
    }
  });
}

page.input.addEventListener('keydown', (event) => {
  const title = page.input.value.trim();
  if (event.key !== 'Enter' || event.isComposing || title === '') return;
  page.input.value = '';
  save(DRAFT, '');
  add(title);
});

page.input.addEventListener('input', () => save(DRAFT, page.input.value));

page.all.addEventListener('change', () => {
  const completed = page.all.checked;
  setCompleted(state.todos.filter((todo) => todo.completed !== completed), completed);
});

page.clear.addEventListener('click', async () => {
  const done = state.todos.filter((todo) => todo.completed);
  if (await change(done.map(remove))) say(`Removed: ${done.length} completed`);
  if (page.clear.hidden) page.input.focus();
});

window.addEventListener('hashchange', render);

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) refresh();
});

/** Asks again and again, with a little chance so that pages do not keep step. */
async function poll() {
  for (;;) {
    if (!document.hidden) await refresh();
    const wait = POLL_MS * (0.9 + 0.2 * Math.random());
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

page.input.value = page.input.value || [].concat(load(DRAFT)).join('');
render();
poll();
