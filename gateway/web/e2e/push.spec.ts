// The service worker, given pushes as the push service of the browser would.

import { expect, test, type CDPSession, type Page } from '@playwright/test';

import { Person, conversationId, named } from './person';

let alice: Person;
let bob: Person;

test.beforeEach(async ({ browser }) => {
  alice = await Person.arrives(browser, named('alice'));
  bob = await Person.arrives(browser, named('bob'));
});

test.afterEach(async () => {
  await alice.leaves();
  await bob.leaves();
});

/** The titles of what is shown. */
const shown = (page: Page): Promise<string[]> =>
  page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications()).map((one) => one.title));

/** Installs the worker as turning push on does; answers how to push to it. */
async function pushesTo(page: Page): Promise<(payload: object) => Promise<void>> {
  const origin = new URL(page.url()).origin;
  await page.context().grantPermissions(['notifications'], { origin });
  const session: CDPSession = await page.context().newCDPSession(page);
  const registered = new Promise<string>((resolve) =>
    session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      const [first] = registrations;
      if (first) resolve(first.registrationId);
    }),
  );
  await session.send('ServiceWorker.enable');
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('sw.js');
    await navigator.serviceWorker.ready;
  });
  const registrationId = await registered;
  return async (payload) => {
    await session.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data: JSON.stringify(payload) });
  };
}

test('a push is shown, replaced and taken back', async () => {
  await alice.signsIn();
  const push = await pushesTo(alice.page);
  const tag = conversationId(alice, bob);
  const digest = (title: string, at: string, rest: object = {}): object => ({
    type: 'digest',
    notificationId: '0193e5a0-7b1c-7def-8123-456789abcdef',
    conversationId: tag,
    tag,
    title,
    body: 'is the desk still there?',
    link: 'https://parley.example/',
    messages: 1,
    at,
    ...rest,
  });

  await push(digest('One message from Bob', '2026-11-21T09:00:00.000Z'));
  await expect.poll(() => shown(alice.page)).toEqual(['One message from Bob']);
  await push(digest('Two messages from Bob', '2026-11-21T09:01:00.000Z'));
  await expect.poll(() => shown(alice.page)).toEqual(['Two messages from Bob']);
  await push(digest('Your inbox', '2026-11-21T09:02:00.000Z', { conversationId: undefined, tag: 'inbox' }));
  await expect.poll(async () => (await shown(alice.page)).sort()).toEqual(['Two messages from Bob', 'Your inbox']);

  // Read elsewhere: what came later stays.
  const close = (at: string): object => ({ type: 'close', notificationId: 'x', conversationId: tag, tag, at });
  await push(close('2026-11-21T09:00:30.000Z'));
  await push(close('2026-11-21T09:03:00.000Z'));
  await expect.poll(() => shown(alice.page)).toEqual(['Your inbox']);
});

test('a click on a notification opens its conversation', async () => {
  await alice.signsIn();
  await bob.signsIn();
  await bob.startsWith(alice);
  await bob.writes('over here');
  await alice.unread(bob, 1);
  await pushesTo(alice.page);
  // As the worker says it after the click.
  await alice.page.evaluate((id) => {
    const address = new URL(`#/c/${id}`, location.href).href;
    navigator.serviceWorker.dispatchEvent(new MessageEvent('message', { data: { type: 'open', address } }));
  }, conversationId(alice, bob));
  await alice.sees('over here', 'received');
});
