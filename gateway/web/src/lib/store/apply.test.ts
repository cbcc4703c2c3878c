import { describe, expect, it } from 'vitest';

import type { LogEvent, SyncItem } from '../protocol';
import { apply } from './apply';
import { shownMessages as shownHeld } from './messages';
import { ALICE, BOB, PAIR, deltaAfter, event, messagesAfter, random, randomLog, sentBy, summaryAfter } from './model';
import { hasOwnMessage, inbox, isApart, needsHistory, tickOf, totalUnread } from './select';
import { initialState, type Conversation, type State } from './state';

const live = (state: State, ...events: LogEvent[]): State =>
  events.reduce((sofar, one) => apply(sofar, { type: 'event', event: one }), state);

const synced = (state: State, items: SyncItem[], token = 't1'): State =>
  apply(
    apply(apply(state, { type: 'local.syncAsked' }), { type: 'sync', token, more: false, conversations: items }),
    { type: 'caughtUp', token },
  );

const fresh = (me = ALICE): State => synced(initialState(me), []);
const snapshot = (log: readonly LogEvent[], me: string): SyncItem => ({ conversation: summaryAfter(log, me), messages: [] });
const pair = (state: State) => {
  const conversation = state.conversations[PAIR];
  if (!conversation) throw new Error('no conversation');
  return conversation;
};
const history = (state: State, log: readonly LogEvent[]): State =>
  apply(state, { type: 'local.history', conversationId: PAIR, place: { before: log.length + 1 }, messages: messagesAfter(log), done: true });

/** As the server gives them. */
const shownMessages = (conversation: Conversation) => shownHeld(conversation).map(({ asOf: _, ...message }) => message);

const expectFresh = (state: State, log: readonly LogEvent[], me: string): void => {
  expect(pair(state).summary).toEqual(summaryAfter(log, me));
  expect(shownMessages(pair(state))).toEqual(messagesAfter(log));
  expect(pair(state).ahead).toEqual([]);
};

const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);

describe('a conversation that begins', () => {
  it('is made from its id by its first event', () => {
    const state = live(fresh(), sentBy(BOB, 1, 1));
    expect(pair(state).summary).toMatchObject({ kind: 'direct', memberCount: 2, lastSeq: 1, version: 1, unread: 1 });
    expect(state.sync).toBe('idle');
    expect(needsHistory(pair(state))).toBe(false);
  });

  it('asks for a sync when its first event is not version 1', () => {
    const state = live(fresh(), sentBy(BOB, 3, 2));
    expect(state.sync).toBe('wanted');
    expect(inbox(state)).toEqual([]);
  });

  it('stays out of the list while it was only opened', () => {
    const state = apply(fresh(), { type: 'local.opened', conversationId: PAIR, at: '2026-11-21T00:00:00.000Z' });
    expect(inbox(state)).toEqual([]);
    expect(inbox(live(state, sentBy(ALICE, 1, 1)))).toHaveLength(1);
  });
});

describe('a message that a service sent', () => {
  it('says so until it is deleted', () => {
    const posted = event(1, 'message.sent', BOB, { ...sentBy(BOB, 1, 1).data, byService: true });
    const state = live(fresh(), posted);
    expect(shownMessages(pair(state))[0]?.byService).toBe(true);
    const gone = live(state, event(2, 'message.deleted', BOB, { conversationSeq: 1 }));
    expect(shownMessages(pair(gone))[0]?.byService).toBeUndefined();
  });
});

describe('a message far back', () => {
  const log = Array.from({ length: 100 }, (_, index) => sentBy(index % 2 ? ALICE : BOB, index + 1, index + 1));
  const all = messagesAfter(log);
  const page = (state: State, place: { before: number } | { after: number }, from: number, to: number): State =>
    apply(state, { type: 'local.history', conversationId: PAIR, place, messages: all.slice(from - 1, to), done: from === 1 });
  const seqs = (state: State, around?: number): [number | undefined, number | undefined] => {
    const shown = shownHeld(pair(state), around);
    return [shown[0]?.conversationSeq, shown.at(-1)?.conversationSeq];
  };
  const begun = page(synced(initialState(ALICE), [snapshot(log, ALICE)]), { before: 101 }, 80, 100);

  it('is shown with what is around it, apart from the newest', () => {
    const state = page(begun, { before: 36 }, 16, 35);
    expect([seqs(state), seqs(state, 20)]).toEqual([[80, 100], [16, 35]]);
    expect([isApart(pair(state), 20), isApart(pair(state), 90)]).toEqual([true, false]);
    expect([needsHistory(pair(state)), needsHistory(pair(state), 20)]).toEqual([true, true]);
    // One that is not held leads nowhere.
    expect(seqs(state, 50)).toEqual([80, 100]);
  });

  it('is joined to the newest by what is read between', () => {
    const older = page(page(begun, { before: 36 }, 16, 35), { before: 16 }, 1, 15);
    expect([needsHistory(pair(older), 20), needsHistory(pair(older))]).toEqual([false, true]);
    const later = page(older, { after: 35 }, 36, 70);
    expect([seqs(later, 20), isApart(pair(later), 20)]).toEqual([[1, 70], true]);
    const joined = page(later, { after: 70 }, 71, 100);
    expect([seqs(joined, 20), seqs(joined)]).toEqual([[1, 100], [1, 100]]);
    expect([isApart(pair(joined), 20), needsHistory(pair(joined))]).toEqual([false, false]);
  });

  it('stays where it is while new ones come', () => {
    const state = live(page(begun, { before: 36 }, 16, 35), sentBy(BOB, 101, 101));
    expect([seqs(state, 20), seqs(state)]).toEqual([[16, 35], [80, 101]]);
  });
});

