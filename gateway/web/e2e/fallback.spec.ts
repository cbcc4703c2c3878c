// The page finds its way where the network lets no WebSocket, or not even a stream, through.

import { expect, type Page } from '@playwright/test';

import { test } from './people';
import { conversationId } from './person';

const SOCKET = /\/v1\/connect$/;
const STREAM = /\/v1\/stream$/;

/** How a proxy may treat what it does not know. */
type Proxy = 'refuses' | 'swallows';

async function blockSockets(page: Page, proxy: Proxy): Promise<void> {
  await page.routeWebSocket(SOCKET, (socket) => {
    if (proxy === 'refuses') void socket.close();
  });
}

async function blockStreams(page: Page): Promise<void> {
  await page.route(STREAM, (route) => route.abort());
}

for (const { over, block } of [
  { over: 'sse', block: (page: Page) => blockSockets(page, 'refuses') },
  {
    over: 'poll',
    block: async (page: Page) => {
      await blockSockets(page, 'refuses');
      await blockStreams(page);
    },
  },
] as const) {
  test(`two people talk over ${over}`, async ({ alice, bob }) => {
    for (const person of [alice, bob]) {
      await block(person.page);
      await person.page.reload();
      await person.signsIn();
      await person.isOver(over);
    }
    await expect(alice.page.getByTestId('connection-state').locator('[title]')).toBeVisible();
    await alice.startsWith(bob);
    await alice.writes('one');
    await alice.writes('two');
    await bob.unread(alice, 2);
    await alice.sees('two', 'delivered');
    await bob.opens(alice);
    await bob.unread(alice, 0);
    await alice.sees('two', 'read');
    await bob.writes('three');
    await alice.sees('three', 'received');
    await bob.sees('three', 'read');

    await bob.looksAway();
    await alice.writes('four');
    await bob.unread(alice, 1);
    await alice.sees('four', 'delivered');

    const expected = [
      [1, 'one'],
      [2, 'two'],
      [3, 'three'],
      [4, 'four'],
    ];
    await bob.opens(alice);
    await alice.sees('four', 'read');
    for (const person of [alice, bob]) {
      await expect.poll(() => person.log()).toEqual(expected);
      await person.page.reload();
      // The tab remembers what worked: no socket is tried first.
      await person.isOver(over);
      await expect.poll(() => person.log()).toEqual(expected);
    }
    await alice.sees('four', 'read');
    // Nothing tells such a page who is there: it asks.
    for (const person of [alice, bob]) await expect(person.presence()).toHaveText('Online');

    // Without any network, what is written waits as it does with a socket.
    await alice.context.setOffline(true);
    await alice.link('offline');
    await alice.writes('five');
    await alice.sees('five', 'sending');
    await bob.writes('six');
    await bob.sees('six', 'sent');
    await alice.context.setOffline(false);
    await alice.sees('five', 'read');
    await alice.sees('six', 'received');
    const grown = [...expected, [5, 'six'], [6, 'five']];
    for (const person of [alice, bob]) await expect.poll(() => person.log()).toEqual(grown);
  });
}

test('silence is a refusal too', async ({ alice, bob }) => {
  await blockSockets(alice.page, 'swallows');
  await alice.page.reload();
  await alice.signsIn();
  await alice.isOver('sse');
  await bob.signsIn();
  await alice.startsWith(bob);
  await alice.writes('hello');
  await bob.unread(alice, 1);
  await alice.sees('hello', 'delivered');
});

test('nothing is lost or doubled while the transport changes', async ({ alice, bob }) => {
  const network = { sockets: true, streams: true };
  const open = new Set<() => void>();
  await alice.page.routeWebSocket(SOCKET, (socket) => {
    if (!network.sockets) return void socket.close();
    const server = socket.connectToServer();
    open.add(() => {
      void socket.close({ code: 3000 });
      void server.close();
    });
  });
  await alice.page.route(STREAM, (route) => (network.streams ? route.continue() : route.abort()));
  await alice.page.reload();
  await alice.signsIn();
  await alice.isOver('websocket');
  await bob.signsIn();
  await alice.startsWith(bob);
  await alice.writes('a1');
  await bob.opens(alice);
  await bob.sees('a1', 'received');

  // Both go on writing while alice's connection is cut and comes back by another way.
  const a: string[] = ['a1'];
  const b: string[] = [];
  const bothWrite = async (): Promise<void> => {
    a.push(`a${a.length + 1}`);
    b.push(`b${b.length + 1}`);
    await Promise.all([alice.writes(a.at(-1) ?? ''), bob.writes(b.at(-1) ?? '')]);
  };
  const cutAndWrite = async (over: 'sse' | 'poll'): Promise<void> => {
    await bothWrite();
    for (const cut of open) cut();
    open.clear();
    await bothWrite();
    await alice.isOver(over);
    await bothWrite();
  };
  network.sockets = false;
  await cutAndWrite('sse');
  network.streams = false;
  // The stream that is open stays open until the network is changed.
  await alice.context.setOffline(true);
  await alice.link('offline');
  await bothWrite();
  await alice.context.setOffline(false);
  await cutAndWrite('poll');

  // The way is free again: at a change of the network it is tried at once, beside the one in use.
  network.sockets = true;
  await bothWrite();
  await alice.page.evaluate(() => window.dispatchEvent(new Event('online')));
  await bothWrite();
  await alice.isOver('websocket');
  await bothWrite();

  for (const person of [alice, bob]) {
    const words = async (): Promise<string[]> => (await person.log()).map(([, text]) => text);
    await expect.poll(async () => (await words()).filter((text) => text.startsWith('a'))).toEqual(a);
    await expect.poll(async () => (await words()).filter((text) => text.startsWith('b'))).toEqual(b);
    await expect.poll(async () => (await person.log()).map(([seq]) => seq)).toEqual([...a, ...b].map((_, at) => at + 1));
  }
  expect(await alice.log()).toEqual(await bob.log());
  await alice.sees(a.at(-1) ?? '', 'read');
  expect(alice.page.url()).toContain(conversationId(alice, bob));
});

test('a server that is away is no reason to fall back', async ({ alice }) => {
  await alice.signsIn();
  let away = true;
  const gone = (url: URL): boolean => url.pathname.startsWith('/v1/');
  let attempts = 0;
  await alice.page.routeWebSocket(SOCKET, (socket) => {
    attempts += 1;
    if (away) void socket.close();
    else socket.connectToServer();
  });
  await alice.page.route(gone, (route) => (away ? route.abort() : route.continue()));
  await alice.page.reload();
  await expect.poll(() => attempts, { timeout: 30_000 }).toBeGreaterThan(3);
  away = false;
  await alice.page.evaluate(() => window.dispatchEvent(new Event('focus')));
  await alice.isOver('websocket');
});
