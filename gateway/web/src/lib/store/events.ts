// One event of the log, laid on one conversation that is exactly one version behind it.

import { isCount, isRecord, text } from '../guards';
import type { LogEvent, Summary } from '../protocol';
import { moveCursor } from './cursors';
import { blocked, created, membersChanged } from './membership';
import { changedBy, messageAt, messageFrom, putMessage } from './messages';
import { withSummary, type Conversation } from './state';

/** Changes kept for messages that are not held; history read later usually has them already. */
const MAX_CHANGES = 500;

export function applyToConversation(conversation: Conversation, event: LogEvent, me: string): Conversation {
  const summary: Summary = { ...conversation.summary, version: event.version, updatedAt: event.time };
  const next: Conversation = { ...conversation, summary };
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
        ? moveCursor(next, text(event.data.userId) ?? event.actor, event.data.throughSeq, event.type === 'cursor.read', me)
        : next;
    case 'conversation.created':
      return created(next, event, me);
    case 'conversation.renamed':
      return withSummary(next, { title: text(event.data.title) });
    case 'conversation.timerSet':
      return withSummary(next, { timerSeconds: isCount(event.data.seconds) ? event.data.seconds : 0 });
    case 'conversation.blocked':
    case 'conversation.unblocked':
      return blocked(next, event, me);
    case 'member.added':
    case 'member.removed':
    case 'member.left':
    case 'member.roleChanged':
      return membersChanged(next, event, me);
    default:
      // A type this page does not know still takes its version, or every later event would look like a jump.
      return next;
  }
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
      archived: summary.archived && seq <= conversation.archivedThrough,
      unread: mine || seq <= summary.readSeq ? summary.unread : summary.unread + 1,
    },
  };
  // Readers of a channel are not followed in its log, its writers are.
  return moveCursor(grown, message.senderId, seq, true, me);
}

function changed(conversation: Conversation, event: LogEvent, me: string): Conversation {
  const { conversationSeq: seq } = event.data;
  if (!isCount(seq)) return conversation;
  const { summary } = conversation;
  const held = messageAt(conversation.messages, seq);
  const last = summary.lastMessage?.conversationSeq === seq ? changedBy(summary.lastMessage, event) : summary.lastMessage;
  const unreadGone =
    event.type === 'message.deleted' && seq > summary.readSeq && (held?.senderId ?? senderOf(event)) !== me && !held?.deletedAt;
  return {
    ...conversation,
    messages: held ? putMessage(conversation.messages, { ...changedBy(held, event), asOf: event.version }, true) : conversation.messages,
    changes: held ? conversation.changes : [...conversation.changes, event].slice(-MAX_CHANGES),
    summary: { ...summary, lastMessage: last, unread: Math.max(0, summary.unread - (unreadGone ? 1 : 0)) },
  };
}

/** Whose message was deleted: the event says it, or else only the sender could. */
function senderOf({ data, actor }: LogEvent): string {
  const of: unknown = data.of;
  return (isRecord(of) ? text(of.senderId) : undefined) ?? actor;
}
