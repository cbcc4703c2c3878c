// What one does to a message is what the other sees, at once and after a reload.

import { expect } from '@playwright/test';

import { test } from './people';
import { Person } from './person';

test.beforeEach(async ({ alice, bob }) => {
  await alice.meets(bob);
});

test('edit, react, reply and delete reach the other, and last', async ({ alice, bob }) => {
  await alice.writes('the desk is 50 Euro');
  await alice.writes('take it or leave it');
  await bob.opens(alice);

  await alice.acts('the desk is 50 Euro', 'edit');
  await expect(alice.page.getByTestId('composer')).toHaveValue('the desk is 50 Euro');
  await alice.writes('the desk is 40 Euro');
  await expect(bob.message('the desk is 40 Euro')).toContainText('edited');

  await bob.reacts('the desk is 40 Euro', '👍');
  await expect(alice.message('the desk is 40 Euro').getByTestId('reaction')).toHaveText('👍');
  await alice.message('the desk is 40 Euro').getByTestId('reaction').click();
  await expect(bob.message('the desk is 40 Euro').getByTestId('reaction')).toHaveText('👍2');
  await bob.reacts('the desk is 40 Euro', '👍');
  await expect(alice.message('the desk is 40 Euro').getByTestId('reaction')).toHaveText('👍');

  await bob.acts('the desk is 40 Euro', 'reply');
  await bob.writes('deal');
  await expect(alice.message('deal').getByTestId('quote')).toContainText('the desk is 40 Euro');
  await alice.message('deal').getByTestId('quote').click();
  await expect(alice.page.locator('[data-testid="message"][data-seq="1"]')).toBeFocused();

  await alice.acts('take it or leave it', 'delete');
  await alice.confirms();
  await expect(alice.message('Message deleted')).toHaveCount(1);
  await expect(bob.message('Message deleted')).toHaveCount(1);

  for (const person of [alice, bob]) {
    await person.page.reload();
    await person.isOnline();
    await expect(person.page.getByTestId('message')).toHaveCount(3);
    await expect(person.message('Message deleted')).toHaveCount(1);
    await expect(person.message('take it or leave it')).toHaveCount(0);
    await expect(person.page.locator('[data-testid="message"][data-seq="1"]')).toContainText('edited');
    await expect(person.page.locator('[data-testid="message"][data-seq="1"]').getByTestId('reaction')).toHaveText('👍');
    await expect(person.message('deal').getByTestId('quote')).toContainText('the desk is 40 Euro');
  }
});

test('the keyboard does it all', async ({ alice }) => {
  await alice.writes('first');
  await alice.writes('secnd');
  await alice.sees('secnd', 'delivered');
  const keyboard = alice.page.keyboard;

  // Up in an empty field takes the last message up again; Escape lets go of it.
  await keyboard.press('ArrowUp');
  await expect(alice.page.getByTestId('composer')).toHaveValue('secnd');
  await keyboard.press('Escape');
  await expect(alice.page.getByTestId('composer')).toHaveValue('');
  await keyboard.press('ArrowUp');
  await alice.writes('second');
  await alice.sees('second', 'delivered');

  // The log is one stop; arrows walk the messages, Enter opens what can be done with one.
  await alice.page.getByRole('log').focus();
  await keyboard.press('ArrowUp');
  await keyboard.press('ArrowUp');
  await expect(alice.page.locator('[data-testid="message"][data-seq="1"]')).toBeFocused();
  await keyboard.press('Enter');
  await expect(alice.page.getByRole('menu')).toBeVisible();
  await expect(alice.page.getByTestId('react').first()).toBeFocused();
  await keyboard.press('ArrowRight');
  await keyboard.press('Enter');
  await expect(alice.message('first').getByTestId('reaction')).toHaveText('❤️');
  await expect(alice.page.locator('[data-testid="message"][data-seq="1"]')).toBeFocused();
  await keyboard.press('Enter');
  await keyboard.press('Escape');
  await expect(alice.page.getByRole('menu')).toHaveCount(0);
  await expect(alice.page.locator('[data-testid="message"][data-seq="1"]')).toBeFocused();
});

test('a long press on a phone does, too', async ({ browser, alice, bob }) => {
  await alice.writes('press me');
  await alice.sees('press me', 'delivered');
  const context = await browser.newContext({ viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true });
  const phone = await Person.inTab(context, bob.userId);
  await phone.signsIn();
  await phone.opens(alice);
  const box = await phone.message('press me').boundingBox();
  if (!box) throw new Error('not on the screen');
  const touch = await context.newCDPSession(phone.page);
  const at = { x: box.x + 60, y: box.y + box.height / 2 };
  await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [at] });
  // The finger rests.
  await phone.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 700)));
  await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  await expect(phone.page.getByRole('menu')).toBeVisible();
  await phone.page.getByTestId('action-reply').tap();
  await expect(phone.page.getByTestId('compose-target')).toContainText('press me');
  await phone.leaves();
});
