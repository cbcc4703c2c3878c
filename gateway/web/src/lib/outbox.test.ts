import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ACK_TIMEOUT_MS, Outbox, type OutboxItem } from './outbox';
import type { ClientFrame, ServerFrame } from './protocol';
import { memoryStore, type Store } from './storage';

const PAIR = 'd.alice.bob';
const OTHER = 'd.alice.carol';
type Send = Extract<ClientFrame, { type: 'message.send' }>;

function begin(store: Store = memoryStore()) {
  const frames: Send[] = [];
  const seen: { items: readonly OutboxItem[]; connected: boolean } = { items: [], connected: true };
  let ids = 0;
  const outbox = new Outbox({
    store,
    key: 'outbox',
    send: (frame) => {
      if (!seen.connected) return false;
      frames.push(frame as Send);
      return true;
    },
    onChange: (items) => (seen.items = items),
    random: () => 0.5,
    newId: () => `c-${++ids}`,
  });
  const write = (content: string, conversationId = PAIR): void => outbox.add(conversationId, content, new Date(0));
  const texts = (): unknown[] => frames.map((frame) => frame.body.text);
  return { outbox, frames, seen, write, texts, store };
}

const ack = (frame: Send | undefined, conversationSeq: number): Extract<ServerFrame, { type: 'message.ack' }> => ({
  type: 'message.ack',
  ref: frame?.ref,
  clientMessageId: frame?.clientMessageId ?? '',
  messageId: 'm',
  conversationId: frame?.conversationId ?? '',
  conversationSeq,
  version: conversationSeq,
});
const refusal = (frame: Send | undefined, code: string, retryAfterMs = 0): Extract<ServerFrame, { type: 'error' }> => ({
  type: 'error',
  ref: frame?.ref,
  code,
  message: `refused: ${code}`,
  retryAfterMs,
});

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('the outbox', () => {
  it('sends one at a time per conversation, the next after the ack', () => {
    const { outbox, frames, write, texts } = begin();
    outbox.online();
    write('one');
    write('two');
    write('elsewhere', OTHER);
    expect(texts()).toEqual(['one', 'elsewhere']);
    outbox.acknowledged(ack(frames[0], 1));
    expect(texts()).toEqual(['one', 'elsewhere', 'two']);
  });

  it('waits for the connection', () => {
    const { outbox, write, texts } = begin();
    write('one');
    expect(texts()).toEqual([]);
    outbox.online();
    expect(texts()).toEqual(['one']);
  });

  it('sends again with the same id after a reconnect', () => {
    const { outbox, frames, write } = begin();
    outbox.online();
    write('one');
    outbox.offline();
    outbox.online();
    expect(frames.map((frame) => frame.clientMessageId)).toEqual(['c-1', 'c-1']);
  });

  it('survives a reload, in order, with the same ids', () => {
    const first = begin();
    first.write('one');
    first.write('two');
    const again = begin(first.store);
    again.outbox.online();
    again.outbox.acknowledged(ack(again.frames[0], 1));
    expect(again.frames.map((frame) => [frame.clientMessageId, frame.body.text])).toEqual([
      ['c-1', 'one'],
      ['c-2', 'two'],
    ]);
  });

  it('never doubles what was acknowledged', () => {
    const { outbox, frames, write, seen, store } = begin();
    outbox.online();
    write('one');
    outbox.acknowledged(ack(frames[0], 4));
    expect(seen.items).toMatchObject([{ state: 'sent', conversationSeq: 4 }]);
    outbox.offline();
    outbox.online();
    outbox.acknowledged(ack(frames[0], 4));
    expect(frames).toHaveLength(1);
    expect(begin(store).seen.items).toEqual([]);
  });

  it('is done with what the log shows, even without an ack', () => {
    const { outbox, write, texts, seen } = begin();
    outbox.online();
    write('one');
    write('two');
    outbox.stored('c-1');
    expect(texts()).toEqual(['one', 'two']);
    expect(seen.items).toHaveLength(1);
  });

  it('shows a refusal and goes on with the next', () => {
    const { outbox, frames, write, texts, seen } = begin();
    outbox.online();
    write('one');
    write('two');
    outbox.refused(refusal(frames[0], 'blocked'));
    expect(seen.items[0]).toMatchObject({ state: 'failed', problem: 'refused: blocked' });
    expect(texts()).toEqual(['one', 'two']);
    outbox.retry('c-1');
    expect(seen.items.map((item) => item.text)).toEqual(['two', 'one']);
    outbox.acknowledged(ack(frames[1], 1));
    expect(texts()).toEqual(['one', 'two', 'one']);
  });

  it('keeps a refused message over a reload until the person decides', () => {
    const { outbox, frames, write, store } = begin();
    outbox.online();
    write('one');
    outbox.refused(refusal(frames[0], 'blocked'));
    const again = begin(store);
    again.outbox.online();
    expect(again.frames).toEqual([]);
    expect(again.seen.items).toMatchObject([{ state: 'failed', problem: 'refused: blocked' }]);
    again.outbox.discard('c-1');
    expect(again.seen.items).toEqual([]);
  });

  it.each([
    ['unavailable', 0, 500],
    ['rate_limited', 3_000, 3_000],
  ])('tries again by itself: %s', (code, retryAfterMs, expectedMs) => {
    const { outbox, frames, write, texts } = begin();
    outbox.online();
    write('one');
    write('two');
    outbox.refused(refusal(frames[0], code, retryAfterMs));
    vi.advanceTimersByTime(expectedMs - 1);
    expect(texts()).toEqual(['one']);
    vi.advanceTimersByTime(1);
    expect(texts()).toEqual(['one', 'one']);
    expect(frames[1]?.clientMessageId).toBe('c-1');
  });

  it('sends again when no answer comes', () => {
    const { outbox, write, texts } = begin();
    outbox.online();
    write('one');
    vi.advanceTimersByTime(ACK_TIMEOUT_MS);
    expect(texts()).toEqual(['one', 'one']);
  });

  it('sends files by their ids, and finds them again after a reload', () => {
    const { outbox, frames, store } = begin();
    const files = [{ attachmentId: 'a1', fileName: 'desk.png', contentType: 'image/png', sizeBytes: 8 }];
    outbox.put({ clientMessageId: 'p1', conversationId: PAIR, text: '', files, createdAt: '2026-11-21T09:00:00.000Z' });
    outbox.put({ clientMessageId: 'p1', conversationId: PAIR, text: '', files, createdAt: '2026-11-21T09:00:01.000Z' });
    const again = begin(store);
    expect(again.seen.items).toMatchObject([{ clientMessageId: 'p1', files, state: 'sending' }]);
    outbox.online();
    expect(frames).toMatchObject([{ clientMessageId: 'p1', body: { kind: 'attachment', attachments: [{ attachmentId: 'a1' }] } }]);
    expect(frames[0]?.body).not.toHaveProperty('attachments.0.fileName');
  });

  it('ignores answers to other things', () => {
    const { outbox } = begin();
    expect(outbox.refused({ type: 'error', ref: 'cursor-1', code: 'unavailable', message: '', retryAfterMs: 0 })).toBe(false);
  });
});
