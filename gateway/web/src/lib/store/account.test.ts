import { describe, expect, it } from 'vitest';

import type { Account, LogEvent } from '../protocol';
import { apply } from './apply';
import { ALICE, BOB, PAIR, event, random, sentBy, summaryAfter } from './model';
import { CHANNEL, accountAfter, markAfter, marksAfter, randomAccountLog } from './model-group';
import { nextMoment } from './moment';
import { initialState, type State } from './state';

const OTHER = 'd.alice.carol';
const SEEDS = Array.from({ length: 60 }, (_, index) => index + 1);
const live = (state: State, ...events: LogEvent[]): State => events.reduce((sofar, one) => apply(sofar, { type: 'event', event: one }), state);
const own = (version: number, type: string, data: Record<string, unknown>): LogEvent => event(version, type, ALICE, data, `a.${ALICE}`);

const summaries = (log: readonly LogEvent[], marks: readonly LogEvent[]) =>
  [PAIR, OTHER].map((id) => ({
    conversation: { ...summaryAfter(log, ALICE), conversationId: id, ...summaryMarks(marks, id, log.length) },
    messages: [],
  }));
const summaryMarks = (marks: readonly LogEvent[], id: string, lastSeq: number) => {
  const { draftSavedAt: _, ...shown } = marksAfter(marks, id, lastSeq);
  return shown;
};
/** The account's part of a page. */
const accountPage = (marks: readonly LogEvent[]) => ({ account: accountAfter(marks), marks: [PAIR, OTHER].map((id) => markAfter(marks, id)) });
const talk = [sentBy(BOB, 1, 1), sentBy(BOB, 2, 2)];
const syncAt = (state: State, marks: readonly LogEvent[], token = 't'): State => {
  const asked = apply(state, { type: 'local.syncAsked' });
  return apply(asked, { type: 'sync', token, more: false, conversations: summaries(talk, marks), ...accountPage(marks) });
};
const settled = (state: State): State => apply(state, { type: 'caughtUp', token: 't' });
const byId = (account: Account): Account => ({
  ...account,
  endpoints: account.endpoints && [...account.endpoints].sort((a, b) => (a.endpointId < b.endpointId ? -1 : 1)),
  devices: account.devices && [...account.devices].sort((a, b) => (a.deviceId < b.deviceId ? -1 : 1)),
});
const expectFresh = (state: State, marks: readonly LogEvent[]): void => {
  expect(byId(state.account)).toEqual(accountAfter(marks));
  for (const { conversation } of summaries(talk, marks)) {
    expect(state.conversations[conversation.conversationId]?.summary).toEqual(conversation);
  }
};

