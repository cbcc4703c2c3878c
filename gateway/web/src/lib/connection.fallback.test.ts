import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { RECONNECT } from './backoff';
import { begin, comesBack, state } from './connection.fixture';
import { BETTER, FIRST_CHOICE, type Choice } from './transport/chooser';
import { FIRST_FRAME_MS } from './transport/line';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

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
