// The wire contract as this page sees it: shapes, and guards that turn untrusted JSON into them.
// What a guard does not know it drops (null), so a newer server cannot break an older page.

import { isRecord, isCount, text } from './guards';

export type Json = Readonly<Record<string, unknown>>;

export interface CardBody {
  readonly kind: 'listing' | 'order' | 'shipment' | 'return';
  readonly refId: string;
  readonly title: string;
  readonly url?: string;
  readonly imageUrl?: string;
  readonly priceMinor?: number;
  readonly currency?: string;
  readonly state?: string;
  readonly text?: string;
}
export interface Attachment {
  readonly attachmentId: string;
  readonly fileName?: string;
  readonly contentType?: string;
  readonly sizeBytes?: number;
}
export type Body =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'attachment'; readonly text?: string; readonly attachments: readonly Attachment[] }
  | CardBody
  | { readonly kind: 'system'; readonly text: string }
  | { readonly kind: 'encrypted'; readonly scheme: string }
  | { readonly kind: 'unknown'; readonly of: string };

/** emoji → the users who chose it */
export type Reactions = Readonly<Record<string, readonly string[]>>;

export interface Message {
  readonly conversationId: string;
  readonly conversationSeq: number;
  readonly messageId: string;
  readonly clientMessageId: string;
  readonly senderId: string;
  /** null once deleted or expired; the message keeps its place */
  readonly body: Body | null;
  readonly createdAt: string;
  readonly version: number;
  readonly replyTo?: number;
  readonly editedAt?: string;
  readonly deletedAt?: string;
  readonly expiresAt?: string;
  readonly reactions?: Reactions;
}

export interface Member {
  readonly userId: string;
  readonly role?: string;
}

