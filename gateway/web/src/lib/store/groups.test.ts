import { describe, expect, it } from 'vitest';

import type { LogEvent } from '../protocol';
import { apply } from './apply';
import { shownMessages } from './messages';
import { ALICE, BOB, PAIR, event, messagesAfter, random, sentBy } from './model';
import { CAROL, CHANNEL, GROUP, groupSummaryAfter, randomGroupLog } from './model-group';
import { isApart, needsHistory } from './select';
import { initialState, type Conversation, type State } from './state';

const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);
const live = (state: State, ...events: LogEvent[]): State => events.reduce((sofar, one) => apply(sofar, { type: 'event', event: one }), state);
const held = (state: State, id: string): Conversation => {
  const conversation = state.conversations[id];
  if (!conversation) throw new Error(`no ${id}`);
  return conversation;
};
const sorted = <T extends { members?: readonly { userId: string }[] }>(summary: T): T => ({
  ...summary,
  members: summary.members && [...summary.members].sort((a, b) => (a.userId < b.userId ? -1 : 1)),
});
const seqs = (state: State, id = GROUP): number[] => shownMessages(held(state, id)).map((one) => one.conversationSeq);

describe.each([GROUP, CHANNEL])('%s: state + events', (id) => {
  it.each(SEEDS)('equals a fresh sync (seed %i)', (seed) => {
    const pick = random(seed);
    // A channel's readers have no cursors in its log: this one writes.
    const me = id === GROUP ? CAROL : ALICE;
    const log = randomGroupLog(id, 60, pick, me);
    const known = Math.floor(pick() * log.length);
    const from = (upTo: number): State =>
      upTo === 0
        ? initialState(me)
        : apply(initialState(me), {
            type: 'sync',
            token: 't',
            more: false,
            conversations: [{ conversation: groupSummaryAfter(id, log.slice(0, upTo), me), messages: [] }],
          });
    const begin = from(known);
    const withHistory = known === 0 ? begin : apply(begin, { type: 'local.history', conversationId: id, place: { before: 1000 }, messages: messagesAfter(log.slice(0, known)), done: true });
    const state = live(withHistory, ...log.slice(known));
    expect(sorted(held(state, id).summary)).toEqual(sorted(groupSummaryAfter(id, log, me)));
    expect(seqs(state, id)).toEqual(messagesAfter(log).map((one) => one.conversationSeq));
  });

  it.each(SEEDS.slice(0, 20))('counts members that it was not told (seed %i)', (seed) => {
    const log = randomGroupLog(id, 50, random(seed), ALICE);
    const { members: _, ...begin } = groupSummaryAfter(id, log.slice(0, 10), ALICE);
    const state = live(apply(initialState(ALICE), { type: 'local.summary', summary: begin }), ...log.slice(10));
    const { members: __, ...expected } = groupSummaryAfter(id, log, ALICE);
    const { unread: ___, ...summary } = held(state, id).summary;
    expect({ ...summary, unread: expected.unread }).toEqual({ ...expected, members: undefined });
  });
});

