import { expect } from '@playwright/test';

import { test } from './people';
import { Person, conversationId, named } from './person';

test('a message goes from sending to read', async ({ alice, bob }) => {
  await alice.signsIn();
  await alice.startsWith(bob);
  expect(alice.page.url()).toContain(`#/c/${conversationId(alice, bob)}`);

  await alice.context.setOffline(true);
  await alice.link('offline');
  await alice.writes('is the desk still there?');
  await alice.sees('is the desk still there?', 'sending');

  await alice.context.setOffline(false);
  await alice.sees('is the desk still there?', 'sent');

  // Bob's page has it, but he has not opened the conversation.
  await bob.signsIn();
  await bob.unread(alice, 1);
  await alice.sees('is the desk still there?', 'delivered');

  await bob.opens(alice);
  await bob.sees('is the desk still there?', 'received');
  await alice.sees('is the desk still there?', 'read');
  await bob.unread(alice, 0);
});

test('two people talk, and a reload shows the same', async ({ alice, bob }) => {
  await alice.meets(bob);
  await alice.writes('one');
  await alice.writes('two');
  await bob.unread(alice, 2);
  await bob.opens(alice);
  await bob.writes('three');
  await alice.sees('three', 'received');
  await bob.sees('three', 'read');

  await bob.looksAway();
  await alice.writes('four');
  await bob.unread(alice, 1);
  await alice.sees('four', 'delivered');
  await bob.opens(alice);
  await bob.unread(alice, 0);
  await alice.sees('four', 'read');

  const expected = [
    [1, 'one'],
    [2, 'two'],
    [3, 'three'],
    [4, 'four'],
  ];
  for (const person of [alice, bob]) {
    await expect.poll(() => person.log()).toEqual(expected);
    await person.page.reload();
    await person.isOnline();
    await expect.poll(() => person.log()).toEqual(expected);
    await expect(person.conversation(person === alice ? bob : alice)).toContainText('four');
  }
  await alice.sees('four', 'read');
});

test('what was written without a connection goes out once, in order', async ({ alice, bob }) => {
  await alice.meets(bob);
  await alice.writes('before');
  await bob.opens(alice);
  await bob.sees('before', 'received');

  await alice.context.setOffline(true);
  await alice.link('offline');
  for (const text of ['away 1', 'away 2', 'away 3']) {
    await alice.writes(text);
    await alice.sees(text, 'sending');
  }
  // Meanwhile the other side goes on.
  await bob.writes('are you there?');
  await bob.sees('are you there?', 'sent');

  await alice.context.setOffline(false);
  await alice.isOnline();
  await alice.sees('are you there?', 'received');
  const expected = [
    [1, 'before'],
    [2, 'are you there?'],
    [3, 'away 1'],
    [4, 'away 2'],
    [5, 'away 3'],
  ];
  await expect.poll(() => alice.log()).toEqual(expected);
  await expect.poll(() => bob.log()).toEqual(expected);
  await alice.sees('away 3', 'read');

  // Nothing is left over that a reload would send again.
  await alice.page.reload();
  await alice.isOnline();
  await alice.writes('after');
  await bob.sees('after', 'received');
  await expect.poll(() => bob.log()).toEqual([...expected, [6, 'after']]);
});

test('what was written without a connection survives a reload', async ({ alice, bob }) => {
  await alice.meets(bob);
  await alice.writes('before');
  await alice.sees('before', 'delivered');

  await alice.context.setOffline(true);
  await alice.link('offline');
  await alice.writes('kept');
  await alice.sees('kept', 'sending');
  // The page is gone before the network is back: only what it stored can send this.
  await alice.page.goto('about:blank');
  await alice.context.setOffline(false);
  await alice.page.goto(`/#/c/${conversationId(alice, bob)}`);
  await alice.sees('kept', 'delivered');
  await bob.opens(alice);
  await expect.poll(() => bob.log()).toEqual([
    [1, 'before'],
    [2, 'kept'],
  ]);
});

test('an answer lost with its connection doubles nothing', async ({ alice, bob }) => {
  // The server stores the message; the socket dies before the page hears of it.
  let cuts = 0;
  await alice.page.routeWebSocket(/\/v1\/connect$/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((frame) => {
      if (cuts < 2 && /"clientMessageId"/.test(String(frame))) {
        cuts += 1;
        void socket.close({ code: 1011 });
        void server.close();
      } else {
        socket.send(frame);
      }
    });
  });
  await alice.page.reload();
  await alice.meets(bob);
  await alice.writes('first');
  await alice.writes('second');
  await alice.sees('second', 'delivered');
  expect(cuts).toBe(2);
  const expected = [
    [1, 'first'],
    [2, 'second'],
  ];
  await bob.opens(alice);
  for (const person of [alice, bob]) await expect.poll(() => person.log()).toEqual(expected);
});

test('two tabs of one browser are two people', async ({ alice }) => {
  await alice.signsIn();
  const carol = await Person.inTab(alice.context, named('carol'));
  await carol.signsIn();
  await carol.startsWith(alice);
  await carol.writes('hello from the other tab');
  await alice.unread(carol, 1);
  // The cookie of the browser is carol's by now; the tab stays alice's, with the session it has.
  let sessions = 0;
  alice.page.on('request', (request) => (sessions += Number(request.url().endsWith('/v1/sessions/bootstrap'))));
  await alice.page.reload();
  await alice.isOnline();
  await alice.opens(carol);
  await alice.sees('hello from the other tab', 'received');
  await alice.writes('hello back');
  await carol.sees('hello back', 'received');
  expect(sessions).toBe(0);
  expect(carol.errors).toEqual([]);
});

test('older messages come while scrolling up', async ({ alice, bob }) => {
  test.setTimeout(180_000);
  await alice.signsIn();
  await alice.startsWith(bob);
  const total = 120;
  for (let n = 1; n <= total; n += 1) await alice.writes(`number ${n}`);
  await expect(alice.page.locator(`[data-testid="message"][data-seq="${total}"][data-state="sent"]`)).toBeVisible({ timeout: 60_000 });

  await bob.signsIn();
  await bob.opens(alice);
  const newest = bob.page.locator(`[data-testid="message"][data-seq="${total}"]`);
  await expect(newest).toBeInViewport();
  expect((await bob.log()).length).toBeLessThan(total);

  const log = bob.page.getByRole('log');
  await expect(async () => {
    await log.evaluate((element) => element.scrollTo({ top: 0 }));
    expect((await bob.log()).length).toBe(total);
  }).toPass();
  expect((await bob.log()).map(([seq]) => seq)).toEqual(Array.from({ length: total }, (_, index) => index + 1));
  // Reading on where one was: what was at the top has not been thrown out of sight to the end.
  await expect(newest).not.toBeInViewport();
});

test('signing out forgets the person of the tab', async ({ alice }) => {
  await alice.signsIn();
  await alice.page.reload();
  await alice.isOnline();
  await alice.page.getByTestId('signout').click();
  await expect(alice.page.getByTestId('signin-user')).toBeVisible();
  await alice.page.reload();
  await expect(alice.page.getByTestId('signin-user')).toBeVisible();
});
