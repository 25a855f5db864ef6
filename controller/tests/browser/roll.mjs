// A real roll, a hold and a failure, as the page shows them. The tests are
// one story: each begins where the one before it ended.

import assert from 'node:assert/strict';

import { audit, open, until } from './harness.mjs';

export const OLD = 'ami-0000000000000000a';
export const NEW = 'ami-0000000000000000b';
const BROKEN = 'ami-0bad0000000000001';
export const HOSTILE = '</bdi><img src=x onerror="document.title=\'broken into\'"> Bump mail';

export const manifest = (app, more) => ({
  owner: `team-${app.split('/')[1]}`,
  unit: `live/${app}/app`,
  ami: OLD,
  image: { version: '1.41.0' },
  instance_types: ['m5.large'],
  min_size: 4,
  max_size: 8,
  health: { type: 'load_balancer', timeout: '10m' },
  roll: { bake: '1s', drain: '5s' },
  ...more,
});

const next = (app, more) => manifest(app, { ami: NEW, image: { version: '1.42.0' }, ...more });
const slowly = { bake: '10m', drain: '5s' };

/** A card of the list, or the app's own page. */
class Card {
  constructor(page, selector) {
    this.root = page.locator(selector);
  }

  chip() {
    return this.root.locator('.chip').first().textContent();
  }

  dots(lane, kind) {
    return this.root.locator(`.lane.${lane} .dots .${kind}`).count();
  }

  shows(what, question) {
    return until(`the page shows ${what}`, question, async () => this.root.innerHTML());
  }
}

const card = (page, app) => new Card(page, `[id="app-${app}"]`);

