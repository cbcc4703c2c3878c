// The wire contract as this page sees it: shapes and names. `reading.ts` makes them of JSON.

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
  /** of one's own that is on its way, how far: 0 to 1 */
  readonly progress?: number;
}
export type Body =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'attachment'; readonly text?: string; readonly attachments: readonly Attachment[] }
  | CardBody
  | { readonly kind: 'system'; readonly text: string }
  | { readonly kind: 'encrypted'; readonly scheme: string }
  | { readonly kind: 'unknown'; readonly of: string };

const CARDS: readonly string[] = ['listing', 'order', 'shipment', 'return'] satisfies CardBody['kind'][];
export const isCard = (body: Body | null): body is CardBody => body !== null && CARDS.includes(body.kind);

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
  /** a backend service sent it in the sender's name */
  readonly byService?: boolean;
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
  /** how long the other takes to answer people */
  readonly peerResponseSeconds?: number;
  readonly muted: boolean;
  /** muted, but not for ever */
  readonly mutedUntil?: string;
  readonly pinned: boolean;
  readonly archived: boolean;
  readonly draft?: string;
  readonly blockedByMe: boolean;
  readonly canSend: boolean;
  readonly timerSeconds: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface Device {
  readonly deviceId: string;
  readonly platform: string;
  readonly registeredAt: string;
}

export type ChannelName = 'email' | 'sms' | 'webpush' | 'webhook';

export interface Endpoint {
  readonly endpointId: string;
  readonly channel: string;
  /** the address as a person writes it; of a browser, the address of its push service */
  readonly address: string;
  readonly state: string;
}

/** What the person put on a conversation. */
export interface Mark {
  readonly conversationId: string;
  readonly muted: boolean;
  readonly mutedUntil?: string;
  readonly pinned: boolean;
  readonly archivedThroughSeq?: number;
  /** of a reader of a channel, whose cursor is not in its log */
  readonly readThroughSeq?: number;
  readonly draft?: string;
  readonly draftSavedAt?: string;
}

/** What only the person's own devices know. A part that is not there has not been told yet. */
export interface Account {
  readonly version?: number;
  readonly settings?: Json;
  readonly contacts?: readonly string[];
  readonly endpoints?: readonly Endpoint[];
  readonly devices?: readonly Device[];
}

export interface LogEvent {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly version: number;
  readonly actor: string;
  /** the device whose command it was */
  readonly device?: string;
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
      readonly account?: Account;
      /** Of the account: those that changed. */
      readonly marks?: readonly Mark[];
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

