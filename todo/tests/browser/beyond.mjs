// What the page promises beyond TodoMVC: other people, outages, releases,
// the keyboard, screen readers, the dark, and phones.

import assert from 'node:assert/strict';
import { join } from 'node:path';

import { axeSource } from './harness.mjs';

const PICTURES = process.env.TODO_PICTURES;

async function audit(todo) {
  // The policy of the page forbids foreign scripts, so it is looked at from
  // outside of it, by the browser's debugger.
  await todo.page.evaluate(axeSource);
  const found = await todo.page.evaluate(() => window.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  const problems = found.violations.map((each) =>
    `${each.id}: ${each.nodes.map((node) => node.html).join(' ')}`);
  assert.deepEqual(problems, []);
}

async function fill(todo) {
  await todo.add('Buy milk', 'A todo whose text is long enough that it needs more than one line on a phone', 'Rest');
  await todo.toggle(2).check();
  await todo.showsCount('2 items left');
  await todo.items.nth(0).hover();
}

const look = (name, options) => ({
  options,
  run: async ({ todo }) => {
    await audit(todo);
    await fill(todo);
    await audit(todo);
    const overflow = await todo.page.evaluate(() =>
      document.documentElement.scrollWidth > document.documentElement.clientWidth);
    assert.ok(!overflow, 'nothing has to be scrolled sideways');
    await todo.page.screenshot({ path: join(PICTURES, `${name}.png`) });
    await todo.label(0).dblclick();
    await audit(todo);
  },
});

export const beyond = {
  'the page is accessible in the light': look('light', { colorScheme: 'light' }),

  'the page is accessible in the dark': look('dark', { colorScheme: 'dark' }),

  'the page is accessible on a phone': look('phone', {
    viewport: { width: 360, height: 640 },
    deviceScaleFactor: 2,
    hasTouch: true,
    isMobile: true,
  }),

  'everything can be done by keyboard, and the focus is never lost': async ({ todo }) => {
    const { keyboard } = todo.page;
    const focused = () => todo.page.evaluate(() => {
      const active = document.activeElement;
      return active.getAttribute('aria-label') ?? active.textContent ?? active.className;
    });
    await keyboard.type('first');
    await keyboard.press('Enter');
    await todo.showsTitles('first');
    await keyboard.type('second');
    await keyboard.press('Enter');
    await todo.showsCount('2 items left');
    await todo.shows('stored', async () => (await todo.page.locator('.unsent').count()) === 0);
    await keyboard.press('Tab');
    await keyboard.press('Tab');
    await keyboard.press('Space');
    await todo.showsCount('1 item left');
    await keyboard.press('F2');
    await keyboard.type(' changed');
    await keyboard.press('Enter');
    await todo.showsTitles('first changed', 'second');
    assert.equal(await focused(), 'Edit first changed');
    await keyboard.press('Enter');
    await keyboard.press('Escape');
    await keyboard.press('Tab');
    assert.equal(await focused(), 'Remove first changed');
    await keyboard.press('Enter');
    await todo.showsTitles('second');
    const inRow = await todo.toggle(0).evaluate((box) => box === document.activeElement);
    assert.ok(inRow, 'the next todo has the focus');
  },

  'a title is shown as text, whatever it looks like': async ({ todo }) => {
    const title = '<img src=x onerror="document.title=1"><b>&amp;';
    await todo.add(title);
    assert.deepEqual(await todo.titles(), [title]);
    assert.equal(await todo.page.title(), 'Todos');
  },

  "other people's changes appear without a reload": async ({ todo, server }) => {
    await todo.add('mine');
    const theirs = await server.send('POST', '/todos', { title: 'theirs' });
    await todo.showsTitles('mine', 'theirs');
    await server.send('PATCH', `/todos/${theirs.id}`, { completed: true, title: 'done by them' });
    await todo.showsTitles('mine', 'done by them');
    assert.ok(await todo.hasClass(1, 'completed'));
    await server.send('DELETE', `/todos/${theirs.id}`);
    await todo.showsTitles('mine');
  },

  "other people's changes do not disturb an edit": async ({ todo, server }) => {
    await todo.add('mine');
    await todo.label(0).dblclick();
    await todo.edit(0).fill('half an ed');
    await server.send('POST', '/todos', { title: 'theirs' });
    await todo.showsTitles('mine', 'theirs');
    assert.equal(await todo.edit(0).inputValue(), 'half an ed');
    assert.ok(await todo.edit(0).evaluate((edit) => edit === document.activeElement));
  },

  'without a server the page says so, keeps what was typed and sends it later': async ({ todo, server }) => {
    await todo.add('before');
    await server.stop();
    await todo.input.fill('typed in the dark');
    await todo.input.press('Enter');
    await todo.shows('the trouble', async () =>
      (await todo.trouble.textContent()).includes('cannot be reached'));
    assert.ok(await todo.hasClass(1, 'unsent'));
    await todo.label(0).dblclick();
    await todo.edit(0).fill('edited in the dark');
    await todo.edit(0).press('Enter');
    await todo.shows('the edit is open again', () => todo.hasClass(0, 'editing'));
    assert.equal(await todo.edit(0).inputValue(), 'edited in the dark');
    await todo.page.screenshot({ path: join(PICTURES, 'trouble.png') });
    await todo.input.fill('a draft');
    await server.start();
    await todo.shows('the trouble is over', async () => !(await todo.trouble.isVisible()));
    await todo.shows('sent', async () => (await server.list()).length === 2);
    assert.equal((await server.list())[1].title, 'typed in the dark');
    assert.equal(await todo.input.inputValue(), 'a draft');
  },

  'what was not sent survives a reload, and is stored once': async ({ todo, server }) => {
    await todo.page.route('**/todos', async (route) => {
      // The request arrives, its answer does not.
      if (route.request().method() === 'POST') await route.fetch();
      await route.abort();
    });
    await todo.input.fill('only once');
    await todo.input.press('Enter');
    await todo.shows('waiting', () => todo.hasClass(0, 'unsent'));
    await todo.input.fill('a draft');
    await todo.page.unroute('**/todos');
    await todo.page.reload();
    await todo.showsTitles('only once');
    await todo.shows('sent', async () => (await todo.page.locator('.unsent').count()) === 0);
    assert.equal((await server.list()).length, 1);
    assert.equal(await todo.input.inputValue(), 'a draft');
  },

  'the page names its release and notices another one': async ({ todo, server }) => {
    const info = await todo.page.locator('.release').textContent();
    assert.ok(info.includes('ami-one') && info.includes('1.0.0'), info);
    assert.ok(!(await todo.news.isVisible()));
    await server.stop();
    await server.start('--ami=ami-two', '--release-version=2.0.0');
    await todo.shows('the news', async () => (await todo.news.textContent()).includes('ami-two 2.0.0'));
    await todo.page.screenshot({ path: join(PICTURES, 'release.png') });
    await audit(todo);
    await todo.page.reload();
    await todo.settled();
    assert.ok(!(await todo.news.isVisible()));
    await server.stop();
    await server.start();
  },

  'a list of many pages is shown whole': async ({ todo, server }) => {
    await server.stop();
    await server.start('--list-cap=3', '--ami=ami-one', '--release-version=1.0.0');
    const titles = Array.from({ length: 8 }, (_, number) => `todo ${number}`);
    for (const title of titles) await server.send('POST', '/todos', { title });
    await todo.showsTitles(...titles);
    await server.stop();
    await server.start();
  },
};
