// Processes and pages for the browser tests: a database, a server that can be
// stopped and started on the same port, and a browser. Whatever is started
// here is stopped here.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const { TODO_NODE_MODULES, TODO_BINARY, TODO_MONGO, TODO_CHROMIUM } = process.env;
const require = createRequire(join(TODO_NODE_MODULES, 'anything.js'));

export const { chromium } = require('playwright-core');
export const axeSource = require('axe-core').source;

const children = new Set();
const folders = [];

function start(program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function stop(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

export async function stopAll() {
  await Promise.all([...children].map((child) => stop(child, 'SIGKILL')));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until a question is answered with yes. */
export async function until(what, question, milliseconds = 20_000) {
  const end = Date.now() + milliseconds;
  while (Date.now() < end) {
    if (await question().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`not reached: ${what}`);
}

export async function startDatabase() {
  const port = String(await freePort());
  const folder = mkdtempSync(join(tmpdir(), 'todo-browser-'));
  folders.push(folder);
  const args = TODO_MONGO.endsWith('mongod')
    ? ['--bind_ip', '127.0.0.1', '--port', port, '--dbpath', folder]
    : ['--host', '127.0.0.1', '--port', port, '--storage-path', folder,
        '--cache-size', '256M', '--sync-on-commit', '--log-level', 'ERROR'];
  start(TODO_MONGO, args);
  return `mongodb://127.0.0.1:${port}/`;
}

export class Server {
  constructor(databaseUrl, usual) {
    this.databaseUrl = databaseUrl;
    this.usual = usual;
  }

  /** Starts it with its usual flags, or with others. */
  async start(...flags) {
    this.port ??= await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    this.child = start(TODO_BINARY, [
      `--listen=127.0.0.1:${this.port}`,
      '--metrics-listen=127.0.0.1:0',
      `--database-url=${this.databaseUrl}`,
      '--allow-delete-all=true',
      ...(flags.length > 0 ? flags : this.usual),
    ]);
    await until('the server is ready', async () => (await fetch(`${this.url}/readyz`)).ok);
  }

  async stop() {
    await stop(this.child, 'SIGINT');
  }

  /** Somebody else's request. */
  async send(method, path, body) {
    const response = await fetch(this.url + path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    assert.ok(response.ok, `${method} ${path}: ${response.status}`);
    return response.status === 204 ? null : response.json();
  }

  list() {
    return this.send('GET', '/todos');
  }
}

export function startBrowser() {
  return chromium.launch({
    executablePath: TODO_CHROMIUM,
    // Containers often run as root, where the sandbox cannot.
    chromiumSandbox: process.getuid() !== 0,
    args: ['--disable-dev-shm-usage', '--disable-gpu'],
  });
}

/** The page's parts by the names of the TodoMVC specification. */
export class TodoPage {
  constructor(page) {
    this.page = page;
    this.input = page.locator('.new-todo');
    this.items = page.locator('.todo-list li');
    this.count = page.locator('.todo-count');
    this.all = page.locator('.toggle-all');
    this.clear = page.locator('.clear-completed');
    this.trouble = page.locator('.trouble');
    this.news = page.locator('.news');
  }

  async open(url, path = '/') {
    await this.page.goto(url + path);
    await this.settled();
  }

  /** The first answer has been shown. */
  async settled() {
    await this.page.waitForFunction(() =>
      performance.getEntriesByType('resource').some((entry) => entry.name.endsWith('/todos')));
    await this.page.waitForTimeout(50);
  }

  async add(...titles) {
    for (const title of titles) {
      const before = await this.items.count();
      await this.input.fill(title);
      await this.input.press('Enter');
      await this.shows('one more item', async () =>
        (await this.items.count()) === before + 1 && (await this.page.locator('.unsent').count()) === 0);
    }
  }

  titles() {
    return this.page.locator('.todo-list li label').allTextContents();
  }

  shows(what, question) {
    return until(what, question, 10_000);
  }

  showsTitles(...titles) {
    return this.shows(`the titles ${titles}`, async () =>
      JSON.stringify(await this.titles()) === JSON.stringify(titles));
  }

  showsCount(text) {
    return this.shows(text, async () => (await this.count.textContent()) === text);
  }

  toggle(index) {
    return this.items.nth(index).locator('.toggle');
  }

  label(index) {
    return this.items.nth(index).locator('label');
  }

  edit(index) {
    return this.items.nth(index).locator('.edit');
  }

  hasClass(index, name) {
    return this.items.nth(index).evaluate((row, wanted) => row.classList.contains(wanted), name);
  }

  show(filter) {
    return this.page.locator('.filters a', { hasText: filter }).click();
  }
}