describe('the account: state + events', () => {
  it.each(SEEDS)('equals a fresh sync (seed %i)', (seed) => {
    const pick = random(seed);
    const log = randomAccountLog(60, pick, [PAIR, OTHER]);
    const known = Math.floor(pick() * log.length);
    const begin = settled(syncAt(initialState(ALICE), log.slice(0, known)));
    expectFresh(live(begin, ...log.slice(known)), log);
  });

  it.each(SEEDS)('do so when a sync older than they comes after them (seed %i)', (seed) => {
    const pick = random(seed);
    const log = randomAccountLog(40, pick, [PAIR, OTHER]);
    const seen = Math.floor(pick() * log.length);
    // As old as views may be that lag behind what this tab has heard.
    const page = Math.floor(pick() * log.length);
    const asked = apply(live(settled(syncAt(initialState(ALICE), [])), ...log.slice(0, seen)), { type: 'local.syncAsked' });
    const meanwhile = live(asked, ...log.slice(seen));
    const answered = apply(meanwhile, { type: 'sync', token: 't', more: false, conversations: summaries(talk, log.slice(0, page)), ...accountPage(log.slice(0, page)) });
    expectFresh(settled(answered), log);
  });

  it.each(SEEDS.slice(0, 20))('do so when a page tells the marks alone (seed %i)', (seed) => {
    const pick = random(seed);
    const log = randomAccountLog(40, pick, [PAIR, OTHER]);
    const gone = Math.floor(pick() * log.length);
    const away = apply(live(settled(syncAt(initialState(ALICE), [])), ...log.slice(0, gone)), { type: 'local.syncAsked' });
    expectFresh(settled(apply(away, { type: 'sync', token: 't2', more: false, conversations: [], ...accountPage(log) })), log);
  });

  it('drop what they have, and ask for a sync on a jump', () => {
    const begin = live(settled(syncAt(initialState(ALICE), [])), own(1, 'conversation.pinned', { conversationId: PAIR }));
    expect(live(begin, own(1, 'conversation.unpinned', { conversationId: PAIR }))).toBe(begin);
    const jumped = live(begin, own(3, 'contact.added', { userId: BOB }));
    expect(jumped.sync).toBe('wanted');
    expect(live(begin, own(2, 'account.painted', {})).sync).toBe('idle');
  });

  it('move the cursor of a reader of a channel', () => {
    const people = [{ userId: BOB, role: 'owner' }, { userId: ALICE, role: 'member' }];
    const created = event(1, 'conversation.created', BOB, { kind: 'channel', title: 'News', members: people }, CHANNEL);
    const begin = live(initialState(ALICE), created, ...[1, 2, 3].map((n) => sentBy(BOB, n + 1, n, CHANNEL)));
    expect(begin.conversations[CHANNEL]?.summary).toMatchObject({ unread: 3, readSeq: 0 });
    const read = live(begin, own(1, 'channel.read', { conversationId: CHANNEL, throughSeq: 2 }));
    expect(read.conversations[CHANNEL]?.summary).toMatchObject({ unread: 1, readSeq: 2, deliveredSeq: 2 });
  });

  it('count for a conversation whose own first event comes after them', () => {
    const people = [{ userId: BOB, role: 'owner' }, { userId: ALICE, role: 'member' }];
    const created = event(1, 'conversation.created', BOB, { kind: 'channel', title: 'News', members: people }, CHANNEL);
    const marks = [own(1, 'channel.read', { conversationId: CHANNEL, throughSeq: 2 }), own(2, 'conversation.muted', { conversationId: CHANNEL })];
    const state = live(initialState(ALICE), ...marks, created, ...[1, 2, 3].map((n) => sentBy(BOB, n + 1, n, CHANNEL)));
    expect(state.conversations[CHANNEL]?.summary).toMatchObject({ unread: 1, readSeq: 2, deliveredSeq: 2, muted: true });
    expect(state.conversations[PAIR]).toBeUndefined();
  });
});

describe('an archived conversation', () => {
  it.each([
    ['comes back with a message', [own(1, 'conversation.archived', { conversationId: PAIR, throughSeq: 1 }), sentBy(BOB, 2, 2)], false],
    ['stays when the archiving device had that message already', [own(1, 'conversation.archived', { conversationId: PAIR, throughSeq: 2 }), sentBy(BOB, 2, 2)], true],
    ['is not archived by a device that had less', [sentBy(BOB, 2, 2), own(1, 'conversation.archived', { conversationId: PAIR, throughSeq: 1 })], false],
  ])('%s', (_, events, archived) => {
    const state = live(initialState(ALICE), sentBy(BOB, 1, 1), ...events);
    expect(state.conversations[PAIR]?.summary.archived).toBe(archived);
  });
});

describe('what ends by itself', () => {
  const at = (second: number): string => new Date(Date.UTC(2026, 10, 22, 0, 0, second)).toISOString();
  const timed = (seq: number, second: number): LogEvent => {
    const sent = sentBy(BOB, seq, seq);
    return { ...sent, data: { ...sent.data, expiresAt: at(second) } };
  };

  it('is a message with a timer, on the moment and not before', () => {
    const state = live(initialState(ALICE), timed(1, 10), timed(2, 20), sentBy(BOB, 3, 3));
    expect(nextMoment(state)).toBe(Date.parse(at(10)));
    expect(apply(state, { type: 'local.moment', at: at(9) })).toBe(state);
    const later = apply(state, { type: 'local.moment', at: at(10) });
    expect(later.conversations[PAIR]?.messages.map((one) => one.body === null)).toEqual([true, false, false]);
    expect(nextMoment(later)).toBe(Date.parse(at(20)));
    const last = apply(later, { type: 'local.moment', at: at(60) });
    expect(nextMoment(last)).toBe(Infinity);
    expect(last.conversations[PAIR]?.summary.lastMessage?.body).not.toBeNull();
  });

  it('is a mute with an end', () => {
    const muted = live(initialState(ALICE), sentBy(BOB, 1, 1), own(1, 'conversation.muted', { conversationId: PAIR, until: at(30) }));
    expect(muted.conversations[PAIR]?.summary).toMatchObject({ muted: true, mutedUntil: at(30) });
    const over = apply(muted, { type: 'local.moment', at: at(30) });
    expect(over.conversations[PAIR]?.summary).toMatchObject({ muted: false, mutedUntil: undefined });
  });
});
