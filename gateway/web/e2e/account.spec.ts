// What a person does to their own view is the same on all of their devices, and nobody else's.

import { expect } from '@playwright/test';

import { test } from './people';

test.beforeEach(async ({ alice, phone, bob }) => {
  await Promise.all([alice, phone, bob].map((person) => person.signsIn()));
  await alice.startsWith(bob);
  await alice.writes('hello');
  await bob.opens(alice);
  await phone.unread(bob, 0);
});

test('a draft is there on the other device, until it is sent', async ({ alice, phone, bob }) => {
  await phone.opens(bob);
  await alice.page.getByTestId('composer').fill('I would like');
  await expect(phone.page.getByTestId('composer')).toHaveValue('I would like');
  await phone.page.getByTestId('composer').fill('I would like the desk');
  await expect(alice.page.getByTestId('composer')).toHaveValue('I would like the desk');

  await alice.looksAway();
  await expect(alice.conversation(bob).getByTestId('draft')).toContainText('I would like the desk');
  await alice.page.reload();
  await alice.isOnline();
  await alice.opens(bob);
  await expect(alice.page.getByTestId('composer')).toHaveValue('I would like the desk');
  await alice.page.getByTestId('composer').press('Enter');
  await bob.sees('I would like the desk', 'received');
  await expect(phone.page.getByTestId('composer')).toHaveValue('');
  await expect(alice.page.getByTestId('composer')).toHaveValue('');
});

test('mute, pin and archive hold on every device', async ({ alice, phone, bob }) => {
  await alice.chooses('mute');
  await alice.chooses('pin');
  for (const person of [alice, phone]) {
    await expect(person.conversation(bob).getByTitle('Muted')).toBeVisible();
    await expect(person.conversation(bob).getByTitle('Pinned')).toBeVisible();
  }
  await expect(bob.conversation(alice).getByTitle('Muted')).toHaveCount(0);
  // What is muted does not call.
  await alice.looksAway();
  await bob.writes('psst');
  await expect(phone.conversation(bob).getByTestId('unread')).toHaveText('1');
  await expect(phone.page).toHaveTitle('Parley');
  await alice.opens(bob);
  await alice.sees('psst', 'received');
  await expect(phone.conversation(bob).getByTestId('unread')).toHaveCount(0);

  await phone.opens(bob);
  await phone.chooses('unmute');
  await phone.chooses('archive');
  await alice.looksAway();
  await phone.looksAway();
  for (const person of [alice, phone]) await expect(person.conversation(bob)).toHaveCount(0);
  await phone.page.getByTestId('filter-archived').click();
  await expect(phone.conversation(bob)).toBeVisible();
  // A new message brings it back by itself.
  await bob.writes('still there?');
  await alice.unread(bob, 1);
  await phone.page.getByTestId('filter-unread').click();
  await expect(phone.conversation(bob).getByTestId('unread')).toHaveText('1');
});

test('whoever is blocked cannot write, until they can', async ({ alice, bob }) => {
  await alice.chooses('block');
  await alice.confirms();
  await expect(alice.page.getByTestId('closed')).toContainText('You have blocked');
  await expect(bob.page.getByTestId('closed')).toContainText('cannot write');
  await alice.page.getByTestId('settings').click();
  await alice.page.getByTestId('tab-people').click();
  await expect(alice.page.getByTestId('blocked-person')).toContainText(bob.userId);
  await alice.closesDialog();
  await alice.page.getByTestId('unblock').click();
  await bob.writes('friends again');
  await alice.sees('friends again', 'received');
});

test('settings, addresses and devices', async ({ alice, phone }) => {
  const { page } = alice;
  await page.getByTestId('settings').click();
  await page.getByTestId('read-receipts').uncheck();
  await page.getByTestId('tab-notifications').click();
  await page.getByTestId('notify-sms').uncheck();
  await page.getByTestId('quiet-hours').check();
  await page.getByTestId('endpoint-address').fill('alice@example.com');
  await page.getByTestId('endpoint-add').click();
  await expect(page.getByTestId('endpoint')).toContainText('alice@example.com');

  await phone.page.getByTestId('settings').click();
  await expect(phone.page.getByTestId('read-receipts')).not.toBeChecked();
  await phone.page.getByTestId('tab-notifications').click();
  await expect(phone.page.getByTestId('notify-sms')).not.toBeChecked();
  await expect(phone.page.getByTestId('quiet-from')).toHaveValue('22:00');
  await phone.page.getByTestId('endpoint-remove').click();
  await expect(page.getByTestId('endpoint')).toHaveCount(0);

  await page.getByTestId('tab-devices').click();
  await expect(page.getByTestId('device')).toHaveCount(2);
  await expect(page.getByTestId('this-device')).toHaveCount(1);
  await page.getByTestId('unlink').click();
  await alice.confirms();
  await expect(page.getByTestId('device')).toHaveCount(1);
  await expect(phone.page.getByTestId('signin-user')).toBeVisible();
});

test('a conversation has notifications of its own', async ({ alice, phone, bob }) => {
  await alice.chooses('notices');
  await expect(alice.page.getByTestId('notice-email')).toHaveValue('');
  // A webhook is offered to whoever has one.
  await expect(alice.page.getByTestId('notice-webhook')).toHaveCount(0);
  await alice.page.getByTestId('notice-email').selectOption('off');
  await alice.page.getByTestId('notice-preview').selectOption('off');

  await phone.opens(bob);
  await phone.chooses('notices');
  await expect(phone.page.getByTestId('notice-email')).toHaveValue('off');
  await phone.page.getByTestId('notice-email').selectOption({ index: 0 });
  await expect(alice.page.getByTestId('notice-email')).toHaveValue('');
  await expect(alice.page.getByTestId('notice-preview')).toHaveValue('off');
  await phone.closesDialog();

  // In general it stays as it was.
  await phone.page.getByTestId('settings').click();
  await phone.page.getByTestId('tab-notifications').click();
  await expect(phone.page.getByTestId('notify-preview')).toBeChecked();
  await phone.page.getByTestId('advanced').click();
  await phone.page.getByTestId('webhook-address').fill('http://shop.example/hook');
  await expect(phone.page.getByTestId('webhook-add')).toBeDisabled();
  await phone.page.getByTestId('webhook-address').fill('https://shop.example/hook');
  await phone.page.getByTestId('webhook-add').click();
  await expect(phone.page.getByTestId('endpoint')).toContainText('https://shop.example/hook');
  await expect(alice.page.getByTestId('notice-webhook')).toHaveValue('');
});

test('without receipts nobody learns what was read', async ({ alice, phone, bob }) => {
  await alice.page.getByTestId('settings').click();
  await alice.page.getByTestId('read-receipts').uncheck();
  await phone.page.getByTestId('settings').click();
  await expect(phone.page.getByTestId('read-receipts')).not.toBeChecked();
  await phone.closesDialog();
  await phone.opens(bob);
  await bob.writes('did you read this?');
  await phone.sees('did you read this?', 'received');
  await expect.poll(() => phone.readSeq(bob)).toBe(2);
  // What comes later in the conversation's order has come, so the cursor's event has, too.
  await bob.writes('well?');
  await bob.sees('well?', 'sent');
  await bob.sees('did you read this?', 'sent');
});