export interface Summary {
  readonly conversationId: string;
  readonly kind: string;
  readonly title?: string;
  readonly memberCount: number;
  readonly members?: readonly Member[];
  readonly lastSeq: number;
  readonly version: number;
  readonly lastMessage?: Message;
  readonly unread: number;
  readonly readSeq: number;
  readonly deliveredSeq: number;
  readonly peerReadSeq?: number;
  readonly peerDeliveredSeq?: number;
  readonly muted: boolean;
  readonly pinned: boolean;
  readonly archived: boolean;
  readonly draft?: string;
  readonly blockedByMe: boolean;
  readonly canSend: boolean;
  readonly timerSeconds: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface LogEvent {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly version: number;
  readonly actor: string;
  readonly data: Json;
}

export interface SyncItem {
  readonly conversation: Summary;
  readonly messages: readonly Message[];
}

export type ServerFrame =
  | { readonly type: 'ready'; readonly userId: string; readonly deviceId: string; readonly heartbeatSeconds: number }
  | {
      readonly type: 'sync';
      readonly token: string;
      readonly more: boolean;
      readonly conversations: readonly SyncItem[];
      readonly account?: Json;
    }
  | { readonly type: 'caughtUp'; readonly token: string }
  | { readonly type: 'event'; readonly event: LogEvent }
  | {
      readonly type: 'message.ack';
      readonly ref?: string;
      readonly clientMessageId: string;
      readonly messageId: string;
      readonly conversationId: string;
      readonly conversationSeq: number;
      readonly version: number;
    }
  | { readonly type: 'ack'; readonly ref?: string; readonly version?: number }
  | {
      readonly type: 'error';
      readonly ref?: string;
      readonly code: string;
      readonly message: string;
      readonly retryAfterMs: number;
    }
  | { readonly type: 'typing'; readonly conversationId: string; readonly userId: string; readonly typing: boolean }
  | { readonly type: 'presence'; readonly userId: string; readonly state: 'online' | 'offline'; readonly lastSeenAt?: string }
  | { readonly type: 'token'; readonly token: string }
  | { readonly type: 'draining'; readonly reconnectAfterMs: number }
  | { readonly type: 'pong' };

export type ClientFrame =
  | { type: 'hello'; sessionToken: string; deviceId: string; since?: string }
  | { type: 'message.send'; ref: string; conversationId: string; clientMessageId: string; body: Json; replyTo?: number }
  | { type: 'cursor.read' | 'cursor.delivered'; ref: string; conversationId: string; throughSeq: number }
  | { type: 'typing'; conversationId: string; typing: boolean }
  | { type: 'presence.watch'; userIds: readonly string[] }
  | { type: 'sync'; ref: string; since?: string }
  | { type: 'ping' };

export const MAX_TEXT_CHARACTERS = 4096;

/** Characters as the server counts them: code points after NFC. */
export function countCharacters(value: string): number {
  let count = 0;
  for (const _ of value.normalize('NFC')) count += 1;
  return count;
}

export const isUserId = (value: string): boolean => /^[A-Za-z0-9_-]{1,64}$/.test(value);

/** The id of a direct conversation names both people, in byte order. */
export function directMembers(conversationId: string): readonly [string, string] | null {
  const parts = conversationId.split('.');
  const [prefix, lo, hi] = parts;
  if (parts.length !== 3 || prefix !== 'd' || !lo || !hi) return null;
  return isUserId(lo) && isUserId(hi) && lo < hi ? [lo, hi] : null;
}

export function toBody(value: unknown): Body | null {
  if (!isRecord(value)) return null;
  const kind = text(value.kind) ?? '';
  switch (kind) {
    case 'text':
    case 'system':
      return typeof value.text === 'string' ? { kind, text: value.text } : { kind: 'unknown', of: kind };
    case 'attachment': {
      const listed = Array.isArray(value.attachments) ? value.attachments : [];
      const attachments = listed.filter(isRecord).map((one) => ({
        attachmentId: text(one.attachmentId) ?? '',
        fileName: text(one.fileName),
        contentType: text(one.contentType),
        sizeBytes: isCount(one.sizeBytes) ? one.sizeBytes : undefined,
      }));
      return { kind, text: text(value.text), attachments };
    }
    case 'listing':
    case 'order':
    case 'shipment':
    case 'return':
      return {
        kind,
        refId: text(value.refId) ?? '',
        title: text(value.title) ?? '',
        url: text(value.url),
        imageUrl: text(value.imageUrl),
        priceMinor: typeof value.priceMinor === 'number' ? value.priceMinor : undefined,
        currency: text(value.currency),
        state: text(value.state),
        text: text(value.text),
      };
    case 'encrypted':
      return { kind, scheme: text(value.scheme) ?? '' };
    default:
      return { kind: 'unknown', of: kind };
  }
}

/** The contract leaves the shape of `reactions` open: a map of lists and a list of objects are both read. */
function toReactions(value: unknown): Reactions | undefined {
  const found: Record<string, string[]> = {};
  const add = (emoji: string | undefined, users: unknown): void => {
    if (!emoji) return;
    const list = Array.isArray(users) ? users.filter((user) => typeof user === 'string') : [];
    const into = (found[emoji] ??= []);
    for (const user of list) if (!into.includes(user)) into.push(user);
  };
  if (Array.isArray(value)) {
    for (const one of value.filter(isRecord)) add(text(one.emoji), one.userIds ?? one.users ?? [one.userId]);
  } else if (isRecord(value)) {
    for (const [emoji, users] of Object.entries(value)) add(emoji, users);
  }
  const kept = Object.entries(found).filter(([, users]) => users.length > 0);
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}

export function toMessage(value: unknown): Message | null {
  if (!isRecord(value)) return null;
  const conversationId = text(value.conversationId);
  const senderId = text(value.senderId);
  if (!conversationId || !senderId || !isCount(value.conversationSeq)) return null;
  return {
    conversationId,
    conversationSeq: value.conversationSeq,
    messageId: text(value.messageId) ?? '',
    clientMessageId: text(value.clientMessageId) ?? '',
    senderId,
    body: toBody(value.body),
    createdAt: text(value.createdAt) ?? '',
    version: isCount(value.version) ? value.version : 0,
    replyTo: isCount(value.replyTo) ? value.replyTo : undefined,
    editedAt: text(value.editedAt),
    deletedAt: text(value.deletedAt),
    expiresAt: text(value.expiresAt),
    reactions: toReactions(value.reactions),
  };
}

export const toMessages = (value: unknown): Message[] =>
  Array.isArray(value) ? value.map(toMessage).filter((message) => message !== null) : [];

function toMembers(value: unknown): readonly Member[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value
    .map((one): Member | null =>
      typeof one === 'string'
        ? { userId: one }
        : isRecord(one) && typeof one.userId === 'string'
          ? { userId: one.userId, role: text(one.role) }
          : null,
    )
    .filter((member) => member !== null);
}

export function toSummary(value: unknown): Summary | null {
  if (!isRecord(value)) return null;
  const conversationId = text(value.conversationId);
  if (!conversationId || !isCount(value.lastSeq) || !isCount(value.version)) return null;
  const members = toMembers(value.members);
  const number = (key: string): number => (isCount(value[key]) ? value[key] : 0);
  const createdAt = text(value.createdAt) ?? '';
  return {
    conversationId,
    kind: text(value.kind) ?? '',
    title: text(value.title),
    memberCount: isCount(value.memberCount) ? value.memberCount : (members?.length ?? 0),
    members,
    lastSeq: value.lastSeq,
    version: value.version,
    lastMessage: toMessage(value.lastMessage) ?? undefined,
    unread: number('unread'),
    readSeq: number('readSeq'),
    deliveredSeq: number('deliveredSeq'),
    peerReadSeq: isCount(value.peerReadSeq) ? value.peerReadSeq : undefined,
    peerDeliveredSeq: isCount(value.peerDeliveredSeq) ? value.peerDeliveredSeq : undefined,
    muted: value.muted === true,
    pinned: value.pinned === true,
    archived: value.archived === true,
    draft: text(value.draft),
    blockedByMe: value.blockedByMe === true,
    canSend: value.canSend !== false,
    timerSeconds: number('timerSeconds'),
    createdAt,
    updatedAt: text(value.updatedAt) ?? createdAt,
  };
}

export function toEvent(value: unknown): LogEvent | null {
  if (!isRecord(value)) return null;
  const type = text(value.type);
  const subject = text(value.subject);
  if (!type || !subject || !isCount(value.version) || value.version < 1) return null;
  return {
    id: text(value.id) ?? '',
    type,
    subject,
    time: text(value.time) ?? '',
    version: value.version,
    actor: text(value.actor) ?? '',
    data: isRecord(value.data) ? value.data : {},
  };
}
