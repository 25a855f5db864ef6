// Runs the browser tests, one after the other, each in a fresh window on an
// empty list. A word on the command line picks the tests that contain it.

import assert from 'node:assert/strict';

import { beyond } from './beyond.mjs';
import { Server, TodoPage, startBrowser, startDatabase, stopAll } from './harness.mjs';
import { specification } from './specification.mjs';

const RELEASE = ['--ami=ami-one', '--release-version=1.0.0'];

async function runOne(browser, server, test) {
  const { run, options } = typeof test === 'function' ? { run: test } : test;
  if (server.child.exitCode !== null) await server.start();
  await server.send('DELETE', '/todos');
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const troubles = [];
  page.on('pageerror', (error) => troubles.push(String(error)));
  page.on('console', (message) => {
    // A request that fails while the server is away is part of the game.
    const expected = /Failed to load resource|net::ERR/.test(message.text());
    if (message.type() === 'error' && !expected) troubles.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url)) troubles.push(`asks ${request.url()}`);
  });
  const todo = new TodoPage(page);
  try {
    await todo.open(server.url);
    await run({ todo, server });
    assert.deepEqual(troubles, []);
  } finally {
    await context.close();
  }
}

async function main() {
  const words = process.argv.slice(2);
  const tests = Object.entries({ ...specification, ...beyond })
    .filter(([name]) => words.length === 0 || words.some((word) => name.includes(word)));
  const server = new Server(await startDatabase(), RELEASE);
  await server.start();
  const browser = await startBrowser();
  let failed = 0;
  for (const [name, test] of tests) {
    try {
      await runOne(browser, server, test);
      console.log(`ok ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED ${name}\n${error.stack}`);
    }
  }
  await browser.close();
  console.log(`${tests.length - failed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} finally {
  await stopAll();
}
