// For the tests: a tiny server. It folds a log into what the contract says a fresh sync and a
// history page give, by the plainest means, so that the store can be held against it.

import type { LogEvent, Message, Summary, SyncItem } from '../protocol';
import { changedBy, messageFrom } from './messages';
import { blankConversation } from './state';

export const ALICE = 'alice';
export const BOB = 'bob';
export const PAIR = 'd.alice.bob';

/** mulberry32: seeded, so that a failing run can be repeated. */
export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const at = (version: number): string => new Date(Date.UTC(2026, 10, 21) + version * 1000).toISOString();

export const event = (version: number, type: string, actor: string, data: Record<string, unknown>, subject = PAIR): LogEvent => ({
  id: `e${version}`,
  type,
  subject,
  time: at(version),
  version,
  actor,
  data,
});

export const sentBy = (actor: string, version: number, seq: number, subject = PAIR): LogEvent =>
  event(version, 'message.sent', actor, {
    conversationSeq: seq,
    messageId: `m${seq}`,
    clientMessageId: `c${seq}`,
    body: { kind: 'text', text: `number ${seq}` },
  }, subject);

/** A log as two people could have made it: no event says what is true already. */
export function randomLog(length: number, pick: () => number): LogEvent[] {
  const log: LogEvent[] = [];
  const read: Record<string, number> = { [ALICE]: 0, [BOB]: 0 };
  const delivered: Record<string, number> = { [ALICE]: 0, [BOB]: 0 };
  const sender: string[] = [''];
  const deleted = new Set<number>();
  const between = (low: number, high: number): number => low + Math.floor(pick() * (high - low + 1));
  while (log.length < length) {
    const version = log.length + 1;
    const last = sender.length - 1;
    const who = pick() < 0.5 ? ALICE : BOB;
    const what = pick();
    if (last === 0 || what < 0.4) {
      sender.push(who);
      read[who] = delivered[who] = last + 1;
      log.push(sentBy(who, version, last + 1));
    } else if (what < 0.55) {
      if ((delivered[who] ?? 0) === last) continue;
      const throughSeq = (delivered[who] = between((delivered[who] ?? 0) + 1, last));
      log.push(event(version, 'cursor.delivered', who, { userId: who, throughSeq }));
    } else if (what < 0.75) {
      if ((read[who] ?? 0) === last) continue;
      const throughSeq = (read[who] = between((read[who] ?? 0) + 1, last));
      delivered[who] = Math.max(delivered[who] ?? 0, throughSeq);
      log.push(event(version, 'cursor.read', who, { userId: who, throughSeq }));
    } else {
      const seq = between(1, last);
      if (deleted.has(seq)) continue;
      const owner = sender[seq] ?? '';
      if (what < 0.84) {
        log.push(event(version, 'message.edited', owner, { conversationSeq: seq, body: { kind: 'text', text: `edit ${version}` } }));
      } else if (what < 0.92) {
        deleted.add(seq);
        log.push(event(version, 'message.deleted', owner, { conversationSeq: seq }));
      } else {
        const type = pick() < 0.6 ? 'reaction.added' : 'reaction.removed';
        log.push(event(version, type, who, { conversationSeq: seq, emoji: '👍' }));
      }
    }
  }
  return log;
}

/** All messages after `log`. */
export function messagesAfter(log: readonly LogEvent[]): Message[] {
  const messages: Message[] = [];
  for (const one of log) {
    if (one.type === 'message.sent') {
      const message = messageFrom(one);
      if (message) messages.push(message);
    } else if (typeof one.data.conversationSeq === 'number') {
      const index = one.data.conversationSeq - 1;
      const message = messages[index];
      if (message) messages[index] = changedBy(message, one);
    }
  }
  return messages;
}

/** The Summary that a sync of `me` gives after `log`. */
export function summaryAfter(log: readonly LogEvent[], me: string): Summary {
  const messages = messagesAfter(log);
  const cursor = (user: (id: string) => boolean, types: readonly string[]): number =>
    Math.max(
      0,
      ...log
        .filter((one) => types.includes(one.type) && user(one.actor))
        .map((one) => Number(one.data.throughSeq ?? one.data.conversationSeq)),
    );
  const READ = ['message.sent', 'cursor.read'];
  const DELIVERED = [...READ, 'cursor.delivered'];
  const readSeq = cursor((id) => id === me, READ);
  return {
    ...blankConversation(PAIR, at(1)).summary,
    lastSeq: messages.length,
    version: log.length,
    lastMessage: messages.at(-1),
    readSeq,
    deliveredSeq: cursor((id) => id === me, DELIVERED),
    peerReadSeq: cursor((id) => id !== me, READ),
    peerDeliveredSeq: cursor((id) => id !== me, DELIVERED),
    unread: messages.filter((one) => one.senderId !== me && one.conversationSeq > readSeq && !one.deletedAt).length,
    updatedAt: at(Math.max(1, log.length)),
  };
}

/** A delta page: every message created or changed after the first `known` events, and the summary now. */
export function deltaAfter(log: readonly LogEvent[], known: number, me: string): SyncItem {
  const touched = new Set(log.slice(known).map((one) => one.data.conversationSeq));
  return {
    conversation: summaryAfter(log, me),
    messages: messagesAfter(log).filter((message) => touched.has(message.conversationSeq)),
  };
}
