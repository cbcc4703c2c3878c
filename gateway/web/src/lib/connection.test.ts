import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { RECONNECT, delayMs } from './backoff';
import { Connection, type Link } from './connection';
import type { ServerFrame } from './protocol';
import { BETTER, FIRST_CHOICE, type Choice } from './transport/chooser';
import { FIRST_FRAME_MS } from './transport/line';
import type { Listener, Transport, TransportName } from './transport/transport';
import { WebSocketTransport } from './transport/websocket';

class FakeSocket {
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((close: { code: number }) => void) | null = null;

  opens(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  says(frame: Record<string, unknown>): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  greets(): void {
    this.opens();
    this.says({ type: 'ready', userId: 'alice', deviceId: 'dev_1', heartbeatSeconds: 25 });
    this.says({ type: 'caughtUp', token: 't' });
  }
  closes(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.readyState = 2;
  }
}

class FakeHttp implements Transport {
  closed = false;
  checks = 0;
  sent: unknown[] = [];

  constructor(
    readonly name: TransportName,
    readonly listener: Listener,
  ) {}

  greets(): void {
    this.listener.frame({ type: 'ready', userId: 'alice', deviceId: 'dev_1', heartbeatSeconds: 25 });
    this.listener.frame({ type: 'caughtUp', token: 't' });
  }
  send(frame: unknown): boolean {
    return this.sent.push(frame) > 0;
  }
  check(): void {
    this.checks += 1;
  }
  close(): void {
    this.closed = true;
  }
}

interface Begin {
  renewals?: (boolean | 'unreachable')[];
  /** Whether plain HTTP is answered. */
  there?: boolean;
  recall?: Choice;
}

function begin({ renewals = [], there = false, recall = FIRST_CHOICE }: Begin = {}) {
  const sockets: FakeSocket[] = [];
  const https: FakeHttp[] = [];
  const links: Link[] = [];
  const frames: ServerFrame[] = [];
  const endings: string[] = [];
  const remembered: Choice[] = [];
  const world = { there, asked: 0, looks: 0 };
  const connection = new Connection({
    open: (name, listener) => {
      if (name === 'websocket') {
        const socket = new FakeSocket();
        sockets.push(socket);
        const hello = () => ({ type: 'hello', sessionToken: 's', deviceId: 'dev_1' }) as const;
        return new WebSocketTransport(socket as unknown as WebSocket, hello, listener);
      }
      const http = new FakeHttp(name, listener);
      https.push(http);
      return http;
    },
    asking: () => (world.asked += 1),
    isThere: async () => {
      world.looks += 1;
      return world.there;
    },
    recall: () => recall,
    remember: (choice) => remembered.push(choice),
    onLink: (link) => links.push(link),
    onFrame: (frame) => frames.push(frame),
    renew: async () => {
      const next = renewals.shift();
      if (next === 'unreachable') throw new Error('unreachable');
      return next ?? false;
    },
    onEnd: (ending) => endings.push(ending),
    random: () => 0.5,
  });
  connection.start();
  const last = (): FakeSocket => sockets.at(-1) as FakeSocket;
  const http = (): FakeHttp => https.at(-1) as FakeHttp;
  return { connection, sockets, https, http, links, frames, endings, remembered, world, last };
}
/** To the moment of the next attempt. */
const comesBack = (links: Link[]): Promise<unknown> => vi.advanceTimersByTimeAsync(Math.max(0, (links.at(-1)?.retryAt ?? 0) - Date.now()));
const state = (links: Link[]) => links.at(-1)?.state;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('backoff', () => {
  it('is bounded and uses the whole range', () => {
    for (let attempt = 0; attempt < 50; attempt += 1) {
      expect(delayMs(RECONNECT, attempt, () => 0)).toBe(0);
      const most = delayMs(RECONNECT, attempt, () => 0.999_999);
      expect(most).toBeLessThanOrEqual(Math.min(RECONNECT.capMs, RECONNECT.baseMs * 2 ** attempt));
    }
    expect(delayMs(RECONNECT, 50, () => 0.999_999)).toBeGreaterThan(RECONNECT.capMs - 2);
  });
});

describe('the connection', () => {
  it('greets first and is online when caught up', () => {
    const { last, links } = begin();
    last().opens();
    expect(last().sent).toEqual([{ type: 'hello', sessionToken: 's', deviceId: 'dev_1' }]);
    expect(state(links)).toBe('connecting');
    last().greets();
    expect(state(links)).toBe('online');
  });

  it('sends nothing before ready', () => {
    const { connection, last } = begin();
    last().opens();
    expect(connection.send({ type: 'ping' })).toBe(false);
  });

  it.each([1000, 1006, 4408, 4409, 4503])('comes back after close %i', (code) => {
    const { sockets, last, links, endings } = begin();
    last().greets();
    last().closes(code);
    expect(state(links)).toBe('offline');
    vi.advanceTimersByTime(RECONNECT.baseMs);
    expect(sockets).toHaveLength(2);
    expect(endings).toEqual([]);
  });

  it.each([
    [4400, 'outdated'],
    [4403, 'refused'],
    [4413, 'outdated'],
    [4499, 'outdated'],
  ])('does not come back unchanged after close %i', (code, ending) => {
    const { sockets, last, endings } = begin();
    last().greets();
    last().closes(code);
    vi.advanceTimersByTime(600_000);
    expect(endings).toEqual([ending]);
    expect(sockets).toHaveLength(1);
  });

  it('waits longer after flooding', () => {
    const { sockets, last } = begin();
    last().greets();
    last().closes(4429);
    vi.advanceTimersByTime(4_999);
    expect(sockets).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(sockets).toHaveLength(2);
  });

  it('renews the session once after 4401, then gives up', async () => {
    const { sockets, last, endings } = begin({ renewals: [true, true] });
    last().opens();
    last().closes(4401);
    await vi.advanceTimersByTimeAsync(0);
    expect(sockets).toHaveLength(2);
    last().opens();
    last().closes(4401);
    await vi.advanceTimersByTimeAsync(600_000);
    expect(sockets).toHaveLength(2);
    expect(endings).toEqual(['signed-out']);
  });

  it('does not take an unreachable server for a refusal', async () => {
    const { sockets, last, endings } = begin({ renewals: ['unreachable', true] });
    last().closes(4401);
    await vi.advanceTimersByTimeAsync(RECONNECT.baseMs);
    expect(endings).toEqual([]);
    expect(sockets).toHaveLength(2);
  });

  it('pings, and treats silence as death', () => {
    const { sockets, last, links } = begin();
    last().greets();
    vi.advanceTimersByTime(25_000);
    expect(last().sent.at(-1)).toEqual({ type: 'ping' });
    last().says({ type: 'pong' });
    vi.advanceTimersByTime(25_000);
    vi.advanceTimersByTime(10_000);
    expect(state(links)).toBe('offline');
    vi.advanceTimersByTime(RECONNECT.baseMs);
    expect(sockets).toHaveLength(2);
  });

  it('gives up on a socket that never greets', () => {
    const { sockets } = begin();
    vi.advanceTimersByTime(FIRST_FRAME_MS.websocket + RECONNECT.baseMs);
    expect(sockets).toHaveLength(2);
  });

  it('backs off further with every failure, and starts anew after a good while', () => {
    const { sockets, last, links } = begin();
    const waits: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      last().closes(1006);
      const wait = (links.at(-1)?.retryAt ?? 0) - Date.now();
      waits.push(wait);
      vi.advanceTimersByTime(wait);
    }
    expect(waits).toEqual([250, 500, 1_000, 2_000]);
    last().greets();
    vi.advanceTimersByTime(5_000);
    last().closes(1006);
    expect((links.at(-1)?.retryAt ?? 0) - Date.now()).toBe(250);
    expect(sockets).toHaveLength(5);
  });

  it('moves when told so, at the moment given', () => {
    const { sockets, last } = begin();
    last().greets();
    last().says({ type: 'draining', reconnectAfterMs: 1_200 });
    vi.advanceTimersByTime(600);
    last().closes(4503);
    vi.advanceTimersByTime(599);
    expect(sockets).toHaveLength(1);
    vi.advanceTimersByTime(1);
    expect(sockets).toHaveLength(2);
  });

  it('follows the browser’s word about the network', () => {
    const { connection, sockets, last, links } = begin();
    last().greets();
    connection.network(false);
    expect(state(links)).toBe('offline');
    vi.advanceTimersByTime(20_000);
    expect(sockets).toHaveLength(1);
    connection.network(true);
    expect(sockets).toHaveLength(2);
  });

  it('no longer hears a socket that it gave up', () => {
    const { connection, sockets, last, frames } = begin();
    last().greets();
    connection.network(false);
    const before = frames.length;
    sockets[0]?.says({ type: 'pong' });
    expect(frames).toHaveLength(before);
  });

  it('is quiet after stop', () => {
    const { connection, sockets, last } = begin();
    last().greets();
    connection.stop();
    vi.advanceTimersByTime(600_000);
    expect(sockets).toHaveLength(1);
  });
});

