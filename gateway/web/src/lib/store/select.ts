// What the page asks of the state.

import { directMembers } from '../protocol';
import { messageAt, shownMessages } from './messages';
import type { Conversation, State } from './state';

export type Filter = 'all' | 'unread' | 'archived';

/** Pinned first, then by the newest message; a conversation without one by its creation. */
export function inbox(state: State, filter: Filter = 'all'): readonly Conversation[] {
  const at = ({ summary }: Conversation): string => summary.lastMessage?.createdAt || summary.createdAt;
  return Object.values(state.conversations)
    // One without any event is there as long as something is to be sent.
    .filter(({ summary }) => summary.version > 0 || summary.draft)
    .filter(({ summary }) => summary.archived === (filter === 'archived') && (filter !== 'unread' || summary.unread > 0))
    .sort(
      (a, b) =>
        Number(b.summary.pinned) - Number(a.summary.pinned) ||
        Date.parse(at(b)) - Date.parse(at(a)) ||
        (a.summary.conversationId < b.summary.conversationId ? -1 : 1),
    );
}

export function peerOf(conversationId: string, me: string): string | null {
  const pair = directMembers(conversationId);
  if (!pair?.includes(me)) return null;
  return pair[0] === me ? pair[1] : pair[0];
}

export function titleOf(conversation: Conversation, me: string): string {
  const { summary } = conversation;
  return summary.title ?? peerOf(summary.conversationId, me) ?? (summary.kind === 'channel' ? 'Channel' : 'Group');
}

export type Tick = 'sent' | 'delivered' | 'read';

export function tickOf(conversation: Conversation, seq: number): Tick {
  const { peerReadSeq = 0, peerDeliveredSeq = 0 } = conversation.summary;
  return peerReadSeq >= seq ? 'read' : peerDeliveredSeq >= seq ? 'delivered' : 'sent';
}

/** Did the log store this message of mine? Only what is held is looked through, newest first. */
export function hasOwnMessage(state: State, conversationId: string, clientMessageId: string): boolean {
  const messages = state.conversations[conversationId]?.messages ?? [];
  return messages.findLast((one) => one.senderId === state.me && one.clientMessageId === clientMessageId) !== undefined;
}

/** Muted conversations do not call for attention. */
export const totalUnread = (state: State): number =>
  Object.values(state.conversations).reduce((sum, { summary }) => sum + (summary.muted || summary.archived ? 0 : summary.unread), 0);

export const messageOf = (conversation: Conversation, seq: number) => messageAt(conversation.messages, seq);

/** Is there something older on the server than what can be shown? */
export function needsHistory(conversation: Conversation, around?: number): boolean {
  const first = shownMessages(conversation, around)[0];
  if (conversation.summary.lastSeq === 0 || first?.conversationSeq === 1) return false;
  const hole = first?.conversationSeq !== conversation.messages[0]?.conversationSeq;
  return hole || !conversation.historyDone;
}

/** The run around this message ends before the newest one: something later is to be read first. */
export const isApart = (conversation: Conversation, around: number): boolean =>
  shownMessages(conversation, around).at(-1)?.conversationSeq !== shownMessages(conversation).at(-1)?.conversationSeq;
