import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { COALESCE_MS, CursorReports } from './cursors';
import type { ClientFrame } from './protocol';

type Cursor = Extract<ClientFrame, { throughSeq: number }>;

function begin() {
  const frames: Cursor[] = [];
  const link = { up: true };
  const reports = new CursorReports((frame) => link.up && frames.push(frame as Cursor) > 0);
  const said = (): unknown[] => frames.map((frame) => [frame.type, frame.conversationId, frame.throughSeq]);
  return { reports, frames, link, said };
}
const wait = (): unknown => vi.advanceTimersByTime(COALESCE_MS);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('cursor reports', () => {
  it('make one frame of many, with the furthest number', () => {
    const { reports, said } = begin();
    for (const seq of [1, 2, 5, 3]) reports.delivered('d.a.b', seq);
    expect(said()).toEqual([]);
    wait();
    expect(said()).toEqual([['cursor.delivered', 'd.a.b', 5]]);
  });

  it('go out within a quarter of a second, however many follow', () => {
    expect(COALESCE_MS).toBeLessThanOrEqual(250);
    const { reports, said } = begin();
    for (let seq = 1; seq <= 10; seq += 1) {
      reports.delivered('d.a.b', seq);
      vi.advanceTimersByTime(COALESCE_MS / 5);
    }
    expect(said()).toHaveLength(2);
  });

  it('say read alone when it covers delivered', () => {
    const { reports, said } = begin();
    reports.delivered('d.a.b', 3);
    reports.read('d.a.b', 3);
    wait();
    expect(said()).toEqual([['cursor.read', 'd.a.b', 3]]);
  });

  it('say both when delivered is further', () => {
    const { reports, said } = begin();
    reports.read('d.a.b', 3);
    reports.delivered('d.a.b', 4);
    wait();
    expect(said()).toEqual([
      ['cursor.read', 'd.a.b', 3],
      ['cursor.delivered', 'd.a.b', 4],
    ]);
  });

  it('say nothing twice on one connection', () => {
    const { reports, said } = begin();
    for (let i = 0; i < 3; i += 1) {
      reports.read('d.a.b', 3);
      reports.delivered('d.a.b', 2);
      wait();
    }
    expect(said()).toHaveLength(1);
    reports.reset();
    reports.read('d.a.b', 3);
    wait();
    expect(said()).toHaveLength(2);
  });

  it('are repeated when the server could not take them now', () => {
    const { reports, frames, said } = begin();
    reports.read('d.a.b', 3);
    wait();
    reports.answered(frames[0]?.ref, 1_000);
    vi.advanceTimersByTime(1_000 + COALESCE_MS);
    expect(said()).toEqual([
      ['cursor.read', 'd.a.b', 3],
      ['cursor.read', 'd.a.b', 3],
    ]);
  });

  it('are not taken for said when there was no connection', () => {
    const { reports, link, said } = begin();
    link.up = false;
    reports.read('d.a.b', 3);
    wait();
    link.up = true;
    reports.read('d.a.b', 3);
    wait();
    expect(said()).toHaveLength(1);
  });
});
