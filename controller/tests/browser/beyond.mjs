// What the page promises besides: the dark, phones, the keyboard, no script,
// a daemon that goes away, a thousand apps.

import assert from 'node:assert/strict';

import { World, audit, open, until } from './harness.mjs';

const PHONE = { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

const ids = (page) => page.locator('#apps > li:not([hidden])').evaluateAll((items) => items.map((item) => item.id));

/** Looks at both pages, and keeps a picture where it has a name. */
const look = (options) => async ({ world, browser }) => {
  for (const path of ['/', '/apps/demo/web', '/apps/demo/shop', '/apps/no/such', '/images']) {
    const view = await open(browser, world.url + path, options);
    await audit(view.page);
    assert.deepEqual(view.troubles.filter((trouble) => !/404/.test(trouble)), []);
    await view.close();
  }
};

export const beyond = {
  'the page is accessible in the light': look({ colorScheme: 'light' }),

  'the page is accessible in the dark': look({ colorScheme: 'dark' }),

  'the page is accessible on a phone': look(PHONE),

  'without a script all can be read and found': async ({ world, browser }) => {
    const view = await open(browser, `${world.url}/`, { javaScriptEnabled: false });
    assert.match(await view.page.locator('[id="app-demo/shop"] .hold').textContent(), /amid resume demo\/shop/);
    assert.equal(await view.page.locator('.copy').first().isVisible(), false);
    await view.page.getByRole('link', { name: 'Held' }).click();
    await view.page.waitForURL('**/?show=held');
    assert.deepEqual(await ids(view.page), ['app-demo/mail', 'app-demo/shop']);
    // The search looks within what the filter shows.
    for (const [words, found] of [['team-web', []], ['team-shop', ['app-demo/shop']]]) {
      await view.page.getByRole('searchbox').fill(words);
      await view.page.getByRole('button', { name: 'Search' }).click();
      await view.page.waitForURL(`**/?q=${words}&show=held`);
      assert.deepEqual(await ids(view.page), found);
    }
    await view.page.getByRole('link', { name: 'demo/shop' }).click();
    assert.equal(await view.page.getByRole('heading', { level: 1 }).textContent(), 'demo/shop');
    await view.close();
  },

  'the list is found and filtered by keyboard, and the focus is never lost': async ({ world, fleet }) => {
    const { page } = fleet;
    await page.keyboard.press('/');
    await page.keyboard.type('1.42 web');
    assert.deepEqual(await ids(page), ['app-demo/web']);
    assert.match(page.url(), /\?q=1\.42\+web$/);
    await page.keyboard.press('Escape');
    assert.equal((await ids(page)).length, 5);

    const link = page.getByRole('link', { name: 'demo/search' });
    await link.focus();
    // It becomes a card, moves to the top, and keeps the focus.
    await world.amid('suspend', 'demo/search', '--reason', 'a test');
    await world.push('demo/search', 'Bump search', {
      ...(await import('./roll.mjs')).manifest('demo/search'),
      ami: 'ami-0000000000000000b',
    });
    await until('it is held', async () =>
      (await page.locator('[id="app-demo/search"] .chip').textContent()) === 'Held');
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('href')), '/apps/demo/search');
    await page.keyboard.press('Enter');
    await page.waitForURL('**/apps/demo/search');
    // The page leads on before it is there itself.
    await page.goto(`${world.url}/#app=demo/web`).catch(() => {});
    await page.waitForURL('**/apps/demo/web');
    await page.goto(world.url);
  },

  'a window that was away catches up': async ({ world, fleet }) => {
    const { page } = fleet;
    await until('it is live', async () => (await page.locator('#link').textContent()) === 'Live');
    await page.context().setOffline(true);
    await world.amid('resume', 'demo/search');
    await world.until('demo/search', 'rolling', ({ held }) => held.length === 0);
    await page.context().setOffline(false);
    await page.evaluate(() => {
      // As a tab that is shown again.
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await until('it has caught up', async () =>
      (await page.locator('[id="app-demo/search"] .chip').textContent()) !== 'Held');
    fleet.troubles.length = 0;
  },

  'a thousand apps are a page like any other': async ({ browser }) => {
    const many = await World.start('--fleet', '1000');
    const view = await open(browser, many.url);
    await until('all are there', async () => (await view.page.locator('[data-show=steady]').textContent()) === '1000 Steady');
    await view.page.getByRole('searchbox').fill('app-0512');
    assert.deepEqual(await ids(view.page), ['app-demo/app-0512']);
    await view.page.getByRole('searchbox').fill('');
    assert.equal((await ids(view.page)).length, 1000);
    assert.deepEqual(view.troubles, []);
    await view.page.screenshot({ path: `${process.env.PAGE_PICTURES}/fleet.png` });
    await view.close();
    await many.stop();
  },
};
