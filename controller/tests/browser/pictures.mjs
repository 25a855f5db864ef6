// Pictures of the page for the docs, taken in the middle of the story.

import { join } from 'node:path';

import { open } from './harness.mjs';

const PHONE = { viewport: { width: 390, height: 780 }, deviceScaleFactor: 1.5, hasTouch: true, isMobile: true };
const WIDE = { viewport: { width: 1060, height: 850 } };

/** By the test after which they are taken. */
const SHOTS = {
  'a hold names the command that frees it, and the command can be copied': [
    ['light', '/', { ...WIDE, colorScheme: 'light' }],
    ['dark', '/', { ...WIDE, colorScheme: 'dark' }],
    ['phone', '/', { ...PHONE, colorScheme: 'light' }],
    ['app', '/apps/demo/web', { ...WIDE, colorScheme: 'light' }],
  ],
  'a release that never gets healthy is shown as it is given up': [
    ['failed', '/apps/demo/mail', { ...WIDE, colorScheme: 'dark' }],
  ],
  'images are shown with why each is kept, and change by themselves': [
    ['images', '/images', { ...WIDE, colorScheme: 'light' }],
  ],
};

/** Takes those that belong after a test. */
export async function take(browser, url, test) {
  for (const [name, path, options] of SHOTS[test] ?? []) {
    const view = await open(browser, url + path, options);
    await view.page.waitForFunction(() => document.getElementById('link').textContent === 'Live');
    await view.page.screenshot({ path: join(process.env.PAGE_PICTURES, `${name}.png`) });
    await view.close();
  }
}