describe('cursors', () => {
  it('move with the sender of a message', () => {
    const state = live(fresh(), sentBy(ALICE, 1, 1), sentBy(BOB, 2, 2));
    expect(pair(state).summary).toMatchObject({ readSeq: 1, deliveredSeq: 1, peerReadSeq: 2, peerDeliveredSeq: 2, unread: 1 });
    expect(tickOf(pair(state), 1)).toBe('read');
  });

  it('make ticks: sent, delivered, read', () => {
    const sent = live(fresh(), sentBy(ALICE, 1, 1));
    const delivered = live(sent, event(2, 'cursor.delivered', BOB, { userId: BOB, throughSeq: 1 }));
    const read = live(delivered, event(3, 'cursor.read', BOB, { userId: BOB, throughSeq: 1 }));
    expect([sent, delivered, read].map((state) => tickOf(pair(state), 1))).toEqual(['sent', 'delivered', 'read']);
  });

  it('never go back', () => {
    const before = live(fresh(), sentBy(BOB, 1, 1), sentBy(BOB, 2, 2), event(3, 'cursor.read', ALICE, { userId: ALICE, throughSeq: 2 }));
    const after = live(before, event(4, 'cursor.read', ALICE, { userId: ALICE, throughSeq: 1 }));
    expect(pair(after).summary).toMatchObject({ readSeq: 2, deliveredSeq: 2, unread: 0 });
  });

  it('never go back by a late sync page either', () => {
    const log = randomLog(40, random(5));
    const now = history(synced(initialState(ALICE), [snapshot(log, ALICE)]), log);
    const late = synced(now, [deltaAfter(log.slice(0, 20), 0, ALICE)]);
    expect(pair(late).summary).toEqual(pair(now).summary);
    expect(shownMessages(pair(late))).toEqual(shownMessages(pair(now)));
  });

  it.each(SEEDS)('only grow, whatever comes (seed %i)', (seed) => {
    const pick = random(seed);
    const log = randomLog(60, pick);
    const shuffled = Array.from({ length: 200 }, () => log[Math.floor(pick() * log.length)] as LogEvent);
    let state = fresh();
    for (const one of shuffled) {
      const before = state.conversations[PAIR]?.summary;
      state = live(state, one);
      const after = pair(state).summary;
      for (const key of ['version', 'lastSeq', 'readSeq', 'deliveredSeq', 'peerReadSeq', 'peerDeliveredSeq'] as const) {
        expect(after[key]).toBeGreaterThanOrEqual(before?.[key] ?? 0);
      }
    }
  });
});

describe('doubled and late frames', () => {
  it.each(SEEDS.slice(0, 20))('change nothing (seed %i)', (seed) => {
    const pick = random(seed);
    const log = randomLog(50, pick);
    let state = fresh();
    for (const [index, one] of log.entries()) {
      state = live(state, one);
      const old = log[Math.floor(pick() * (index + 1))] as LogEvent;
      expect(live(state, one)).toBe(state);
      expect(live(state, old)).toBe(state);
    }
    const again = synced(state, [deltaAfter(log, 10, ALICE)], state.token);
    expect(pair(again).summary).toEqual(pair(state).summary);
    expect(shownMessages(pair(again))).toEqual(shownMessages(pair(state)));
  });
});

