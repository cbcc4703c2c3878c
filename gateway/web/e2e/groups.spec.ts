// The life of a group, and of a channel.

import { expect } from '@playwright/test';

import { test } from './people';

test.beforeEach(async ({ alice, bob, carol }) => {
  await Promise.all([alice, bob, carol].map((person) => person.signsIn()));
});

test('people come, talk and go; whoever was removed gets no more', async ({ alice, bob, carol }) => {
  await alice.creates('group', 'Flea market', [bob]);
  await alice.writes('welcome');
  await bob.opens('Flea market');
  await bob.sees('welcome', 'received');
  await expect(bob.message('welcome')).toContainText(alice.userId);
  await bob.writes('hello all');
  await alice.sees('hello all', 'received');

  // Carol comes later: what was before is not hers.
  await alice.page.getByTestId('conversation-title').click();
  await alice.page.getByTestId('add-member').fill(carol.userId);
  await alice.page.getByTestId('add-member').press('Enter');
  await expect(alice.member(carol)).toBeVisible();
  await expect(alice.member(alice)).toHaveAttribute('data-role', 'owner');
  await alice.closesDialog();
  await carol.opens('Flea market');
  await alice.writes('hello carol');
  await carol.sees('hello carol', 'received');
  await expect(carol.page.getByTestId('message')).toHaveCount(1);

  // Read by X of Y, when asked.
  await bob.sees('hello carol', 'received');
  await expect(async () => {
    await alice.acts('hello carol', 'info');
    await expect(alice.page.getByTestId('read-count')).toHaveText('2 of 2', { timeout: 1_000 });
  }).toPass();
  await alice.closesDialog();

  // Bob goes: he keeps what he saw, and hears nothing more.
  await alice.page.getByTestId('conversation-title').click();
  await alice.page.getByTestId('rename').fill('Autumn market');
  await alice.page.getByTestId('rename-save').click();
  await expect(carol.conversation('Autumn market')).toBeVisible();
  await alice.page.getByTestId('rename-clear').click();
  await alice.page.getByTestId('rename-save').click();
  await expect(carol.page.getByTestId('conversation-title')).toHaveText('Group');
  await alice.page.getByTestId('rename').fill('Autumn market');
  await alice.page.getByTestId('rename-save').click();
  await expect(carol.conversation('Autumn market')).toBeVisible();
  await alice.member(bob).getByTestId('member-menu').click();
  await alice.page.getByTestId('remove-member').click();
  await alice.confirms();
  await expect(alice.member(bob)).toHaveCount(0);
  await alice.closesDialog();
  await expect(bob.page.getByTestId('closed')).toContainText('no longer');
  await alice.writes('without bob');
  await carol.sees('without bob', 'received');
  await expect(bob.message('without bob')).toHaveCount(0);
  await bob.page.reload();
  await bob.isOnline();
  await bob.sees('hello carol', 'received');
  await expect(bob.message('without bob')).toHaveCount(0);
  await expect(bob.page.getByTestId('composer')).toHaveCount(0);
});

test('a channel is read by many and written by its owner', async ({ alice, bob, carol }) => {
  await alice.creates('channel', 'Market news', [bob]);
  await alice.writes('open on Saturday');
  await bob.opens('Market news');
  await bob.sees('open on Saturday', 'received');
  await expect(bob.page.getByTestId('closed')).toContainText('Only the owner');

  // Whoever is given its address may subscribe.
  await carol.page.goto(bob.page.url());
  await carol.page.getByTestId('subscribe').click();
  await expect(carol.page.getByTestId('closed')).toBeVisible();
  await alice.writes('and on Sunday');
  await carol.sees('and on Sunday', 'received');
  await bob.sees('and on Sunday', 'received');
  await expect(carol.conversation('Market news').getByTestId('unread')).toHaveCount(0);
});
