// apply(state, input) → state: the whole of what a frame can do. Pure: no clock, no network.
//
// State is numbers that only grow. A version that is held already is dropped, the next one is
// applied, and one beyond it is kept aside while a sync is asked for.

import type { Account, LogEvent, Mark, Message, Summary, SyncItem } from '../protocol';
import { applyAccountEvent, layAccountEvent, mergeAccount, withMark } from './account';
import { applyToConversation } from './events';
import { changedBy, putMessage } from './messages';
import { atMoment } from './moment';
import { blankConversation, derivedFrom, fromSummary, hasGap, withConversation, type Conversation, type Input, type State } from './state';

/** Beyond this many events past a jump the sync is cheaper than the memory. */
const MAX_AHEAD = 1000;

export function apply(state: State, input: Input): State {
  switch (input.type) {
    case 'event':
      return input.event.subject === `a.${state.me}`
        ? applyAccountEvent(state, input.event)
        : applyEvent(state, input.event);
    case 'sync': {
      const merged = input.conversations.reduce((sofar, item) => applyItem(sofar, item, state.syncIsDelta), state);
      const next = withAccount(merged, input.account, input.marks ?? []);
      // A page in the middle is no position to resume from: its successors would be lost.
      return input.more ? next : settle({ ...next, token: input.token || next.token });
    }
    case 'caughtUp':
      return settle({ ...state, token: input.token, loaded: true });
    case 'token':
      // "Everything before it has been sent" — but with a jump open, not everything has been applied.
      return state.sync !== 'idle' || state.token === input.token ? state : { ...state, token: input.token };
    case 'local.syncAsked':
      return { ...state, sync: 'asked', syncIsDelta: state.token !== undefined };
    case 'local.opened':
      return state.conversations[input.conversationId]
        ? state
        : withConversation(state, blankConversation(input.conversationId, input.at));
    case 'local.summary':
      return withAccount(applyItem(state, { conversation: input.summary, messages: [] }, false), undefined, []);
    case 'local.history': {
      const held = state.conversations[input.conversationId];
      if (!held) return state;
      const merged = bridged(mergeMessages(held, input.messages), input.place, input.messages);
      const historyDone = held.historyDone || input.done;
      return merged === held && historyDone === held.historyDone
        ? state
        : withConversation(state, { ...merged, historyDone });
    }
    case 'local.account': {
      // It was read while events went on coming: what they say of it holds, once and for all.
      const account = mergeAccount(state.account, { ...input.account, version: undefined });
      return state.aside.reduce(layAccountEvent, { ...state, account });
    }
    case 'local.moment':
      return atMoment(state, input.at);
    case 'ready':
    case 'message.ack':
    case 'ack':
    case 'error':
    case 'typing':
    case 'presence':
    case 'draining':
    case 'pong':
      return state;
  }
}

/**
 * The first page of a sync tells the account, and every summary its marks. The views that it was read
 * from may be behind what this tab has heard: that is laid over it again.
 */
function withAccount(state: State, account: Account | undefined, marks: readonly Mark[]): State {
  const upTo = account?.version ?? 0;
  const told = account?.version === undefined ? state : marks.reduce(withMark, { ...state, account: mergeAccount(state.account, account) });
  const newer = told.aside.filter((event) => event.version > upTo);
  return newer.reduce(layAccountEvent, { ...told, aside: newer });
}

function settle(state: State): State {
  const next: State = { ...state, accountGap: false, syncIsDelta: false };
  return { ...next, sync: hasGap(next) ? 'wanted' : 'idle' };
}

function applyEvent(state: State, event: LogEvent): State {
  const known = state.conversations[event.subject];
  const held = known ?? blankConversation(event.subject, event.time);
  const { version } = held.summary;
  if (event.version <= version) return state;
  if (event.version === version + 1) {
    const applied = withConversation(state, drain(applyToConversation(held, event, state.me), state.me));
    // The account has no common order with it: what was marked there may have been told before.
    const marks = known ? [] : state.aside.filter((own) => own.data.conversationId === event.subject);
    const next = marks.reduce(layAccountEvent, applied);
    // The server may answer a sync by sending the events again: these close the jump by themselves.
    return next.sync === 'wanted' && !hasGap(next) ? { ...next, sync: 'idle' } : next;
  }
  if (held.ahead.some((one) => one.version === event.version)) return state;
  const ahead = [...held.ahead, event].sort((a, b) => a.version - b.version).slice(0, MAX_AHEAD);
  const next = withConversation(state, { ...held, ahead });
  return next.sync === 'idle' ? { ...next, sync: 'wanted' } : next;
}

