import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { RECONNECT, delayMs } from './backoff';
import { begin, state } from './connection.fixture';
import { FIRST_FRAME_MS } from './transport/line';

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
