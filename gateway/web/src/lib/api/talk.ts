// Conversations as everybody in them sees them: messages, history, cursors, sync.

import { toPresence, toSync } from '../frames';
import { isCount, isRecord, text } from '../guards';
import type { Json, Message, ServerFrame, Summary } from '../protocol';
import { toMessages, toSummary } from '../reading';
import { ApiError, call, id, unexpected } from './call';

export async function createDirect(bearer: string, participantIds: readonly string[]): Promise<string> {
  const { conversationId } = await call('POST', 'v1/conversations/direct', bearer, { participantIds });
  if (typeof conversationId !== 'string') throw unexpected();
  return conversationId;
}

export async function getSummary(bearer: string, conversationId: string): Promise<Summary> {
  const summary = toSummary(await call('GET', `v1/conversations/${id(conversationId)}`, bearer));
  if (!summary) throw unexpected();
  return summary;
}

export interface HistoryPage {
  readonly messages: readonly Message[];
  /** Nothing older exists. */
  readonly done: boolean;
}

export type HistoryPlace = { readonly before: number } | { readonly after: number };

/** The page that ends before a message, or begins after it. */
export async function getHistory(bearer: string, conversationId: string, place: HistoryPlace, limit: number): Promise<HistoryPage> {
  const where = 'before' in place ? `beforeSeq=${place.before}` : `afterSeq=${place.after}`;
  const answer = await call('GET', `v1/conversations/${id(conversationId)}/messages?${where}&limit=${limit}`, bearer);
  const messages = toMessages(answer.messages);
  // An empty page that promises more would be asked for for ever.
  return { messages, done: 'before' in place && (!isCount(answer.nextBeforeSeq) || messages.length === 0) };
}

export interface Accepted {
  readonly messageId: string;
  readonly conversationSeq: number;
  readonly version: number;
}

export interface Outgoing {
  readonly clientMessageId: string;
  readonly body: Json;
  readonly replyTo?: number;
}

export async function postMessage(bearer: string, conversationId: string, message: Outgoing): Promise<Accepted> {
  const { messageId, conversationSeq, version } = await call('POST', `v1/conversations/${id(conversationId)}/messages`, bearer, message);
  if (!isCount(conversationSeq)) throw unexpected();
  return { messageId: text(messageId) ?? '', conversationSeq, version: isCount(version) ? version : 0 };
}

export async function postCursor(bearer: string, conversationId: string, which: 'read' | 'delivered', throughSeq: number): Promise<void> {
  const [path, body] =
    which === 'read'
      ? (['read-cursors', { readThroughSeq: throughSeq }] as const)
      : (['delivery-cursors', { deliveredThroughSeq: throughSeq }] as const);
  await call('POST', `v1/conversations/${id(conversationId)}/${path}`, bearer, body);
}

export type PresenceFrame = Extract<ServerFrame, { type: 'presence' }>;

/** Of those whom the caller may see. */
export async function getPresence(bearer: string, userIds: readonly string[]): Promise<readonly PresenceFrame[]> {
  const { presence } = await call('GET', `v1/presence?userIds=${userIds.map(id).join(',')}`, bearer);
  return (Array.isArray(presence) ? presence : []).map((one) => toPresence(isRecord(one) ? one : {})).filter((one) => one !== null);
}

export type SyncPage = Extract<ServerFrame, { type: 'sync' }>;

export interface SyncQuery {
  readonly since?: string;
  readonly waitSeconds?: number;
  readonly limit?: number;
}

export async function getSync(bearer: string, { since, waitSeconds, limit }: SyncQuery, signal?: AbortSignal): Promise<SyncPage> {
  const query = new URLSearchParams();
  if (since) query.set('since', since);
  if (waitSeconds) query.set('wait', String(waitSeconds));
  if (limit) query.set('limit', String(limit));
  const page = toSync(await call('GET', `v1/sync?${query}`, bearer, undefined, signal));
  // Without a position there is no going on.
  if (!page.token) throw unexpected();
  return page;
}

/** Whether the server itself answers plain HTTP, be it with a refusal. */
export async function isThere(bearer: string, since: string | undefined, withinMs: number): Promise<boolean> {
  try {
    await getSync(bearer, { since, limit: 1 }, AbortSignal.timeout(withinMs));
    return true;
  } catch (error) {
    return error instanceof ApiError && error.status >= 400 && error.status < 500 && !error.code.startsWith('http_');
  }
}

const path = (conversationId: string, rest: string): string => `v1/conversations/${id(conversationId)}/${rest}`;

export async function editMessage(bearer: string, conversationId: string, seq: number, body: Json): Promise<void> {
  await call('PATCH', path(conversationId, `messages/${seq}`), bearer, { body });
}

export async function deleteMessage(bearer: string, conversationId: string, seq: number): Promise<void> {
  await call('DELETE', path(conversationId, `messages/${seq}`), bearer);
}

export async function react(bearer: string, conversationId: string, seq: number, emoji: string, on: boolean): Promise<void> {
  await call(on ? 'PUT' : 'DELETE', path(conversationId, `messages/${seq}/reactions/${id(emoji)}`), bearer);
}

export interface Receipts {
  readonly readBy: readonly string[];
  readonly deliveredTo: readonly string[];
  /** the sender counts */
  readonly members: number;
}

export async function getReceipts(bearer: string, conversationId: string, seq: number): Promise<Receipts> {
  const answer = await call('GET', path(conversationId, `receipts/${seq}`), bearer);
  const people = (value: unknown): readonly string[] =>
    Array.isArray(value) ? value.filter(isRecord).flatMap((one) => text(one.userId) ?? []) : [];
  return { readBy: people(answer.readBy), deliveredTo: people(answer.deliveredTo), members: isCount(answer.members) ? answer.members : 0 };
}
