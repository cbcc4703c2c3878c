// The service worker, given pushes as the push service of the browser would.

import { expect, type CDPSession, type Page, type Worker } from '@playwright/test';

import { test } from './people';
import { conversationId } from './person';

// What a service worker knows, of which the types of a page say nothing.
declare const ExtendableEvent: { prototype: { waitUntil(work: Promise<unknown>): void } };
declare const PushEvent: new () => Event;

/**
 * The titles of what is shown. Not to be asked while a push is being handled: Chromium takes what is
 * not on the screen yet for dismissed.
 */
const shown = (page: Page): Promise<string[]> =>
  page.evaluate(async () => (await (await navigator.serviceWorker.ready).getNotifications()).map((one) => one.title));

/** Counts the pushes that the worker is done with; it says nothing of them by itself. */
async function counted(worker: Worker): Promise<() => Promise<number>> {
  await worker.evaluate(() => {
    const { waitUntil } = ExtendableEvent.prototype;
    const counts = Object.assign(self, { handled: 0 });
    ExtendableEvent.prototype.waitUntil = function (work: Promise<unknown>) {
      const count = (): unknown => (counts.handled += 1);
      if (this instanceof PushEvent) void work.then(count, count);
      waitUntil.call(this, work);
    };
  });
  return () => worker.evaluate(() => (self as unknown as { handled: number }).handled);
}

/** Installs the worker as turning push on does; answers how to push to it and have it handled. */
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
  const started = page.context().waitForEvent('serviceworker');
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('sw.js');
    await navigator.serviceWorker.ready;
  });
  const registrationId = await registered;
  const handled = await counted(await started);
  let pushed = 0;
  return async (payload) => {
    await session.send('ServiceWorker.deliverPushMessage', { origin, registrationId, data: JSON.stringify(payload) });
    pushed += 1;
    await expect.poll(handled).toBe(pushed);
  };
}

test('a push is shown, replaced and taken back', async ({ alice, bob }) => {
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

test('a click on a notification opens its conversation', async ({ alice, bob }) => {
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
