// Runs the browser tests of the page, one after the other: a story in a world
// that all of them share. A failure ends the story.

import assert from 'node:assert/strict';

import { beyond } from './beyond.mjs';
import { World, open, startBrowser, stopAll } from './harness.mjs';
import { take } from './pictures.mjs';
import { roll } from './roll.mjs';

async function main() {
  const world = await World.start();
  const browser = await startBrowser();
  const tests = Object.entries({ ...roll, ...beyond });
  const fleet = await open(browser, world.url);
  const stage = { world, browser, fleet, detail: null };
  let passed = 0;
  for (const [name, run] of tests) {
    try {
      await run(stage);
      assert.deepEqual(fleet.troubles, []);
      passed += 1;
      console.log(`ok ${name}`);
    } catch (error) {
      console.log(`FAILED ${name}\n${error.stack}`);
      break;
    }
    // There is something to be seen of both now.
    if (passed === 1) stage.detail = await open(browser, `${world.url}/apps/demo/web`);
    await take(browser, world.url, name);
  }
  await browser.close();
  console.log(`${passed} passed, ${tests.length - passed} failed`);
  return passed === tests.length ? 0 : 1;
}

try {
  process.exitCode = await main();
} finally {
  await stopAll();
}
