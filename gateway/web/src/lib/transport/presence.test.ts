import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ApiError } from '../api/call';
import type { PresenceFrame } from '../api/talk';
import { AT_LEAST_MS, EVERY_MS, PresencePoll } from './presence';

const online = (userId: string): PresenceFrame => ({ type: 'presence', userId, state: 'online' });
const passes = (ms: number): Promise<unknown> => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('presence by HTTP', () => {
  function begin(answer: (userIds: readonly string[]) => Promise<readonly PresenceFrame[]> = async (ids) => ids.map(online)) {
    const asked: (readonly string[])[] = [];
    const heard: string[] = [];
    const screen = { visible: true };
    const poll = new PresencePoll({
      presence: (userIds) => (asked.push(userIds), answer(userIds)),
      onFrame: (frame) => heard.push(frame.userId),
      visible: () => screen.visible,
    });
    return { poll, asked, heard, screen };
  }

  it('asks at once, and then now and then', async () => {
    const { poll, asked, heard } = begin();
    await passes(EVERY_MS * 2);
    expect(asked).toEqual([]);
    poll.watch(['bob', 'eve']);
    await passes(0);
    expect(asked).toEqual([['bob', 'eve']]);
    expect(heard).toEqual(['bob', 'eve']);
    await passes(EVERY_MS * 10);
    expect(asked).toHaveLength(11);
  });

  it('does not hurry, however often the watched change', async () => {
    const { poll, asked } = begin();
    for (let n = 0; n < 100; n += 1) {
      poll.watch([`u${n}`]);
      await passes(AT_LEAST_MS / 20);
    }
    await passes(AT_LEAST_MS);
    expect(asked.length).toBeLessThanOrEqual(7);
    expect(asked.at(-1)).toEqual(['u99']);
    poll.watch([]);
    await passes(EVERY_MS * 3);
    expect(asked.at(-1)).toEqual(['u99']);
  });

  it('rests while nobody looks', async () => {
    const { poll, asked, screen } = begin();
    poll.watch(['bob']);
    await passes(0);
    screen.visible = false;
    await passes(EVERY_MS * 10);
    expect(asked).toHaveLength(1);
    screen.visible = true;
    poll.check();
    await passes(0);
    expect(asked).toHaveLength(2);
    await passes(EVERY_MS);
    expect(asked).toHaveLength(3);
  });

  it('goes on after a refusal', async () => {
    const { poll, asked, heard } = begin(async () => {
      throw new ApiError(503, 'unavailable', '', 1_000);
    });
    poll.watch(['bob']);
    await passes(EVERY_MS * 2);
    expect(asked).toHaveLength(3);
    expect(heard).toEqual([]);
  });

  it('says nothing of whom it no longer watches, and nothing once closed', async () => {
    let answers: (frames: readonly PresenceFrame[]) => void = () => undefined;
    const { poll, asked, heard } = begin(() => new Promise((resolve) => (answers = resolve)));
    poll.watch(['bob', 'eve']);
    await passes(0);
    poll.watch(['eve']);
    answers([online('bob'), online('eve')]);
    await passes(AT_LEAST_MS);
    expect(heard).toEqual(['eve']);
    // Changed while one was under way: asked for next.
    expect(asked).toEqual([['bob', 'eve'], ['eve']]);
    poll.close();
    answers([online('eve')]);
    await passes(EVERY_MS * 3);
    expect(heard).toEqual(['eve']);
    expect(asked).toHaveLength(2);
  });
});
