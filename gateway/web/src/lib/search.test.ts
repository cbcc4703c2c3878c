import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ApiError } from './api/call';
import type { Hit, SearchPage, SearchQuery } from './api/search';
import { QUIET_MS, Search } from './search.svelte';

interface Asked {
  readonly query: SearchQuery;
  readonly signal: AbortSignal;
  answer(page: SearchPage): Promise<void>;
  fail(error: Error): Promise<void>;
}

function begin() {
  const asked: Asked[] = [];
  const search = new Search({ authorized: (call) => call('token') }, (_, query, signal) => {
    const { promise, resolve, reject } = withResolvers<SearchPage>();
    const settled = async (): Promise<void> => void (await vi.advanceTimersByTimeAsync(0));
    asked.push({ query, signal, answer: (page) => (resolve(page), settled()), fail: (error) => (reject(error), settled()) });
    return promise;
  });
  const typing = (words: string): void => {
    search.type(words);
    vi.advanceTimersByTime(QUIET_MS);
  };
  return { search, asked, typing, last: () => asked.at(-1) as Asked };
}

function withResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((...both) => ([resolve, reject] = both));
  return { promise, resolve, reject };
}

const hit = (snippet: string): Hit => ({ snippet, message: { snippet } as never });
const snippets = (search: Search): string[] => search.hits.map((one) => one.snippet);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a search', () => {
  it('asks once the typing pauses, for what stands there then', () => {
    const { search, asked } = begin();
    for (const words of ['d', 'de', 'des', ' desk ']) {
      search.type(words);
      vi.advanceTimersByTime(QUIET_MS - 1);
    }
    expect(asked).toHaveLength(0);
    vi.advanceTimersByTime(1);
    expect(asked.map(({ query }) => query)).toEqual([{ q: 'desk', conversationId: undefined, cursor: undefined }]);
  });

  it('does not wait when it is told not to, and asks no second time', () => {
    const { search, asked } = begin();
    search.type('desk');
    search.now();
    search.now();
    vi.advanceTimersByTime(QUIET_MS);
    expect(asked).toHaveLength(1);
  });

  it('drops the answer to what is not sought any more', async () => {
    const { search, asked, typing, last } = begin();
    typing('desk');
    typing('lamp');
    expect(asked[0]?.signal.aborted).toBe(true);
    await asked[0]?.answer({ hits: [hit('a desk')] });
    expect([search.phase, snippets(search)]).toEqual(['searching', []]);
    await last().answer({ hits: [hit('a lamp')] });
    expect([search.phase, search.asked, snippets(search)]).toEqual(['found', 'lamp', ['a lamp']]);
  });

  it('goes on where a page ended, also after one without hits', async () => {
    const { search, typing, last } = begin();
    typing('desk');
    await last().answer({ hits: [], nextCursor: 'c1' });
    expect([search.more, search.hits]).toEqual([true, []]);
    search.next();
    expect(last().query.cursor).toBe('c1');
    await last().answer({ hits: [hit('one')], nextCursor: 'c2' });
    search.next();
    await last().answer({ hits: [hit('two')] });
    expect([search.more, snippets(search)]).toEqual([false, ['one', 'two']]);
  });

  it('says what went wrong, keeps what it has, and tries the same page again', async () => {
    const { search, typing, last } = begin();
    typing('desk');
    await last().answer({ hits: [hit('one')], nextCursor: 'c1' });
    search.next();
    await last().fail(new ApiError(429, 'rate_limited', 'Too many searches.'));
    expect([search.phase, search.problem, snippets(search)]).toEqual(['failed', 'Too many searches.', ['one']]);
    search.next();
    expect(last().query.cursor).toBe('c1');
  });

  it('of a single letter is none, of a single character of Chinese is one', () => {
    const { search, asked, typing } = begin();
    typing('x');
    expect([search.phase, asked.length]).toEqual(['idle', 0]);
    typing('京');
    expect(asked).toHaveLength(1);
  });

  it('in one conversation asks about that one, and everywhere again when it is left', async () => {
    const { search, asked, typing, last } = begin();
    typing('desk');
    search.open('d.alice.bob');
    expect(asked[0]?.signal.aborted).toBe(true);
    expect(last().query.conversationId).toBe('d.alice.bob');
    search.scope(null);
    expect(last().query.conversationId).toBeUndefined();
    search.close();
    expect(last().signal.aborted).toBe(true);
    await last().answer({ hits: [hit('late')] });
    expect([search.active, search.phase, search.hits]).toEqual([false, 'idle', []]);
  });
});
