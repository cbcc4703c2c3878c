import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ApiError } from './api/call';
import { Files, isPicture } from './files.svelte';

const begin = (...answers: (Blob | ApiError)[]) => {
  const asked: string[] = [];
  const files = new Files({ authorized: (call) => call('token') }, async (_, id) => {
    asked.push(id);
    const answer = answers[asked.length - 1];
    if (answer instanceof Blob) return answer;
    throw answer ?? new ApiError(404, 'not_found', 'no such file');
  });
  return { files, asked, stateOf: (id: string) => files.pictures[id]?.state };
};
const blob = new Blob(['x']);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a picture', () => {
  it('is one that browsers show without running anything, and not too large', () => {
    expect(isPicture({ contentType: 'image/png', sizeBytes: 10 })).toBe(true);
    for (const other of [{ contentType: 'image/svg+xml', sizeBytes: 10 }, { contentType: 'text/html', sizeBytes: 1 }, { contentType: 'image/png', sizeBytes: 90_000_000 }, {}]) {
      expect(isPicture(other)).toBe(false);
    }
  });

  it('is asked for again while the views do not know its message yet, and once only', async () => {
    const { files, asked, stateOf } = begin(new ApiError(404, 'not_found', ''), blob);
    void files.load('a');
    void files.load('a');
    await vi.runAllTimersAsync();
    expect([asked, stateOf('a')]).toEqual([['a', 'a'], 'there']);
    await files.load('a');
    expect(asked).toHaveLength(2);
  });

  it('that is not there in the end may be asked for anew', async () => {
    const { files, asked, stateOf } = begin();
    void files.load('a');
    await vi.runAllTimersAsync();
    expect(stateOf('a')).toBe('failed');
    const before = asked.length;
    void files.load('a');
    await vi.runAllTimersAsync();
    expect(asked.length).toBe(2 * before);
  });

  it('that the server cannot give now is not asked for by itself', async () => {
    const { files, asked, stateOf } = begin(new ApiError(503, 'unavailable', ''));
    void files.load('a');
    await vi.runAllTimersAsync();
    expect([asked.length, stateOf('a')]).toEqual([1, 'failed']);
  });

  it('gives its place to newer ones', () => {
    const revoked = vi.spyOn(URL, 'revokeObjectURL');
    const { files, stateOf } = begin();
    for (let n = 0; n < 100; n += 1) files.keep(`p${n}`, blob);
    expect([stateOf('p0'), stateOf('p99'), Object.keys(files.pictures).length, revoked.mock.calls.length]).toEqual([undefined, 'there', 60, 40]);
    files.reset();
    expect([files.pictures, revoked.mock.calls.length]).toEqual([{}, 100]);
  });
});
