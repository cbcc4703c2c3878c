// Untrusted JSON → the shapes of the contract. What a guard does not know it drops (null), so a newer
// server cannot break an older page.

import { isCount, isRecord, text } from './guards';
import type { Account, Attachment, Body, Device, Endpoint, LogEvent, Mark, Member, Message, Reactions, Summary } from './protocol';

export const toAttachments = (value: unknown): readonly Attachment[] =>
  (Array.isArray(value) ? value : []).filter(isRecord).map((one) => ({
    attachmentId: text(one.attachmentId) ?? '',
    fileName: text(one.fileName),
    contentType: text(one.contentType),
    sizeBytes: isCount(one.sizeBytes) ? one.sizeBytes : undefined,
  }));

export function toBody(value: unknown): Body | null {
  if (!isRecord(value)) return null;
  const kind = text(value.kind) ?? '';
  switch (kind) {
    case 'text':
    case 'system':
      return typeof value.text === 'string' ? { kind, text: value.text } : { kind: 'unknown', of: kind };
    case 'attachment': {
      return { kind, text: text(value.text), attachments: toAttachments(value.attachments) };
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
    byService: value.byService === true || undefined,
    reactions: toReactions(value.reactions),
  };
}

export const toMessages = (value: unknown): Message[] =>
  Array.isArray(value) ? value.map(toMessage).filter((message) => message !== null) : [];

export function toMembers(value: unknown): readonly Member[] | undefined {
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
    peerResponseSeconds: isCount(value.peerResponseSeconds) ? value.peerResponseSeconds : undefined,
    muted: value.muted === true,
    mutedUntil: value.muted === true ? text(value.mutedUntil) : undefined,
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
    device: text(value.device),
    data: isRecord(value.data) ? value.data : {},
  };
}

const listOf = <T>(value: unknown, read: (one: unknown) => T | null): readonly T[] | undefined =>
  Array.isArray(value) ? value.map(read).filter((one) => one !== null) : undefined;

export function toDevice(value: unknown): Device | null {
  if (!isRecord(value)) return null;
  const deviceId = text(value.deviceId);
  return deviceId ? { deviceId, platform: text(value.platform) ?? '', registeredAt: text(value.registeredAt) ?? '' } : null;
}

export function toEndpoint(value: unknown): Endpoint | null {
  if (!isRecord(value)) return null;
  const endpointId = text(value.endpointId);
  if (!endpointId) return null;
  return { endpointId, channel: text(value.channel) ?? '', address: toAddress(value.address), state: text(value.state) ?? 'pending' };
}

/** A plain string, or an object that holds one. */
function toAddress(value: unknown): string {
  if (!isRecord(value)) return text(value) ?? '';
  return text(value.email) ?? text(value.phone) ?? text(value.url) ?? text(value.endpoint) ?? '';
}

export const toContacts = (value: unknown): readonly string[] | undefined =>
  listOf(value, (one) => text(isRecord(one) ? one.userId : one) ?? null);

export function toMark(value: unknown): Mark | null {
  if (!isRecord(value)) return null;
  const conversationId = text(value.conversationId);
  if (!conversationId) return null;
  const count = (one: unknown): number | undefined => (isCount(one) ? one : undefined);
  return {
    conversationId,
    muted: value.muted === true,
    mutedUntil: text(value.mutedUntil),
    pinned: value.pinned === true,
    archivedThroughSeq: count(value.archivedThroughSeq),
    readThroughSeq: count(value.readThroughSeq),
    draft: text(value.draft),
    draftSavedAt: text(value.draftSavedAt),
  };
}

export const toMarks = (value: unknown): readonly Mark[] | undefined => listOf(value, toMark);

export const toAccount = (value: Record<string, unknown>): Account => ({
  version: isCount(value.version) ? value.version : undefined,
  settings: isRecord(value.settings) ? value.settings : undefined,
  contacts: toContacts(value.contacts),
  endpoints: listOf(value.endpoints, toEndpoint),
  devices: listOf(value.devices, toDevice),
});