export const roll = {
  'apps that are as desired are lines': async ({ world, fleet }) => {
    const apps = ['demo/api', 'demo/mail', 'demo/search', 'demo/shop', 'demo/web'];
    await world.tell('image', { id: BROKEN, is_healthy: false });
    for (const app of apps) await world.push(app, `Deploy ${app}`, manifest(app));
    for (const app of apps) {
      await world.until(app, 'steady', ({ phase, releases: [one] }) => phase === 'steady' && one?.healthy === 4);
      const line = card(fleet.page, app);
      await line.shows(`${app} as steady`, async () =>
        (await line.chip()) === 'Steady' && (await line.root.locator('.dots .ok').count()) === 4);
    }
    await until('the counts', async () => (await fleet.page.locator('[data-show=steady]').textContent()) === '5 Steady');
    // What is there now was there before: from here on it is ripe at once.
    await world.tell('ripen', { image: OLD, count: 100 });
    await world.tell('initial', { seconds: 3600 });
  },

  'a roll waits for health, and the old group stays': async ({ world, fleet, detail }) => {
    await world.push('demo/web', 'Bump web to 1.42.0', next('demo/web', { roll: slowly }));
    const line = card(fleet.page, 'demo/web');
    await line.shows('the new group', async () =>
      (await line.chip()) === 'Starting' && (await line.dots('coming', 'wait')) === 4);
    assert.equal(await line.dots('serving', 'ok'), 4);
    assert.match(await line.root.locator('.clock').textContent(), /needs 4 · given up unless healthy in \d+ min/);
    assert.match(await line.root.locator('.capacity').textContent(), /no step of a roll goes below the line at 4/);
    const [app, said] = [await world.app('demo/web'), await line.root.locator('.why').textContent()];
    assert.equal(app.state.label, 'wait_healthy');
    assert.match(said, /^0 of 4 instances are healthy/);

    await world.tell('ripen', { image: NEW, count: 2 });
    await line.shows('two healthy ones', async () =>
      (await line.dots('coming', 'ok')) === 2 && (await line.dots('coming', 'wait')) === 2);
    // The page of the app follows just as well.
    const own = new Card(detail.page, '#detail');
    await own.shows('two healthy ones', async () => (await own.dots('coming', 'ok')) === 2);
    assert.equal(await detail.page.locator('.history .chip').first().textContent(), 'under way');
  },

  'a hold names the command that frees it, and the command can be copied': async ({ world, fleet }) => {
    await world.amid('suspend', 'demo/shop', '--reason', 'Black Friday: nothing moves');
    await world.push('demo/shop', 'Bump shop to 1.42.0', next('demo/shop'));
    const line = card(fleet.page, 'demo/shop');
    await line.shows('the hold', async () => (await line.chip()) === 'Held');
    const [{ text, frees }] = (await world.app('demo/shop')).held;
    assert.equal(await line.root.locator('.hold .why').textContent(), text);
    assert.equal(await line.root.locator('.copy').getAttribute('data-copy'), frees);
    await fleet.page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await line.root.locator('.copy').click();
    assert.equal(await fleet.page.evaluate(() => navigator.clipboard.readText()), frees);
    // What is held comes first.
    assert.equal(await fleet.page.locator('#apps > li').first().getAttribute('id'), 'app-demo/shop');
  },

  'a release that never gets healthy is shown as it is given up': async ({ world, fleet }) => {
    await world.push('demo/mail', HOSTILE, next('demo/mail', {
      ami: BROKEN,
      on_failure: 'hold',
      health: { type: 'load_balancer', timeout: '3s' },
    }));
    const line = card(fleet.page, 'demo/mail');
    await line.shows('the failure', async () => (await line.chip()) === 'Held');
    const [held] = (await world.app('demo/mail')).held;
    assert.equal(held.label, 'release_failed');
    assert.equal(await line.root.locator('.hold .why').textContent(), held.text);
    assert.equal(await line.root.locator('.asked bdi').first().textContent(), HOSTILE);

    const own = await open(fleet.page.context().browser(), `${world.url}/apps/demo/mail`);
    const newest = own.page.locator('.history li').first();
    assert.equal(await newest.locator('.chip').textContent(), 'failed, not reverted');
    assert.equal(await newest.locator('.subject bdi').textContent(), HOSTILE);
    assert.equal(await own.page.title(), 'demo/mail');
    await audit(own.page);
    assert.deepEqual(own.troubles, []);
    await own.close();
  },

  'what amid reverts itself is shown as failed and reverted': async ({ world, fleet }) => {
    const { commit } = await world.push('demo/api', 'Bump api to 1.42.0', next('demo/api', {
      ami: BROKEN,
      health: { type: 'load_balancer', timeout: '3s' },
    }));
    const own = await open(fleet.page.context().browser(), `${world.url}/apps/demo/api`);
    const detail = new Card(own.page, '#detail');
    const entry = own.page.locator(`.history li[data-key="${commit}"]`);
    const newest = own.page.locator('.history li').first();
    // The page follows all the way: nobody reads it again.
    await detail.shows('the end of the revert', async () =>
      (await entry.locator('.chip').textContent()) === 'failed and reverted'
        && (await newest.locator('.chip').textContent()) === 'applied'
        && (await detail.chip()) === 'Steady');
    assert.match(await newest.locator('.subject bdi').textContent(), new RegExp(`^Revert demo/api to ${OLD}$`));
    const { deployments: [revert, bad] } = await world.get('/api/v1/apps/demo/api/history');
    assert.equal(bad.commit, commit);
    assert.equal(await entry.locator('.why').textContent(), bad.why);
    assert.match(bad.why, /health/);
    assert.ok((await entry.textContent()).includes(`reverted by ${revert.commit.slice(0, 8)}`));
    const line = card(fleet.page, 'demo/api');
    await line.shows('the old release', async () =>
      (await line.chip()) === 'Steady' && (await line.root.locator('.dots .ok').count()) === 4);
    await audit(own.page);
    assert.deepEqual(own.troubles, []);
    await own.close();
  },

  'healthy instances bake against a clock that runs': async ({ world, fleet }) => {
    await world.tell('ripen', { image: NEW, count: 100 });
    const line = card(fleet.page, 'demo/web');
    await line.shows('the bake', async () =>
      (await line.chip()) === 'Baking' && (await line.dots('coming', 'ok')) === 4);
    const clock = line.root.locator('.clock time');
    const before = await clock.textContent();
    assert.match(before, /^\d+ min/);
    await line.shows('less time', async () => (await clock.textContent()) !== before);
  },

  'images are shown with why each is kept, and change by themselves': async ({ world, fleet }) => {
    await world.amid('gc', '--now');
    const { page, troubles, close } = await open(fleet.page.context().browser(), `${world.url}/images`);
    const image = (id) => page.locator(`#images li[data-key="${id}"]`);
    const { places: [{ images }] } = await world.get('/api/v1/images');
    const kept = images.find(({ ami }) => ami === OLD);
    const reasons = image(OLD).locator('.reasons > li[data-reason]');
    assert.ok((await reasons.count()) > 0, JSON.stringify(kept));
    assert.equal(await image(OLD).locator('.chip').textContent(), 'kept');

    await until('it is live', async () => (await page.locator('#link').textContent()) === 'Live');
    await page.evaluate(() => { window.isTheSame = true; });
    const late = 'ami-0000000000000fade';
    assert.equal(await image(late).count(), 0);
    await world.tell('image', { id: late, is_healthy: true });
    await world.amid('gc', '--now');
    await until('the new image is shown', async () => (await image(late).count()) === 1);
    assert.ok(await page.evaluate(() => window.isTheSame), 'the page was not loaded again');
    await audit(page);
    assert.deepEqual(troubles, []);
    await close();
  },

  'the old group goes, and the history says how it went': async ({ world, fleet, detail }) => {
    await world.push('demo/web', 'Bake for less', next('demo/web'));
    const line = card(fleet.page, 'demo/web');
    await line.shows('the end of the roll', async () =>
      (await line.chip()) === 'Steady' && (await line.root.locator('.dots .ok').count()) === 4);
    assert.match(await line.root.locator('.image').textContent(), /1\.42\.0/);
    const own = new Card(detail.page, '#detail');
    await own.shows('one group', async () =>
      (await own.chip()) === 'Steady' && (await own.root.locator('.instances').count()) === 1);
    const words = await detail.page.locator('.history .chip').allTextContents();
    assert.deepEqual(words, ['applied', 'superseded', 'applied']);
  },
};
