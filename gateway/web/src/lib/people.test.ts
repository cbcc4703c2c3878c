import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { People } from './people.svelte';
import type { ClientFrame } from './protocol';

let people: People;
let sent: ClientFrame[];
let linked: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  linked = true;
  people = new People((frame) => {
    if (linked) sent.push(frame);
    return linked;
  });
});
afterEach(() => vi.useRealTimers());

describe('presence', () => {
  it('knows who is there, and since when who is not', () => {
    people.heard({ type: 'presence', userId: 'bob', state: 'online' });
    expect(people.online.has('bob')).toBe(true);
    people.heard({ type: 'presence', userId: 'bob', state: 'offline', lastSeenAt: '2026-11-21T09:45:00.123Z' });
    expect(people.online.has('bob')).toBe(false);
    expect(people.lastSeen).toEqual({ bob: '2026-11-21T09:45:00.123Z' });
    people.heard({ type: 'presence', userId: 'bob', state: 'online' });
    expect(people.lastSeen).toEqual({});
    people.heard({ type: 'presence', userId: 'eve', state: 'offline' });
    expect(people.lastSeen).toEqual({});
    people.reset();
    expect(people.online.size).toBe(0);
  });

  it('watches a set once, at most a hundred, and again after a cut', () => {
    const many = Array.from({ length: 120 }, (_, n) => `u${n}`);
    people.watch(many);
    people.watch([...many]);
    expect(sent).toHaveLength(1);
    expect(sent[0]).toMatchObject({ type: 'presence.watch', userIds: { length: 100 } });
    people.reset();
    linked = false;
    people.watch(many);
    linked = true;
    people.watch(many);
    expect(sent).toHaveLength(2);
  });
});

describe('typing', () => {
  const says = (typing: boolean): void => people.heard({ type: 'typing', conversationId: 'd.a.b', userId: 'b', typing });

  it('lasts three seconds after the last sign of it', () => {
    says(true);
    vi.advanceTimersByTime(2_900);
    says(true);
    vi.advanceTimersByTime(2_900);
    expect(people.typing['d.a.b']).toEqual(['b']);
    vi.advanceTimersByTime(100);
    expect(people.typing['d.a.b']).toEqual([]);
  });

  it('ends when they say so, or when their message comes', () => {
    says(true);
    says(false);
    expect(people.typing['d.a.b']).toEqual([]);
    says(true);
    people.stopped('d.a.b', 'b');
    expect(people.typing['d.a.b']).toEqual([]);
  });

  it('is said every other second, and its end once', () => {
    for (const [typing, at] of [[true, 0], [true, 500], [true, 2_000], [false, 2_100], [false, 2_200]] as const) {
      people.typed('d.a.b', typing, at);
    }
    expect(sent.map((frame) => (frame.type === 'typing' ? frame.typing : null))).toEqual([true, true, false]);
  });
});
