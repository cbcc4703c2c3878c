// What the log of a conversation shows, top to bottom: days, the line above the unread, bubbles.
// Stored messages and those still in the outbox become one kind of row.

import { dayKey, dayLabel, hasExpired, sameDay } from './format';
import { bodyOf, type OutboxItem } from './outbox';
import type { Body, Message, Reactions } from './protocol';
import { shownMessages } from './store/messages';
import { tickOf } from './store/select';
import type { Conversation } from './store/state';

export type BubbleState = 'sending' | 'sent' | 'delivered' | 'read' | 'failed' | 'received';

export interface Bubble {
  readonly kind: 'bubble';
  readonly key: string;
  readonly mine: boolean;
  readonly senderId: string;
  readonly seq?: number;
  readonly clientMessageId: string;
  readonly at: string;
  readonly body: Body | null;
  readonly state: BubbleState;
  readonly problem?: string;
  readonly deletedAt?: string;
  readonly editedAt?: string;
  readonly expiresAt?: string;
  readonly replyTo?: number;
  readonly byService?: boolean;
  readonly reactions?: Reactions;
  /** first and last of a group: the same person within a few minutes */
  readonly first: boolean;
  readonly last: boolean;
}

export type Row = Bubble | { readonly kind: 'unread'; readonly key: string };

export interface Day {
  readonly key: string;
  readonly label: string;
  readonly at: string;
  readonly rows: readonly Row[];
}

const GROUP_MS = 5 * 60_000;

export interface DaysInput {
  readonly conversation: Conversation;
  readonly outbox: readonly OutboxItem[];
  readonly me: string;
  readonly now: Date;
  /** My read cursor when the conversation was opened with something unread: the line is drawn after it. */
  readonly lineAfter: number | null;
  /** The log at this message, apart from the newest ones. */
  readonly around?: number;
}

export function daysOf({ conversation, outbox, me, now, lineAfter, around }: DaysInput): readonly Day[] {
  const bubbles = [
    // What has disappeared leaves nothing behind; what was taken back leaves a word.
    ...shownMessages(conversation, around).filter((message) => message.body || !hasExpired(message)).map((message) => stored(message, conversation, me)),
    ...(around === undefined ? waiting(conversation, outbox, me) : []),
  ];
  const days: (Day & { rows: Row[] })[] = [];
  let rows: Row[] = [];
  const used = new Set<string>();
  let line = false;
  bubbles.forEach((bubble, index) => {
    const before = bubbles[index - 1];
    const after = bubbles[index + 1];
    const newDay = !before || !sameDay(before.at, bubble.at);
    if (newDay) {
      rows = [];
      // A clock set back may bring a day twice.
      const again = days.filter((day) => sameDay(day.at, bubble.at)).length;
      days.push({ key: `${dayKey(bubble.at)} ${again}`, label: dayLabel(bubble.at, now), at: bubble.at, rows });
    }
    const unread = !line && lineAfter !== null && !bubble.mine && (bubble.seq ?? 0) > lineAfter && (before?.seq ?? 0) <= lineAfter;
    if (unread) {
      line = true;
      rows.push({ kind: 'unread', key: 'unread' });
    }
    // One's own client ids may come again after a thousand messages; the number never does.
    const key = used.has(bubble.key) ? `m ${bubble.seq}` : bubble.key;
    used.add(key);
    rows.push({
      ...bubble,
      key,
      first: newDay || unread || !together(before, bubble),
      last: !after || !sameDay(bubble.at, after.at) || !together(bubble, after),
    });
  });
  return days;
}

const isNote = (bubble: Bubble): boolean => bubble.body?.kind === 'system';

const together = (a: Bubble, b: Bubble): boolean =>
  a.senderId === b.senderId && !isNote(a) && !isNote(b) && Date.parse(b.at) - Date.parse(a.at) < GROUP_MS;

function stored(message: Message, conversation: Conversation, me: string): Bubble {
  const mine = message.senderId === me;
  const seq = message.conversationSeq;
  return {
    kind: 'bubble',
    // The bubble of the outbox and the stored one are one element, so that nothing jumps.
    key: mine ? `c ${message.clientMessageId}` : `m ${seq}`,
    mine,
    senderId: message.senderId,
    seq,
    clientMessageId: message.clientMessageId,
    at: message.createdAt,
    body: message.body,
    state: mine ? tickOf(conversation, seq) : 'received',
    deletedAt: message.deletedAt,
    editedAt: message.editedAt,
    expiresAt: message.expiresAt,
    replyTo: message.replyTo,
    byService: message.byService,
    reactions: message.reactions,
    first: true,
    last: true,
  };
}

/** Acknowledged ones in their order, then what waits; one that the log shows already is left out. */
function waiting(conversation: Conversation, outbox: readonly OutboxItem[], me: string): readonly Bubble[] {
  const { conversationId } = conversation.summary;
  const held = new Set(conversation.messages.filter((one) => one.senderId === me).map((one) => one.clientMessageId));
  const items = outbox.filter((item) => item.conversationId === conversationId && !held.has(item.clientMessageId));
  return [...items]
    .sort((a, b) => (a.conversationSeq ?? Infinity) - (b.conversationSeq ?? Infinity) || 0)
    .map((item) => ({
      kind: 'bubble',
      key: `c ${item.clientMessageId}`,
      mine: true,
      senderId: me,
      seq: item.conversationSeq,
      clientMessageId: item.clientMessageId,
      at: item.createdAt,
      body: bodyOf(item),
      state: item.state,
      problem: item.problem,
      replyTo: item.replyTo,
      first: true,
      last: true,
    }));
}
