import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { Ends } from './ends';

beforeEach(() => void vi.useFakeTimers({ now: 1_000_000 }));
afterEach(() => void vi.useRealTimers());

describe('the timer of what ends', () => {
  const begin = () => {
    const over = vi.fn();
    return { over, ends: new Ends(over) };
  };

  it('rings at the moment, once', () => {
    const { over, ends } = begin();
    ends.next(1_005_000);
    ends.next(1_005_000);
    vi.advanceTimersByTime(4_999);
    expect(over).not.toHaveBeenCalled();
    vi.advanceTimersByTime(60_000);
    expect(over).toHaveBeenCalledTimes(1);
  });

  it('is one: the latest word counts', () => {
    const { over, ends } = begin();
    ends.next(1_005_000);
    ends.next(1_002_000);
    expect(vi.getTimerCount()).toBe(1);
    ends.next(Infinity);
    vi.advanceTimersByTime(60_000);
    expect(over).not.toHaveBeenCalled();
  });

  it('looks again before a moment that no timer can count to', () => {
    const { over, ends } = begin();
    ends.next(1_000_000 + 90 * 86_400_000);
    vi.advanceTimersByTime(60 * 60_000);
    expect(over).toHaveBeenCalledTimes(1);
  });

  it('never runs hot for what is over already', () => {
    const { over, ends } = begin();
    over.mockImplementation(() => ends.next(5));
    ends.next(5);
    vi.advanceTimersByTime(1_000);
    expect(over.mock.calls.length).toBeLessThanOrEqual(50);
  });
});
