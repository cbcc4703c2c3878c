// One text frame of the socket → a typed frame, or null for what this page does not know.

import { isCount, isRecord, text } from './guards';
import type { ServerFrame, SyncItem } from './protocol';
import { toAccount, toEvent, toMarks, toMessages, toSummary } from './reading';

const DEFAULT_HEARTBEAT_SECONDS = 25;

export function toSyncItems(value: unknown): SyncItem[] {
  if (!Array.isArray(value)) return [];
  return value.filter(isRecord).flatMap((item) => {
    const conversation = toSummary(item.conversation);
    return conversation ? [{ conversation, messages: toMessages(item.messages) }] : [];
  });
}

/** A Sync is the same whether a frame or an answer over HTTP holds it. */
export function toSync(value: Record<string, unknown>): Extract<ServerFrame, { type: 'sync' }> {
  return {
    type: 'sync',
    token: text(value.token) ?? '',
    more: value.more === true,
    conversations: toSyncItems(value.conversations),
    account: isRecord(value.account) ? toAccount(value.account) : undefined,
    marks: isRecord(value.account) ? toMarks(value.account.marks) : undefined,
  };
}

export function parseFrame(raw: unknown): ServerFrame | null {
  if (typeof raw !== 'string') return null;
  let value: unknown;
  try {
    value = JSON.parse(raw);
  } catch {
    return null;
  }
  return isRecord(value) ? toFrame(value) : null;
}

function toFrame(value: Record<string, unknown>): ServerFrame | null {
  const ref = text(value.ref);
  const token = text(value.token);
  const conversationId = text(value.conversationId);
  const userId = text(value.userId);
  switch (value.type) {
    case 'ready':
      return {
        type: 'ready',
        userId: userId ?? '',
        deviceId: text(value.deviceId) ?? '',
        heartbeatSeconds:
          isCount(value.heartbeatSeconds) && value.heartbeatSeconds > 0 ? value.heartbeatSeconds : DEFAULT_HEARTBEAT_SECONDS,
      };
    case 'sync':
      return toSync(value);
    case 'caughtUp':
    case 'token':
      return token ? { type: value.type, token } : null;
    case 'event': {
      const event = toEvent(value.event);
      return event && { type: 'event', event };
    }
    case 'message.ack': {
      const clientMessageId = text(value.clientMessageId);
      if (!clientMessageId || !conversationId || !isCount(value.conversationSeq)) return null;
      return {
        type: 'message.ack',
        ref,
        clientMessageId,
        conversationId,
        messageId: text(value.messageId) ?? '',
        conversationSeq: value.conversationSeq,
        version: isCount(value.version) ? value.version : 0,
      };
    }
    case 'ack':
      return { type: 'ack', ref, version: isCount(value.version) ? value.version : undefined };
    case 'error':
      return {
        type: 'error',
        ref,
        code: text(value.code) ?? 'unknown',
        message: text(value.message) ?? 'The server refused this.',
        retryAfterMs: isCount(value.retryAfterMs) ? value.retryAfterMs : 0,
      };
    case 'typing':
      return conversationId && userId ? { type: 'typing', conversationId, userId, typing: value.typing === true } : null;
    case 'presence':
      return toPresence(value);
    case 'draining':
      return { type: 'draining', reconnectAfterMs: isCount(value.reconnectAfterMs) ? value.reconnectAfterMs : 0 };
    case 'pong':
      return { type: 'pong' };
    default:
      return null;
  }
}

export function toPresence(value: Record<string, unknown>): Extract<ServerFrame, { type: 'presence' }> | null {
  const userId = text(value.userId);
  if (!userId) return null;
  return { type: 'presence', userId, state: value.state === 'online' ? 'online' : 'offline', lastSeenAt: text(value.lastSeenAt) };
}
