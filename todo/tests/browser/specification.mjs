// Every sentence of the TodoMVC application specification, as a test.

import assert from 'node:assert/strict';

const hidden = async (locator) => !(await locator.isVisible());

export const specification = {
  'without todos, main and footer are hidden': async ({ todo }) => {
    assert.ok(await hidden(todo.page.locator('.main')));
    assert.ok(await hidden(todo.page.locator('.footer')));
    await todo.add('a');
    assert.ok(await todo.page.locator('.main').isVisible());
    assert.ok(await todo.page.locator('.footer').isVisible());
  },

  'the field for a new todo has the focus when the page is loaded': async ({ todo }) => {
    assert.ok(await todo.input.evaluate((input) => input === document.activeElement));
  },

  'Enter adds the todo at the end of the list and clears the field': async ({ todo }) => {
    await todo.add('buy milk', 'drink it');
    assert.deepEqual(await todo.titles(), ['buy milk', 'drink it']);
    assert.equal(await todo.input.inputValue(), '');
  },

  'a new todo is trimmed, and nothing is added when nothing is left': async ({ todo, server }) => {
    await todo.add('   buy milk   ');
    assert.deepEqual(await todo.titles(), ['buy milk']);
    await todo.input.fill('   ');
    await todo.input.press('Enter');
    await todo.add('drink it');
    assert.equal((await server.list()).length, 2);
  },

  'the box for all sets every todo to its own state': async ({ todo, server }) => {
    await todo.add('a', 'b', 'c');
    await todo.toggle(1).check();
    await todo.showsCount('2 items left');
    const label = todo.page.locator('label[for=toggle-all]');
    await label.click();
    await todo.showsCount('0 items left');
    await todo.shows('stored', async () => (await server.list()).every((each) => each.completed));
    await label.click();
    await todo.showsCount('3 items left');
    await todo.shows('stored', async () => (await server.list()).every((each) => !each.completed));
  },

  'the box for all is cleared with the completed todos': async ({ todo }) => {
    await todo.add('a');
    await todo.toggle(0).check();
    await todo.showsCount('0 items left');
    assert.ok(await todo.all.isChecked());
    await todo.clear.click();
    await todo.showsTitles();
    await todo.add('b');
    assert.ok(!(await todo.all.isChecked()));
  },

  'the box for all follows the boxes of single todos': async ({ todo }) => {
    await todo.add('a', 'b');
    await todo.toggle(0).check();
    await todo.toggle(1).check();
    await todo.shows('all checked', () => todo.all.isChecked());
    await todo.toggle(0).uncheck();
    await todo.shows('not all checked', async () => !(await todo.all.isChecked()));
  },

  'the box of a todo marks it complete and sets its class': async ({ todo, server }) => {
    await todo.add('a', 'b');
    await todo.toggle(1).check();
    await todo.shows('completed', () => todo.hasClass(1, 'completed'));
    assert.ok(!(await todo.hasClass(0, 'completed')));
    await todo.shows('stored', async () =>
      (await server.list()).map((each) => each.completed).join() === 'false,true');
    await todo.toggle(1).uncheck();
    await todo.shows('not completed', async () => !(await todo.hasClass(1, 'completed')));
  },

  'a double click on the label starts editing and sets the class': async ({ todo }) => {
    await todo.add('a');
    await todo.label(0).dblclick();
    assert.ok(await todo.hasClass(0, 'editing'));
  },

  'hovering over a todo shows its remove button, which removes it': async ({ todo, server }) => {
    await todo.add('a', 'b');
    const button = todo.items.nth(0).locator('.destroy');
    const opacity = () => button.evaluate((each) => getComputedStyle(each).opacity);
    await todo.input.hover();
    assert.equal(await opacity(), '0');
    await todo.items.nth(0).hover();
    assert.equal(await opacity(), '1');
    await button.click();
    await todo.showsTitles('b');
    assert.equal((await server.list()).length, 1);
  },

  'editing hides the other controls and focuses a field with the title': async ({ todo }) => {
    await todo.add('a');
    await todo.label(0).dblclick();
    assert.ok(await hidden(todo.items.nth(0).locator('.view')));
    assert.equal(await todo.edit(0).inputValue(), 'a');
    assert.ok(await todo.edit(0).evaluate((edit) => edit === document.activeElement));
  },

  'Enter saves an edit and ends it': async ({ todo, server }) => {
    await todo.add('a');
    await todo.label(0).dblclick();
    await todo.edit(0).fill('b');
    await todo.edit(0).press('Enter');
    await todo.showsTitles('b');
    assert.ok(!(await todo.hasClass(0, 'editing')));
    await todo.shows('saved', async () => (await server.list())[0].title === 'b');
  },

  'leaving the field saves an edit and ends it': async ({ todo, server }) => {
    await todo.add('a');
    await todo.label(0).dblclick();
    await todo.edit(0).fill('b');
    await todo.input.click();
    await todo.showsTitles('b');
    assert.ok(!(await todo.hasClass(0, 'editing')));
    await todo.shows('saved', async () => (await server.list())[0].title === 'b');
  },

  'an edit is trimmed': async ({ todo, server }) => {
    await todo.add('a');
    await todo.label(0).dblclick();
    await todo.edit(0).fill('  b  ');
    await todo.edit(0).press('Enter');
    await todo.showsTitles('b');
    await todo.shows('saved', async () => (await server.list())[0].title === 'b');
  },

  'an edit that leaves nothing removes the todo': async ({ todo, server }) => {
    await todo.add('a', 'b');
    await todo.label(0).dblclick();
    await todo.edit(0).fill('   ');
    await todo.edit(0).press('Enter');
    await todo.showsTitles('b');
    assert.equal((await server.list()).length, 1);
  },

  'Escape ends an edit and changes nothing': async ({ todo, server }) => {
    await todo.add('a');
    await todo.label(0).dblclick();
    await todo.edit(0).fill('b');
    await todo.edit(0).press('Escape');
    assert.ok(!(await todo.hasClass(0, 'editing')));
    assert.deepEqual(await todo.titles(), ['a']);
    assert.equal((await server.list())[0].title, 'a');
  },

  'the counter tells the active todos with a strong number and the right plural': async ({ todo }) => {
    await todo.add('a');
    await todo.showsCount('1 item left');
    await todo.add('b');
    await todo.showsCount('2 items left');
    assert.equal(await todo.count.locator('strong').textContent(), '2');
    await todo.toggle(0).check();
    await todo.showsCount('1 item left');
    await todo.toggle(1).check();
    await todo.showsCount('0 items left');
  },

  'clear completed removes the completed todos and is hidden without any': async ({ todo, server }) => {
    await todo.add('a', 'b', 'c');
    assert.ok(await hidden(todo.clear));
    await todo.toggle(0).check();
    await todo.toggle(2).check();
    await todo.clear.click();
    await todo.showsTitles('b');
    assert.ok(await hidden(todo.clear));
    assert.equal((await server.list()).length, 1);
  },

  'the todos survive a reload, the editing does not': async ({ todo }) => {
    await todo.add('a', 'b');
    await todo.toggle(1).check();
    await todo.showsCount('1 item left');
    await todo.label(0).dblclick();
    await todo.page.reload();
    await todo.showsTitles('a', 'b');
    assert.ok(await todo.hasClass(1, 'completed'));
    assert.ok(!(await todo.hasClass(0, 'editing')));
  },

  'the routes show all, active and completed todos and select their link': async ({ todo }) => {
    await todo.add('a', 'b', 'c');
    await todo.toggle(1).check();
    await todo.showsCount('2 items left');
    const selected = () => todo.page.locator('.filters a.selected').allTextContents();
    assert.deepEqual(await selected(), ['All']);
    await todo.show('Active');
    await todo.showsTitles('a', 'c');
    assert.deepEqual(await selected(), ['Active']);
    assert.ok(todo.page.url().endsWith('#/active'));
    await todo.show('Completed');
    await todo.showsTitles('b');
    assert.deepEqual(await selected(), ['Completed']);
    assert.ok(todo.page.url().endsWith('#/completed'));
    await todo.show('All');
    await todo.showsTitles('a', 'b', 'c');
    assert.ok(todo.page.url().endsWith('#/'));
    await todo.page.goBack();
    await todo.showsTitles('b');
  },

  'a todo that no longer fits the filter disappears': async ({ todo }) => {
    await todo.add('a', 'b');
    await todo.show('Active');
    await todo.toggle(0).click();
    await todo.showsTitles('b');
    await todo.show('Completed');
    await todo.showsTitles('a');
    await todo.toggle(0).click();
    await todo.showsTitles();
  },

  'the filter survives a reload': async ({ todo }) => {
    await todo.add('a', 'b');
    await todo.toggle(0).check();
    await todo.show('Completed');
    await todo.showsTitles('a');
    await todo.page.reload();
    await todo.showsTitles('a');
    assert.deepEqual(await todo.page.locator('.filters a.selected').allTextContents(), ['Completed']);
  },
};
