// Pictures of the page for the docs, taken in the middle of the story.

import { join } from 'node:path';

import { open } from './harness.mjs';

const PHONE = { viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
const WIDE = { viewport: { width: 1100, height: 820 } };

/** Takes them all. */
export async function take(browser, url) {
  const shots = [
    ['light', '/', { ...WIDE, colorScheme: 'light' }],
    ['dark', '/', { ...WIDE, colorScheme: 'dark' }],
    ['phone', '/', { ...PHONE, colorScheme: 'light' }],
    ['app', '/apps/demo/web', { ...WIDE, colorScheme: 'light' }],
    ['failed', '/apps/demo/mail', { ...WIDE, colorScheme: 'dark' }],
  ];
  for (const [name, path, options] of shots) {
    const view = await open(browser, url + path, options);
    await view.page.waitForFunction(() => document.getElementById('link').textContent === 'Live');
    await view.page.screenshot({ path: join(process.env.PAGE_PICTURES, `${name}.png`) });
    await view.close();
  }
}
