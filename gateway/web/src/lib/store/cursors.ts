// How far messages have come, and been read.

import { countUnread } from './messages';
import { withSummary, type Conversation } from './state';

/** Cursors only go forward, and read implies delivered; 0, of a cursor that is kept back, moves nothing. */
export function moveCursor(conversation: Conversation, user: string, through: number, read: boolean, me: string): Conversation {
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

export const readThrough = (conversation: Conversation, through: number, me: string): Conversation =>
  moveCursor(conversation, me, through, true, me);