describe('state + events', () => {
  it.each(SEEDS)('equals a fresh sync with its history (seed %i)', (seed) => {
    const pick = random(seed);
    const log = randomLog(80, pick);
    const me = pick() < 0.5 ? ALICE : BOB;
    const known = Math.floor(pick() * log.length);
    const begin = known === 0 ? fresh(me) : synced(initialState(me), [snapshot(log.slice(0, known), me)]);
    const withHistory = known === 0 ? begin : history(begin, log.slice(0, known));
    expectFresh(live(withHistory, ...log.slice(known)), log, me);
  });

  it.each(SEEDS)('do so across a reconnect with a token (seed %i)', (seed) => {
    const pick = random(seed);
    const log = randomLog(80, pick);
    const gone = 1 + Math.floor(pick() * 30);
    const back = gone + Math.floor(pick() * 40);
    // The token may be older than what was seen.
    const token = Math.floor(pick() * (gone + 1));
    const away = live(fresh(), ...log.slice(0, gone));
    const again = synced(away, [deltaAfter(log.slice(0, back), token, ALICE)], 't2');
    expectFresh(live(again, ...log.slice(token)), log, ALICE);
  });

  it('lay a change on a message that history brings later', () => {
    const log = [...Array.from({ length: 9 }, (_, i) => sentBy(BOB, i + 1, i + 1)), event(10, 'message.deleted', BOB, { conversationSeq: 2 })];
    const begin = synced(initialState(ALICE), [snapshot(log.slice(0, 9), ALICE)]);
    const changed = live(begin, log[9] as LogEvent);
    expect(pair(changed).summary.unread).toBe(8);
    // This page was read from views that lag behind the log.
    expectFresh(history(changed, log.slice(0, 9)), log, ALICE);
  });
});

describe('a jump', () => {
  const log = randomLog(40, random(11));

  it('asks for a sync, changes nothing shown, and keeps the token', () => {
    const before = live(fresh(), ...log.slice(0, 10));
    const jumped = live(before, log[12] as LogEvent);
    expect(jumped.sync).toBe('wanted');
    expect(pair(jumped).summary).toBe(pair(before).summary);
    expect(apply(jumped, { type: 'token', token: 't9' }).token).toBe('t1');
  });

  it('is healed by the sync, with the events that overtook it', () => {
    const jumped = live(live(fresh(), ...log.slice(0, 10)), ...log.slice(12));
    const healed = synced(jumped, [deltaAfter(log.slice(0, 20), 3, ALICE)], 't2');
    expect(healed.sync).toBe('idle');
    expect(healed.token).toBe('t2');
    expect(pair(healed).summary).toEqual(summaryAfter(log, ALICE));
    expect(shownMessages(pair(healed))).toEqual(messagesAfter(log));
  });

  it('is asked for again while the sync did not fill it', () => {
    const jumped = live(live(fresh(), ...log.slice(0, 10)), log[30] as LogEvent);
    expect(synced(jumped, [deltaAfter(log.slice(0, 20), 3, ALICE)]).sync).toBe('wanted');
  });

  it('is healed by a sync that sends the events again', () => {
    const begin = live(fresh(), ...log.slice(0, 10));
    const asked = apply(live(begin, ...log.slice(12, 15)), { type: 'local.syncAsked' });
    const caughtUp = apply(asked, { type: 'caughtUp', token: 't1' });
    expect(caughtUp.sync).toBe('wanted');
    const healed = live(caughtUp, ...log.slice(5, 20));
    expect(healed.sync).toBe('idle');
    expectFresh(healed, log.slice(0, 20), ALICE);
  });

  it('is closed by the missing event itself', () => {
    const state = live(live(fresh(), ...log.slice(0, 10)), log[11] as LogEvent, log[10] as LogEvent);
    expect(pair(state).summary).toEqual(summaryAfter(log.slice(0, 12), ALICE));
  });
});

describe('pages between live events', () => {
  it('change what they bring, and nothing newer (an edit away, a later one seen)', () => {
    const log = [
      sentBy(BOB, 1, 1),
      sentBy(BOB, 2, 2),
      event(3, 'message.edited', BOB, { conversationSeq: 1, body: { kind: 'text', text: 'seen' } }),
      event(4, 'message.edited', BOB, { conversationSeq: 1, body: { kind: 'text', text: 'missed' } }),
      event(5, 'message.edited', BOB, { conversationSeq: 2, body: { kind: 'text', text: 'missed too' } }),
      event(6, 'message.edited', BOB, { conversationSeq: 2, body: { kind: 'text', text: 'live' } }),
    ];
    const whole = deltaAfter(log.slice(0, 5), 3, ALICE);
    const page = (seq: number): SyncItem => ({ ...whole, messages: whole.messages.filter((one) => one.conversationSeq === seq) });
    let state = apply(live(fresh(), ...log.slice(0, 3)), { type: 'local.syncAsked' });
    state = apply(state, { type: 'sync', token: 'mid', more: true, conversations: [page(2)] });
    state = live(state, log[5] as LogEvent);
    state = apply(state, { type: 'sync', token: 't2', more: false, conversations: [page(1), page(2)] });
    expectFresh(state, log, ALICE);
  });
});