describe('membership', () => {
  const people = [{ userId: BOB, role: 'owner' }, { userId: ALICE, role: 'member' }];
  const log = [event(1, 'conversation.created', BOB, { kind: 'group', title: 'Fair', members: people }, GROUP), sentBy(BOB, 2, 1, GROUP)];

  it('ends with the removal, and says so', () => {
    const state = live(initialState(ALICE), ...log, event(3, 'member.removed', BOB, { userId: ALICE }, GROUP));
    expect(held(state, GROUP).summary).toMatchObject({ canSend: false, memberCount: 1, lastSeq: 1 });
  });

  it('makes a channel writable with the role', () => {
    const begin = live(initialState(ALICE), event(1, 'conversation.created', BOB, { kind: 'channel', title: 'News', members: people }, CHANNEL));
    expect(held(begin, CHANNEL).summary.canSend).toBe(false);
    const promoted = live(begin, event(2, 'member.roleChanged', BOB, { userId: ALICE, role: 'admin' }, CHANNEL));
    expect(held(promoted, CHANNEL).summary.canSend).toBe(true);
  });

  it('that begins late asks for a sync, and shows nothing from before', () => {
    const state = live(initialState(ALICE), event(9, 'member.added', BOB, { userId: ALICE, role: 'member' }, GROUP));
    expect(state.sync).toBe('wanted');
    const summary = { ...groupSummaryAfter(GROUP, log, ALICE), version: 9, lastSeq: 5, readSeq: 5, unread: 0, lastMessage: undefined };
    const joined = apply(state, { type: 'local.summary', summary });
    expect(needsHistory(held(joined, GROUP))).toBe(true);
    const empty = apply(joined, { type: 'local.history', conversationId: GROUP, place: { before: 6 }, messages: [], done: true });
    expect(needsHistory(held(empty, GROUP))).toBe(false);
    const talking = live(empty, sentBy(BOB, 10, 6, GROUP));
    expect(seqs(talking)).toEqual([6]);
    expect(needsHistory(held(talking, GROUP))).toBe(false);
    expect(held(talking, GROUP).summary.unread).toBe(1);
  });

  it('in two stretches is shown as one, once history said that nothing is between', () => {
    const messages = messagesAfter([sentBy(BOB, 1, 1, GROUP), sentBy(BOB, 2, 2, GROUP)]);
    const summary = { ...groupSummaryAfter(GROUP, log, ALICE), version: 9, lastSeq: 5, readSeq: 5, lastMessage: messages[1] };
    const again = live(apply(initialState(ALICE), { type: 'local.summary', summary }), sentBy(BOB, 10, 6, GROUP));
    expect(seqs(again)).toEqual([6]);
    expect(needsHistory(held(again, GROUP))).toBe(true);
    const whole = apply(again, { type: 'local.history', conversationId: GROUP, place: { before: 6 }, messages, done: true });
    expect(seqs(whole)).toEqual([1, 2, 6]);
    expect(needsHistory(held(whole, GROUP))).toBe(false);
    // The same, read from the older end.
    const older = apply(again, { type: 'local.history', conversationId: GROUP, place: { before: 3 }, messages, done: true });
    const later = messagesAfter([sentBy(BOB, 10, 6, GROUP)]);
    expect(isApart(held(older, GROUP), 2)).toBe(true);
    const joined = apply(older, { type: 'local.history', conversationId: GROUP, place: { after: 2 }, messages: later, done: false });
    expect([seqs(joined), isApart(held(joined, GROUP), 2)]).toEqual([[1, 2, 6], false]);
  });

  it('leaves holes of direct conversations to be filled', () => {
    const begin = live(initialState(ALICE), ...[1, 2, 3].map((n) => sentBy(BOB, n, n)));
    const page = messagesAfter([sentBy(BOB, 1, 1)]);
    const state = apply(begin, { type: 'local.history', conversationId: PAIR, place: { before: 3 }, messages: page, done: false });
    expect(held(state, PAIR).bridges).toEqual({});
  });
});

describe('blocking', () => {
  const block = (version: number, actor: string, on: boolean, still = false): LogEvent =>
    event(version, on ? 'conversation.blocked' : 'conversation.unblocked', actor, still ? { stillBlocked: true } : {});

  it.each(SEEDS)('equals a fresh sync, whoever blocks whom (seed %i)', (seed) => {
    const pick = random(seed);
    const blocks: Record<string, boolean> = { [ALICE]: false, [BOB]: false };
    let state = live(initialState(ALICE), sentBy(BOB, 1, 1));
    for (let version = 2; version < 20; version += 1) {
      const actor = pick() < 0.5 ? ALICE : BOB;
      blocks[actor] = !blocks[actor];
      const on = blocks[actor] ?? false;
      const still = !on && (blocks[actor === ALICE ? BOB : ALICE] ?? false);
      state = live(state, block(version, actor, on, still));
      expect(held(state, PAIR).summary).toMatchObject({
        version,
        blockedByMe: blocks[ALICE],
        canSend: !blocks[ALICE] && !blocks[BOB],
      });
    }
  });

  it('by the other, learnt from a summary, outlasts my own', () => {
    const { summary } = held(live(initialState(ALICE), sentBy(BOB, 1, 1)), PAIR);
    const begin = apply(initialState(ALICE), { type: 'local.summary', summary: { ...summary, canSend: false } });
    expect(held(live(begin, block(2, ALICE, true), block(3, ALICE, false, true)), PAIR).summary.canSend).toBe(false);
  });

  it('keeps cursors back: they come as 0, move nothing and keep the versions gapless', () => {
    const begin = live(initialState(ALICE), sentBy(ALICE, 1, 1), block(2, BOB, true));
    const state = live(begin, event(3, 'cursor.read', BOB, { userId: BOB, throughSeq: 0 }));
    expect(held(state, PAIR).summary).toEqual({ ...held(begin, PAIR).summary, version: 3, updatedAt: held(state, PAIR).summary.updatedAt });
    expect(state.sync).toBe('idle');
  });
});
