import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ApiError } from './api/call';
import { AT_MOST_MS, Drafts, QUIET_MS } from './drafts.svelte';
import type { Host } from './host';
import { memoryStore, type Store } from './storage';
import { ALICE, BOB, PAIR, event, sentBy } from './store/model';
import { apply } from './store/apply';
import { initialState } from './store/state';

interface Save {
  readonly words: string;
  readonly savedAt: string;
  answer(version: number): Promise<void>;
  fail(error: ApiError): Promise<void>;
}

function begin(store: Store = memoryStore()) {
  let state = apply(initialState(ALICE), { type: 'event', event: sentBy(BOB, 1, 1) });
  const saves: Save[] = [];
  const host: Host = {
    me: ALICE,
    get state() {
      return state;
    },
    dispatch: (input) => void (state = apply(state, input)),
    authorized: (call) => call('token'),
  };
  const settle = async (done: () => void): Promise<void> => {
    done();
    await vi.advanceTimersByTimeAsync(0);
  };
  const drafts = new Drafts(host, store, (_, __, words, savedAt) =>
    new Promise((resolve, reject) =>
      saves.push({ words, savedAt, answer: (version) => settle(() => resolve(version)), fail: (error) => settle(() => reject(error)) }),
    ),
  );
  drafts.restore();
  /** The account's event, from whatever device. */
  const heard = (version: number, words: string, savedAt: string): void =>
    host.dispatch({ type: 'event', event: event(version, words ? 'draft.saved' : 'draft.cleared', ALICE, { conversationId: PAIR, text: words, savedAt }, `a.${ALICE}`) });
  return { drafts, saves, heard, store, last: () => saves.at(-1) as Save };
}

beforeEach(() => void vi.useFakeTimers({ now: Date.UTC(2026, 10, 21) }));
afterEach(() => void vi.useRealTimers());

describe('a draft', () => {
  it('is saved when the writing pauses, and does not flicker until its event comes', async () => {
    const { drafts, saves, heard, last } = begin();
    drafts.write(PAIR, 'a');
    vi.advanceTimersByTime(QUIET_MS - 1);
    drafts.write(PAIR, 'ab');
    vi.advanceTimersByTime(QUIET_MS - 1);
    expect(saves).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(saves.map(({ words }) => words)).toEqual(['ab']);
    await last().answer(7);
    expect(drafts.of(PAIR)).toBe('ab');
    heard(7, 'ab', last().savedAt);
    expect(drafts.of(PAIR)).toBe('ab');
  });

  it('is saved now and then while somebody writes on', () => {
    const { drafts, saves } = begin();
    for (let ms = 0; ms < AT_MOST_MS; ms += 100) {
      drafts.write(PAIR, `words ${ms}`);
      vi.advanceTimersByTime(100);
    }
    expect(saves).toHaveLength(1);
  });

  it('of another device is shown, but not while this one is written on', async () => {
    const { drafts, heard, last } = begin();
    heard(1, 'from the phone', '2026-11-20T23:00:00.000Z');
    expect(drafts.of(PAIR)).toBe('from the phone');
    drafts.write(PAIR, 'here');
    heard(2, 'late from the phone', '2026-11-20T23:30:00.000Z');
    expect(drafts.of(PAIR)).toBe('here');
    drafts.flush(PAIR);
    await last().answer(3);
    heard(3, 'here', last().savedAt);
    heard(4, 'phone again', '2026-11-21T01:00:00.000Z');
    expect(drafts.of(PAIR)).toBe('phone again');
  });

  it('that was sent is cleared for all, at once', async () => {
    const { drafts, heard, last, saves } = begin();
    heard(1, 'to be sent', '2026-11-20T23:00:00.000Z');
    drafts.write(PAIR, '');
    drafts.flush(PAIR);
    expect(last().words).toBe('');
    await last().answer(2);
    expect(drafts.of(PAIR)).toBe('');
    expect(saves).toHaveLength(1);
  });

  it('that was begun and sent within a moment is nobody’s business', () => {
    const { drafts, saves } = begin();
    drafts.write(PAIR, 'hello');
    drafts.write(PAIR, '');
    drafts.flush(PAIR);
    expect(saves).toEqual([]);
  });

  it('that is sent while it is being saved is taken back', async () => {
    const { drafts, saves, heard, last } = begin();
    drafts.write(PAIR, 'hello');
    drafts.flush(PAIR);
    drafts.write(PAIR, '');
    drafts.flush(PAIR);
    // The one must not overtake the other.
    expect(saves.map(({ words }) => words)).toEqual(['hello']);
    await last().answer(7);
    expect(saves.map(({ words }) => words)).toEqual(['hello', '']);
    heard(7, 'hello', saves[0]?.savedAt ?? '');
    expect(drafts.of(PAIR)).toBe('');
    await last().answer(8);
    heard(8, '', last().savedAt);
    expect(drafts.of(PAIR)).toBe('');
    // From now on it is nobody's business again.
    drafts.write(PAIR, 'x');
    drafts.write(PAIR, '');
    drafts.flush(PAIR);
    expect(saves).toHaveLength(2);
  });

  it('whose saving failed may have been saved, and is taken back', async () => {
    const { drafts, saves, last } = begin();
    drafts.write(PAIR, 'hello');
    drafts.flush(PAIR);
    drafts.write(PAIR, '');
    drafts.flush(PAIR);
    await last().fail(new ApiError(0, 'network', ''));
    expect(saves.map(({ words }) => words)).toEqual(['hello', '']);
  });

  it('that was sent is taken back after a reload, too', () => {
    const before = begin();
    before.drafts.write(PAIR, 'hello');
    before.drafts.flush(PAIR);
    before.drafts.write(PAIR, '');
    const after = begin(before.store);
    after.drafts.online();
    expect(after.saves.map(({ words }) => words)).toEqual(['']);
  });

  it('survives a reload when it could not be saved, and is saved then', async () => {
    const before = begin();
    before.drafts.write(PAIR, 'kept');
    before.drafts.flush(PAIR);
    await before.last().fail(new ApiError(0, 'network', ''));
    const after = begin(before.store);
    expect(after.drafts.of(PAIR)).toBe('kept');
    after.drafts.online();
    expect(after.last().words).toBe('kept');
    await after.last().answer(1);
    expect(begin(before.store).drafts.of(PAIR)).toBe('');
  });

  it('is tried again by itself, unless the server does not take it', async () => {
    const { drafts, saves, last } = begin();
    drafts.write(PAIR, 'x');
    drafts.flush(PAIR);
    await last().fail(new ApiError(503, 'unavailable', ''));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(saves).toHaveLength(2);
    await last().fail(new ApiError(422, 'invalid_body', ''));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(saves).toHaveLength(2);
    expect(drafts.of(PAIR)).toBe('x');
  });

  it('is not left for the next person', () => {
    const { drafts, store } = begin();
    drafts.write(PAIR, 'secret');
    drafts.clear();
    expect(begin(store).drafts.of(PAIR)).toBe('');
  });
});