describe('pages', () => {
  const log = Array.from({ length: 30 }, (_, index) => sentBy(index % 2 ? ALICE : BOB, index + 1, index + 1));
  const item = (from: number, to: number): SyncItem => ({
    conversation: summaryAfter(log, ALICE),
    messages: messagesAfter(log).slice(from, to),
  });

  it('of one conversation may come one after the other', () => {
    let state = apply(live(fresh(), ...log.slice(0, 5)), { type: 'local.syncAsked' });
    state = apply(state, { type: 'sync', token: 'mid', more: true, conversations: [item(5, 12)] });
    expect(state.token).toBe('t1');
    expect(needsHistory(pair(state))).toBe(true);
    state = apply(state, { type: 'sync', token: 'mid', more: true, conversations: [item(12, 20)] });
    state = apply(state, { type: 'sync', token: 't2', more: false, conversations: [item(20, 30)] });
    expect(shownMessages(pair(state))).toHaveLength(30);
    expect(state.token).toBe('t2');
  });

  it('never show a hole', () => {
    const state = synced(live(fresh(), ...log.slice(0, 5)), [item(12, 12)]);
    expect(shownMessages(pair(state)).map((one) => one.conversationSeq)).toEqual([30]);
    expect(needsHistory(pair(state))).toBe(true);
  });

  it('without a token discard what may have changed unseen', () => {
    const held = history(synced(initialState(ALICE), [snapshot(log.slice(0, 9), ALICE)]), log.slice(0, 9));
    const later = apply(apply({ ...held, token: undefined }, { type: 'local.syncAsked' }), {
      type: 'sync',
      token: 't2',
      more: false,
      conversations: [snapshot(log, ALICE)],
    });
    expect(shownMessages(pair(later)).map((one) => one.conversationSeq)).toEqual([30]);
    expect(needsHistory(pair(later))).toBe(true);
  });
});

describe('other events', () => {
  it('keep the versions gapless when their type is unknown', () => {
    const state = live(fresh(), sentBy(BOB, 1, 1), event(2, 'conversation.painted', BOB, {}), sentBy(BOB, 3, 2));
    expect(state.sync).toBe('idle');
    expect(pair(state).summary).toMatchObject({ version: 3, lastSeq: 2 });
  });

  it('stop the composer while one side blocks', () => {
    const blocked = live(fresh(), sentBy(BOB, 1, 1), event(2, 'conversation.blocked', ALICE, {}));
    expect(pair(blocked).summary).toMatchObject({ canSend: false, blockedByMe: true });
    const open = live(blocked, event(3, 'conversation.unblocked', ALICE, {}));
    expect(pair(open).summary).toMatchObject({ canSend: true, blockedByMe: false });
  });

  it('of the account mute a conversation, once', () => {
    const state = live(fresh(), sentBy(BOB, 1, 1));
    expect(totalUnread(state)).toBe(1);
    const mute = event(7, 'conversation.muted', ALICE, { conversationId: PAIR }, 'a.alice');
    const muted = live(state, mute);
    expect(pair(muted).summary.muted).toBe(true);
    expect(totalUnread(muted)).toBe(0);
    expect(live(muted, mute)).toBe(muted);
  });

  it('of a group change its members and title', () => {
    const id = 'g.0193a1b2';
    const people = [{ userId: ALICE, role: 'owner' }, { userId: BOB, role: 'member' }];
    const state = live(
      fresh(),
      event(1, 'conversation.created', ALICE, { kind: 'group', title: 'Fair', members: people }, id),
      event(2, 'member.removed', ALICE, { userId: BOB }, id),
      event(3, 'conversation.renamed', ALICE, { title: 'Autumn fair' }, id),
    );
    expect(state.conversations[id]?.summary).toMatchObject({ kind: 'group', title: 'Autumn fair', memberCount: 1 });
  });

  it('of mine are found by their client id', () => {
    const state = live(fresh(), sentBy(ALICE, 1, 1), sentBy(BOB, 2, 2));
    expect(hasOwnMessage(state, PAIR, 'c1')).toBe(true);
    expect(hasOwnMessage(state, PAIR, 'c2')).toBe(false);
  });
});
