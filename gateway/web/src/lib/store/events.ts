// One event of the log, laid on one conversation that is exactly one version behind it.

import { isCount, isRecord, text } from '../guards';
import type { LogEvent, Member, Summary } from '../protocol';
import { changedBy, countUnread, messageAt, messageFrom, putMessage } from './messages';
import type { Conversation } from './state';

/** Changes kept for messages that are not held; history read later usually has them already. */
const MAX_CHANGES = 500;

export function applyToConversation(conversation: Conversation, event: LogEvent, me: string): Conversation {
  const summary: Summary = { ...conversation.summary, version: event.version };
  const next: Conversation = { ...conversation, summary };
  const user = text(event.data.userId) ?? event.actor;
  switch (event.type) {
    case 'message.sent':
      return sent(next, event, me);
    case 'message.edited':
    case 'message.deleted':
    case 'reaction.added':
    case 'reaction.removed':
      return changed(next, event, me);
    case 'cursor.delivered':
    case 'cursor.read':
      return isCount(event.data.throughSeq)
        ? moveCursor(next, user, event.data.throughSeq, event.type === 'cursor.read', me)
        : next;
    case 'conversation.created':
      return withSummary(next, {
        kind: text(event.data.kind) ?? summary.kind,
        title: text(event.data.title),
        ...membership(asMembers(event.data.members)),
        createdAt: event.time,
        updatedAt: event.time,
      });
    case 'conversation.renamed':
      return withSummary(next, { title: text(event.data.title) });
    case 'conversation.timerSet':
      return withSummary(next, { timerSeconds: isCount(event.data.seconds) ? event.data.seconds : 0 });
    case 'conversation.blocked':
      return withSummary(next, { canSend: false, blockedByMe: summary.blockedByMe || event.actor === me });
    case 'conversation.unblocked':
      // The other side may still block: only the server knows, and its refusal will say so.
      return withSummary(next, { canSend: true, blockedByMe: summary.blockedByMe && event.actor !== me });
    case 'member.added':
    case 'member.roleChanged':
      return members(next, (all) => [
        ...all.filter((member) => member.userId !== user),
        { userId: user, role: text(event.data.role) },
      ], user === me ? { canSend: true } : {});
    case 'member.removed':
    case 'member.left':
      return members(next, (all) => all.filter((member) => member.userId !== user), user === me ? { canSend: false } : {});
    default:
      // A type this page does not know still takes its version, or every later event would look like a jump.
      return next;
  }
}

const withSummary = (conversation: Conversation, change: Partial<Summary>): Conversation => ({
  ...conversation,
  summary: { ...conversation.summary, ...change },
});

const asMembers = (value: unknown): readonly Member[] =>
  Array.isArray(value)
    ? value.filter(isRecord).map((one) => ({ userId: text(one.userId) ?? '', role: text(one.role) }))
    : [];

const membership = (members: readonly Member[]): Partial<Summary> => ({ members, memberCount: members.length });

function members(
  conversation: Conversation,
  change: (all: readonly Member[]) => readonly Member[],
  also: Partial<Summary>,
): Conversation {
  const held = conversation.summary.members;
  return withSummary(conversation, { ...(held ? membership(change(held)) : {}), ...also });
}

function sent(conversation: Conversation, event: LogEvent, me: string): Conversation {
  const message = messageFrom(event);
  if (!message) return conversation;
  const seq = message.conversationSeq;
  const { summary } = conversation;
  const mine = message.senderId === me;
  const grown: Conversation = {
    ...conversation,
    messages: putMessage(conversation.messages, { ...message, asOf: event.version }, true),
    summary: {
      ...summary,
      lastSeq: Math.max(summary.lastSeq, seq),
      lastMessage: seq > summary.lastSeq ? message : summary.lastMessage,
      updatedAt: event.time,
      unread: mine || seq <= summary.readSeq ? summary.unread : summary.unread + 1,
    },
  };
  return moveCursor(grown, message.senderId, seq, true, me);
}

function changed(conversation: Conversation, event: LogEvent, me: string): Conversation {
  const { conversationSeq: seq } = event.data;
  if (!isCount(seq)) return conversation;
  const { summary } = conversation;
  const held = messageAt(conversation.messages, seq);
  const last = summary.lastMessage?.conversationSeq === seq ? changedBy(summary.lastMessage, event) : summary.lastMessage;
  // Only its sender deletes a message, so for one that is not held the actor says whose it was.
  const unreadGone =
    event.type === 'message.deleted' &&
    seq > summary.readSeq &&
    (held?.senderId ?? event.actor) !== me &&
    !held?.deletedAt;
  return {
    ...conversation,
    messages: held ? putMessage(conversation.messages, { ...changedBy(held, event), asOf: event.version }, true) : conversation.messages,
    changes: held ? conversation.changes : [...conversation.changes, event].slice(-MAX_CHANGES),
    summary: { ...summary, lastMessage: last, unread: Math.max(0, summary.unread - (unreadGone ? 1 : 0)) },
  };
}

/** Cursors only go forward, and read implies delivered. */
function moveCursor(conversation: Conversation, user: string, through: number, read: boolean, me: string): Conversation {
  const { summary } = conversation;
  if (user !== me) {
    if (summary.kind !== 'direct') return conversation;
    return withSummary(conversation, {
      peerDeliveredSeq: Math.max(summary.peerDeliveredSeq ?? 0, through),
      peerReadSeq: read ? Math.max(summary.peerReadSeq ?? 0, through) : summary.peerReadSeq,
    });
  }
  const deliveredSeq = Math.max(summary.deliveredSeq, through);
  if (!read || through <= summary.readSeq) return withSummary(conversation, { deliveredSeq });
  // Another device may have read part of what is not held here: then an upper bound has to do until the next sync.
  const unread = countUnread(conversation, through, me) ?? Math.min(summary.unread, summary.lastSeq - through);
  return withSummary(conversation, { deliveredSeq, readSeq: through, unread: Math.max(0, unread) });
}
