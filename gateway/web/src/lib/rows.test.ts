import { describe, expect, it } from 'vitest';

import type { OutboxItem } from './outbox';
import { daysOf, type Bubble } from './rows';
import { apply } from './store/apply';
import { ALICE, BOB, PAIR, sentBy } from './store/model';
import { initialState, type Conversation, type State } from './store/state';

const build = (...senders: string[]): Conversation => {
  const state = senders.reduce<State>(
    (sofar, who, index) => apply(sofar, { type: 'event', event: sentBy(who, index + 1, index + 1) }),
    initialState(ALICE),
  );
  const conversation = state.conversations[PAIR];
  if (!conversation) throw new Error('no conversation');
  return conversation;
};
const now = new Date('2026-11-21T12:00:00Z');
const days = (conversation: Conversation, outbox: OutboxItem[] = [], lineAfter: number | null = null) =>
  daysOf({ conversation, outbox, me: ALICE, now, lineAfter });
const bubbles = (...given: Parameters<typeof days>): Bubble[] =>
  days(...given).flatMap((day) => day.rows.filter((row): row is Bubble => row.kind === 'bubble'));
const item = (clientMessageId: string, change: Partial<OutboxItem> = {}): OutboxItem => ({
  clientMessageId,
  conversationId: PAIR,
  text: clientMessageId,
  createdAt: '2026-11-21T00:00:30.000Z',
  state: 'sending',
  ...change,
});

describe('rows', () => {
  it('group what one person wrote together', () => {
    expect(bubbles(build(BOB, BOB, ALICE)).map((one) => [one.first, one.last])).toEqual([
      [true, false],
      [false, true],
      [true, true],
    ]);
  });

  it('put what waits at the end, and leave out what the log shows', () => {
    const shown = bubbles(build(ALICE, BOB), [item('c1'), item('c9'), item('elsewhere', { conversationId: 'd.alice.carol' })]);
    expect(shown.map((one) => [one.clientMessageId, one.state])).toEqual([
      ['c1', 'read'],
      ['c2', 'received'],
      ['c9', 'sending'],
    ]);
  });

  it('put an acknowledged one before those that wait', () => {
    const shown = bubbles(build(BOB), [item('x'), item('y', { state: 'sent', conversationSeq: 2 })]);
    expect(shown.map((one) => one.clientMessageId)).toEqual(['c1', 'y', 'x']);
  });

  it('draw one line above the first unread', () => {
    const rows = days(build(BOB, ALICE, BOB, BOB), [], 2).flatMap((day) => day.rows);
    expect(rows.map((row) => row.kind)).toEqual(['bubble', 'bubble', 'unread', 'bubble', 'bubble']);
  });

  it('have keys of their own, also when a client id comes again', () => {
    const conversation = build(ALICE, ALICE);
    const twice = { ...conversation, messages: conversation.messages.map((one) => ({ ...one, clientMessageId: 'same' })) };
    expect(new Set(bubbles(twice).map((one) => one.key)).size).toBe(2);
  });

  it('leave a word for what was taken back, and nothing for what has disappeared', () => {
    const conversation = build(BOB, BOB, BOB, BOB);
    const expiresAt = '2026-11-21T06:00:00.000Z';
    const gone = [{ deletedAt: '2026-11-21T05:00:00.000Z', expiresAt }, { expiresAt }, { deletedAt: '2026-11-21T06:00:01.000Z', expiresAt }];
    const messages = conversation.messages.map((message, index) => (index < 3 ? { ...message, body: null, ...gone[index] } : message));
    expect(bubbles({ ...conversation, messages }).map((one) => one.seq)).toEqual([1, 4]);
  });
});