describe('falling back', () => {
  const refusedUntil = async (run: ReturnType<typeof begin>, sockets: number): Promise<void> => {
    while (run.sockets.length < sockets) {
      run.last().closes(1006);
      await comesBack(run.links);
    }
  };
  /** Three refusals, and the tab is online over a stream. */
  const onSse = async (): Promise<ReturnType<typeof begin>> => {
    const run = begin({ there: true });
    await refusedUntil(run, 3);
    run.last().closes(1006);
    await vi.advanceTimersByTimeAsync(0);
    run.http().greets();
    return run;
  };

  it('takes a few refusals in a row, while the server answers plain HTTP', async () => {
    const run = begin({ there: true });
    await refusedUntil(run, 3);
    expect(run.https).toEqual([]);
    run.last().closes(1006);
    await vi.advanceTimersByTimeAsync(0);
    expect(run.http().name).toBe('sse');
    expect(state(run.links)).toBe('connecting');
    run.http().greets();
    expect(run.links.at(-1)).toEqual({ state: 'online', over: 'sse' });
    expect(run.world.asked).toBe(1);
    expect(run.remembered.at(-1)?.current).toBe('sse');
  });

  it('takes two silences, so a swallowed upgrade costs seconds', async () => {
    const { https, sockets } = begin({ there: true });
    await vi.advanceTimersByTimeAsync(2 * FIRST_FRAME_MS.websocket + RECONNECT.baseMs);
    expect(sockets).toHaveLength(2);
    expect(https.map(({ name }) => name)).toEqual(['sse']);
  });

  it('counts a socket that opens and then says nothing', async () => {
    const { https, last } = begin({ there: true });
    for (let i = 0; i < 2; i += 1) {
      last().opens();
      await vi.advanceTimersByTimeAsync(FIRST_FRAME_MS.websocket + RECONNECT.baseMs);
    }
    expect(https).toHaveLength(1);
  });

  it('goes on to the long poll when streams are held back too', async () => {
    const { https, http } = begin({ there: true });
    await vi.advanceTimersByTimeAsync(2 * FIRST_FRAME_MS.websocket + 2 * FIRST_FRAME_MS.sse + 4 * RECONNECT.baseMs);
    expect(https.map(({ name }) => name)).toEqual(['sse', 'sse', 'poll']);
    expect(https.map(({ closed }) => closed)).toEqual([true, true, false]);
    http().greets();
  });

  it('does not, when the whole server is away', async () => {
    const run = begin({ there: false });
    await refusedUntil(run, 20);
    expect(run.https).toEqual([]);
    expect(run.world.looks).toBeGreaterThan(10);
  });

  it.each([4401, 4409, 4429, 4503])('does not for close %i', async (code) => {
    const run = begin({ there: true, renewals: [true, true, true, true, true, true, true, true] });
    for (let i = 0; i < 6; i += 1) {
      run.last().greets();
      run.last().closes(code);
      await comesBack(run.links);
    }
    expect(run.https).toEqual([]);
    expect(run.sockets).toHaveLength(7);
    expect(run.world.looks).toBe(0);
  });

  it('does not for a server that is being stopped', async () => {
    const run = begin({ there: true });
    for (let i = 0; i < 6; i += 1) {
      run.last().greets();
      run.last().says({ type: 'draining', reconnectAfterMs: 100 });
      run.last().closes(1006);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(run.https).toEqual([]);
  });

  it('does not for cuts with a good while between them', async () => {
    const run = begin({ there: true });
    for (let i = 0; i < 6; i += 1) {
      run.last().greets();
      await vi.advanceTimersByTimeAsync(5_000);
      run.last().closes(1006);
      await comesBack(run.links);
    }
    expect(run.https).toEqual([]);
  });

  it('does for sockets that greet and are cut at once', async () => {
    const run = begin({ there: true });
    for (let i = 0; i < 3; i += 1) {
      run.last().greets();
      run.last().closes(1006);
      await comesBack(run.links);
    }
    expect(run.http().name).toBe('sse');
  });

  it('renews the session there too', async () => {
    const run = begin({ there: true, recall: { current: 'sse', against: 0, tries: 0, betterAt: Date.now() + 60_000 }, renewals: [true] });
    run.http().listener.ended(4401);
    await vi.advanceTimersByTimeAsync(0);
    expect(run.https.map(({ name }) => name)).toEqual(['sse', 'sse']);
    expect(run.endings).toEqual([]);
  });

  it('sends what it is given over the one in use', async () => {
    const run = await onSse();
    expect(run.connection.send({ type: 'typing', conversationId: 'c', typing: true })).toBe(true);
    expect(run.http().sent).toHaveLength(1);
    run.connection.nudge();
    expect(run.http().checks).toBe(1);
  });

  it('comes back after the time that the server asked for', async () => {
    const run = await onSse();
    run.http().listener.ended(1006, 1_000);
    expect((run.links.at(-1)?.retryAt ?? 0) - Date.now()).toBe(1_000);
  });

  it('begins with what worked in this tab', () => {
    const run = begin({ there: true, recall: { current: 'poll', against: 0, tries: 0, betterAt: Date.now() + 60_000 } });
    expect(run.sockets).toEqual([]);
    expect(run.http().name).toBe('poll');
  });
});

describe('getting back to a better transport', () => {
  const later: Choice = { current: 'poll', against: 0, tries: 0, betterAt: 20_000 };
  const onPoll = (): ReturnType<typeof begin> => {
    vi.setSystemTime(0);
    const run = begin({ there: true, recall: later });
    run.http().greets();
    return run;
  };

  it('tries it beside the one in use, and moves when it greets', async () => {
    const run = onPoll();
    await vi.advanceTimersByTimeAsync(19_999);
    expect(run.sockets).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(run.sockets).toHaveLength(1);
    run.last().opens();
    expect(run.http().closed).toBe(false);
    expect(run.connection.send({ type: 'ping' })).toBe(true);
    expect(run.http().sent).toHaveLength(1);
    const before = run.links.length;
    run.last().greets();
    expect(run.http().closed).toBe(true);
    // Nobody saw it go away.
    expect(run.links.slice(before)).toEqual([{ state: 'online', over: 'websocket' }]);
    expect(run.world.asked).toBe(2);
    run.http().listener.frame({ type: 'token', token: 'old' });
    expect(run.frames.at(-1)?.type).not.toBe('token');
    await vi.advanceTimersByTimeAsync(5_000);
    expect(run.remembered.at(-1)).toEqual(FIRST_CHOICE);
  });

  it('tries all better ones, and again later when none works', async () => {
    const run = onPoll();
    await vi.advanceTimersByTimeAsync(20_000);
    run.last().closes(1006);
    expect(run.http().name).toBe('sse');
    await vi.advanceTimersByTimeAsync(FIRST_FRAME_MS.sse);
    expect(run.https.map(({ closed }) => closed)).toEqual([false, true]);
    expect(run.links.at(-1)).toEqual({ state: 'online', over: 'poll' });
    expect(run.remembered.at(-1)).toEqual({ current: 'poll', against: 0, tries: 1, betterAt: Date.now() + 1.5 * BETTER.baseMs });
    await vi.advanceTimersByTimeAsync(1.5 * BETTER.baseMs - 1);
    expect(run.sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(run.sockets).toHaveLength(2);
  });

  it('settles for the second best', async () => {
    const run = onPoll();
    await vi.advanceTimersByTimeAsync(20_000);
    run.last().closes(1006);
    run.http().greets();
    expect(run.links.at(-1)).toEqual({ state: 'online', over: 'sse' });
    expect(run.https[0]?.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(BETTER.baseMs);
    expect(run.sockets).toHaveLength(1);
  });

  it('goes back at once when the better one does not last', async () => {
    const run = onPoll();
    await vi.advanceTimersByTimeAsync(20_000);
    run.last().greets();
    run.last().closes(1006);
    await vi.advanceTimersByTimeAsync(0);
    expect(run.http().name).toBe('sse');
  });

  it('takes over even when the one in use is lost meanwhile', async () => {
    const run = onPoll();
    await vi.advanceTimersByTimeAsync(20_000);
    run.http().listener.ended(1006);
    expect(state(run.links)).toBe('offline');
    run.last().greets();
    expect(run.links.at(-1)).toEqual({ state: 'online', over: 'websocket' });
    await vi.advanceTimersByTimeAsync(20_000);
    expect(run.https).toHaveLength(1);
  });

  it('tries at once when the network has changed', async () => {
    const run = onPoll();
    run.connection.network(false);
    run.connection.network(true);
    expect(run.http().name).toBe('poll');
    run.http().greets();
    await vi.advanceTimersByTimeAsync(0);
    expect(run.sockets).toHaveLength(1);
  });

  it('is quiet after stop', async () => {
    const run = onPoll();
    await vi.advanceTimersByTimeAsync(20_000);
    run.connection.stop();
    await vi.advanceTimersByTimeAsync(3_600_000);
    expect(run.sockets).toHaveLength(1);
    expect(run.sockets[0]?.readyState).toBe(2);
    expect(run.https).toHaveLength(1);
  });
});