/** Apply what waited beyond a jump, as far as it now follows on. */
function drain(conversation: Conversation, me: string): Conversation {
  let next = conversation;
  for (const event of conversation.ahead) {
    if (event.version === next.summary.version + 1) next = applyToConversation(next, event, me);
  }
  const ahead = next.ahead.filter((event) => event.version > next.summary.version);
  return ahead.length === next.ahead.length ? next : { ...next, ahead };
}

/** One conversation of a sync page. `delta`: its messages are all that changed since what is held. */
function applyItem(state: State, item: SyncItem, delta: boolean): State {
  const { conversation: summary, messages } = item;
  const held = state.conversations[summary.conversationId];
  if (!held) {
    return withConversation(state, mergeMessages(fromSummary(summary), messages, summary.version));
  }
  const late = summary.version < held.summary.version;
  const grew = summary.version > held.summary.version;
  // A newer summary without its changes says nothing about the older messages held: read them anew.
  const base: Conversation = grew && !delta ? { ...fromSummary(summary), ahead: held.ahead } : held;
  const current: Conversation = late
    ? base
    : {
        ...base,
        summary: forward(held.summary, summary),
        ...derivedFrom(summary),
        draftAt: summary.draft === held.summary.draft ? held.draftAt : undefined,
        historyDone: base.historyDone && (base.messages.length > 0 || summary.lastSeq === 0),
      };
  const last = summary.lastMessage ? [summary.lastMessage] : [];
  const merged = mergeMessages(current, [...messages, ...last], summary.version);
  return withConversation(state, drain(merged, state.me));
}

/** The newer summary, its cursors never behind the older one's. */
function forward(older: Summary, newer: Summary): Summary {
  const max = (a: number | undefined, b: number | undefined): number | undefined =>
    a === undefined ? b : b === undefined ? a : Math.max(a, b);
  return {
    ...newer,
    // A list of groups comes without their people; they are asked for where they are looked at.
    members: newer.members ?? (newer.version === older.version ? older.members : undefined),
    lastSeq: Math.max(older.lastSeq, newer.lastSeq),
    readSeq: Math.max(older.readSeq, newer.readSeq),
    deliveredSeq: Math.max(older.deliveredSeq, newer.deliveredSeq),
    peerReadSeq: max(older.peerReadSeq, newer.peerReadSeq),
    peerDeliveredSeq: max(older.peerDeliveredSeq, newer.peerDeliveredSeq),
  };
}

/**
 * `asOf`: the version that all of these include. History does not say it; it is taken to be as new
 * as what is known, and what proves it older — a change seen already — is laid over it.
 */
function mergeMessages(conversation: Conversation, incoming: readonly Message[], asOf?: number): Conversation {
  const known = conversation.summary.version;
  let { messages } = conversation;
  for (const message of incoming) {
    const changed = withChanges(message, conversation.changes, asOf ?? message.version);
    messages = putMessage(messages, { ...changed, asOf: asOf ?? known }, asOf !== undefined && asOf >= known);
  }
  return messages === conversation.messages ? conversation : { ...conversation, messages };
}

/**
 * A page of history that does not reach the message it was asked to end before, or to begin after: the
 * numbers between are not this person's to see. In a direct conversation there are none; there the view
 * was behind.
 */
function bridged(conversation: Conversation, place: { before: number } | { after: number }, page: readonly Message[]): Conversation {
  const [oldest, newest] = [page[0]?.conversationSeq, page.at(-1)?.conversationSeq];
  if (conversation.summary.kind === 'direct' || oldest === undefined || newest === undefined) return conversation;
  const [before, after] = 'before' in place ? [newest, place.before] : [place.after, oldest];
  return before >= after - 1 ? conversation : { ...conversation, bridges: { ...conversation.bridges, [after]: before } };
}

function withChanges(message: Message, changes: readonly LogEvent[], asOf: number): Message {
  return changes
    .filter((event) => event.data.conversationSeq === message.conversationSeq && event.version > asOf)
    .reduce(changedBy, message);
}
