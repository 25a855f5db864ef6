// A world that can be told what to do, and a browser. Whatever is started here
// is stopped here.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const { PAGE_NODE_MODULES, PAGE_BINARIES, PAGE_CHROMIUM } = process.env;
const require = createRequire(join(PAGE_NODE_MODULES, 'anything.js'));

export const { chromium } = require('playwright-core');
const axeSource = require('axe-core').source;

const PATIENCE = 60_000;
const worlds = new Set();

/** A real amid over the stub and the stand-in; see amid-page-stage. */
export class World {
  static async start(...flags) {
    const world = new World();
    worlds.add(world);
    world.child = spawn(
      join(PAGE_BINARIES, 'amid-page-stage'),
      ['--amid', join(PAGE_BINARIES, 'amid'), ...flags],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    world.exit = once(world.child, 'exit');
    world.lines = createInterface({ input: world.child.stdout })[Symbol.asyncIterator]();
    world.url = (await world.answer()).url;
    return world;
  }

  async answer() {
    const { value, done } = await this.lines.next();
    assert.ok(!done, 'the world has ended');
    const answer = JSON.parse(value);
    assert.ok(!answer.error, answer.error);
    return answer;
  }

  async tell(what, order = {}) {
    this.child.stdin.write(`${JSON.stringify({ do: what, ...order })}\n`);
    return this.answer();
  }

  push(app, subject, manifest) {
    return this.tell('push', { app, subject, manifest });
  }

  async amid(...args) {
    const answer = await this.tell('amid', { args });
    assert.ok(answer.ok, answer.said);
    return answer.said;
  }

  async get(path) {
    const response = await fetch(this.url + path);
    assert.ok(response.ok, `${path}: ${response.status}`);
    return response.json();
  }

  app(name) {
    return this.get(`/api/v1/apps/${name}`);
  }

  /** Waits until the app is so. */
  until(name, what, question) {
    return until(`${name} is ${what}`, async () => question(await this.app(name)), async () => {
      const { log } = await this.tell('log');
      return `${JSON.stringify(await this.app(name), null, 1)}\n${log}`;
    });
  }

  async stop() {
    worlds.delete(this);
    // The end of its input is the order to end.
    this.child.stdin.end();
    await this.exit;
  }
}

export function stopAll() {
  return Promise.all([...worlds].map((world) => world.stop()));
}

/** Waits until a question is answered with yes. */
export async function until(what, question, explain = () => '') {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    if (await question().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`not reached: ${what}\n${await explain()}`);
}

export function startBrowser() {
  return chromium.launch({
    executablePath: PAGE_CHROMIUM,
    // Containers often run as root, where the sandbox cannot.
    chromiumSandbox: process.getuid() !== 0,
    args: ['--disable-dev-shm-usage', '--disable-gpu'],
  });
}

/** What axe-core finds wrong with a page, and whether it has to be scrolled sideways. */
export async function audit(page) {
  // The policy of the page forbids foreign scripts, so it is looked at from
  // outside of it, by the browser's debugger.
  await page.evaluate(axeSource);
  const found = await page.evaluate(() => window.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  }));
  const problems = found.violations.map((each) =>
    `${each.id}: ${each.nodes.slice(0, 3).map((node) => `${node.html} ${node.failureSummary}`).join(' | ')}`);
  assert.deepEqual(problems, []);
  const overflow = await page.evaluate(() =>
    document.documentElement.scrollWidth > document.documentElement.clientWidth);
  assert.ok(!overflow, 'nothing has to be scrolled sideways');
}

/** A window that notes whatever goes wrong in it. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1180, height: 860 }, ...options });
  const page = await context.newPage();
  const troubles = [];
  page.on('pageerror', (error) => troubles.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && troubles.push(message.text()));
  page.on('request', (request) => {
    if (!request.url().startsWith(new URL(url).origin)) troubles.push(`asks ${request.url()}`);
  });
  await page.goto(url);
  return { page, troubles, close: () => context.close() };
}
