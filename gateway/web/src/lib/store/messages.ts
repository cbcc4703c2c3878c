// Messages by their number: insert, replace, count.

import { isCount, text } from '../guards';
import type { LogEvent, Message } from '../protocol';
import { toBody } from '../reading';
import type { Conversation, Held } from './state';

/** Where `seq` is, or would be inserted. */
function position(messages: readonly Held[], seq: number): number {
  let low = 0;
  let high = messages.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((messages[middle]?.conversationSeq ?? Infinity) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function messageAt(messages: readonly Held[], seq: number): Held | undefined {
  const found = messages[position(messages, seq)];
  return found?.conversationSeq === seq ? found : undefined;
}

/** Put one message in its place; of two copies the one that includes more stays. `newest`: this one does. */
export function putMessage(messages: readonly Held[], message: Held, newest: boolean): readonly Held[] {
  const at = position(messages, message.conversationSeq);
  const held = messages[at];
  const same = held?.conversationSeq === message.conversationSeq;
  if (same && !newest && held.asOf >= message.asOf) return messages;
  return messages.toSpliced(at, same ? 1 : 0, message);
}

/**
 * A run of messages without a hole but what belongs to nobody here: the one that ends at `lastSeq`, or
 * the one that has the message `around`, if that is held.
 */
export function shownMessages(conversation: Conversation, around?: number): readonly Held[] {
  const { messages, summary, bridges } = conversation;
  const seqAt = (index: number): number => messages[index]?.conversationSeq ?? 0;
  const follows = (before: number, after: number): boolean => before === after - 1 || before === bridges[after];
  let end = messages.length;
  let after = summary.lastSeq + 1;
  if (around !== undefined && messageAt(messages, around)) {
    end = position(messages, around) + 1;
    while (end < messages.length && follows(seqAt(end - 1), seqAt(end))) end += 1;
    after = seqAt(end - 1) + 1;
  }
  let start = end;
  while (start > 0 && follows(seqAt(start - 1), after)) {
    start -= 1;
    after = seqAt(start);
  }
  return start === 0 && end === messages.length ? messages : messages.slice(start, end);
}

/** A moment in ms; one that cannot be read never comes. */
export const momentOf = (iso: string | undefined): number => {
  const at = Date.parse(iso ?? '');
  return Number.isNaN(at) ? Infinity : at;
};

/** Messages whose time is over lose their words; `at` is a moment in ms. */
export function expire<M extends Message>(message: M, at: number): M {
  return message.body !== null && momentOf(message.expiresAt) <= at ? { ...message, body: null, reactions: undefined } : message;
}

/** Messages of others after `readSeq` that are not deleted: exact if all of them are held, else undefined. */
export function countUnread(conversation: Conversation, readSeq: number, me: string): number | undefined {
  const { messages, summary } = conversation;
  const start = position(messages, readSeq + 1);
  if (messages.length - start < summary.lastSeq - readSeq) return undefined;
  return messages.slice(start).filter((message) => message.senderId !== me && !message.deletedAt).length;
}

export function messageFrom(event: LogEvent): Message | null {
  const { data } = event;
  if (!isCount(data.conversationSeq)) return null;
  return {
    conversationId: event.subject,
    conversationSeq: data.conversationSeq,
    messageId: text(data.messageId) ?? '',
    clientMessageId: text(data.clientMessageId) ?? '',
    senderId: event.actor,
    body: toBody(data.body),
    createdAt: event.time,
    version: event.version,
    replyTo: isCount(data.replyTo) ? data.replyTo : undefined,
    expiresAt: text(data.expiresAt),
    byService: data.byService === true || undefined,
  };
}

/** A message after an event that changes it; applying the same event again changes nothing. */
export function changedBy<M extends Message>(message: M, event: LogEvent): M {
  switch (event.type) {
    case 'message.edited':
      // Of a message from before one came (back), its edit says nothing.
      if (event.data.body === null) return message;
      return { ...message, body: toBody(event.data.body), editedAt: event.time };
    case 'message.deleted':
      return { ...message, body: null, deletedAt: event.time, byService: undefined, reactions: undefined };
    case 'reaction.added':
    case 'reaction.removed':
      return { ...message, reactions: reactionsAfter(message, event) };
    default:
      return message;
  }
}

function reactionsAfter(message: Message, event: LogEvent): Message['reactions'] {
  const emoji = text(event.data.emoji);
  if (!emoji) return message.reactions;
  const others = (message.reactions?.[emoji] ?? []).filter((user) => user !== event.actor);
  const users = event.type === 'reaction.added' ? [...others, event.actor] : others;
  const { [emoji]: _, ...rest } = message.reactions ?? {};
  const next = users.length > 0 ? { ...rest, [emoji]: users } : rest;
  return Object.keys(next).length > 0 ? next : undefined;
}
