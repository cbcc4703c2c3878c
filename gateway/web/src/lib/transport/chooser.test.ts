import { describe, expect, it } from 'vitest';

import {
  BETTER,
  FIRST_CHOICE,
  REFUSED,
  SILENT,
  TOO_MUCH,
  better,
  changed,
  failed,
  notYet,
  recalled,
  upgraded,
  worked,
  type Choice,
} from './chooser';

const half = (): number => 0.5;
const NOW = 1_000_000;

/** Failures in a row, from `choice` on. */
const after = (choice: Choice, ...weights: number[]): Choice => weights.reduce((sofar, weight) => failed(sofar, weight, NOW, half), choice);
const ON_SSE = after(FIRST_CHOICE, REFUSED, REFUSED, REFUSED);
const ON_POLL = after(ON_SSE, REFUSED, REFUSED, REFUSED);

describe('the choice of a transport', () => {
  it('begins with the best', () => {
    expect(FIRST_CHOICE.current).toBe('websocket');
    expect(better(FIRST_CHOICE)).toEqual([]);
  });

  it('outlives a few failures', () => {
    expect(after(FIRST_CHOICE, REFUSED, REFUSED).current).toBe('websocket');
    expect(after(FIRST_CHOICE, SILENT).current).toBe('websocket');
  });

  it('goes down one after the other', () => {
    expect(ON_SSE.current).toBe('sse');
    expect(ON_POLL.current).toBe('poll');
    expect(better(ON_POLL)).toEqual(['websocket', 'sse']);
  });

  it('takes silence for more than a refusal', () => {
    expect(after(FIRST_CHOICE, SILENT, SILENT).current).toBe('sse');
    expect(after(FIRST_CHOICE, REFUSED, SILENT).current).toBe('sse');
  });

  it('counts failures in a row only', () => {
    const weighed = after(worked(after(FIRST_CHOICE, REFUSED, REFUSED)), REFUSED, REFUSED);
    expect(weighed.current).toBe('websocket');
    expect(after(worked(after(ON_SSE, REFUSED, REFUSED)), REFUSED, REFUSED).current).toBe('sse');
  });

  it('begins anew after the last, so that it is never stuck', () => {
    expect(after(ON_POLL, REFUSED, REFUSED, REFUSED)).toEqual(FIRST_CHOICE);
  });

  it('plans when to try better ones, and that stands while it goes further down', () => {
    expect(ON_SSE.betterAt).toBe(NOW + 0.75 * BETTER.baseMs);
    expect(failed({ ...ON_SSE, against: TOO_MUCH }, 1, NOW + 5_000, half).betterAt).toBe(ON_SSE.betterAt);
  });

  it('tries again later and later, within bounds', () => {
    let choice = ON_SSE;
    const pauses: number[] = [];
    for (let i = 0; i < 40; i += 1) {
      choice = notYet(choice, NOW, half);
      pauses.push((choice.betterAt ?? 0) - NOW);
    }
    expect(pauses.slice(0, 3)).toEqual([45_000, 90_000, 180_000]);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(BETTER.capMs);
    for (const random of [() => 0, () => 0.999_999]) {
      const pause = (notYet(ON_SSE, NOW, random).betterAt ?? 0) - NOW;
      expect(pause).toBeGreaterThanOrEqual(BETTER.baseMs);
      expect(pause).toBeLessThanOrEqual(2 * BETTER.baseMs);
    }
  });

  it('leaves a better one at once that greeted but did not last, and waits longer then', () => {
    const up = upgraded(ON_POLL, 'websocket', NOW, half);
    expect(up.current).toBe('websocket');
    const down = after(up, REFUSED);
    expect(down.current).toBe('sse');
    expect(down.betterAt).toBe(NOW + 2 * 0.75 * BETTER.baseMs);
  });

  it('stays with a better one that lasts, as if nothing had been', () => {
    expect(worked(upgraded(ON_POLL, 'websocket', NOW, half))).toEqual(FIRST_CHOICE);
  });

  it('does not try the best one again right after it settled for the second', () => {
    expect(worked(upgraded(ON_POLL, 'sse', NOW, half))).toEqual({ current: 'sse', against: 0, tries: 1, betterAt: NOW + 45_000 });
  });

  it('tries better ones at once on another network', () => {
    const moved = changed(notYet(notYet(ON_SSE, NOW, half), NOW, half), NOW);
    expect(moved).toEqual({ current: 'sse', against: 0, tries: 0, betterAt: NOW });
    expect(changed(after(FIRST_CHOICE, SILENT), NOW)).toEqual(FIRST_CHOICE);
  });

  it('is remembered, and what makes no sense is not', () => {
    expect(recalled(JSON.parse(JSON.stringify(ON_POLL)), NOW)).toEqual(ON_POLL);
    for (const nonsense of [null, 7, 'sse', [], {}, { current: 'pigeon' }, { current: 'websocket', against: 2 }]) {
      expect(recalled(nonsense, NOW)).toEqual(FIRST_CHOICE);
    }
    expect(recalled({ current: 'sse', tries: -1, betterAt: 'soon' }, NOW)).toEqual({ current: 'sse', against: 0, tries: 0, betterAt: NOW });
    expect(recalled({ current: 'sse', betterAt: NOW * 10 }, NOW).betterAt).toBe(NOW + BETTER.capMs);
  });
});
