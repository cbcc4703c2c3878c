// HTTP of the contract. Every call carries the bearer token: the cookie belongs to whoever signed
// in last in this browser, which need not be the user of this tab. Paths are relative, so that the
// page also works below a path of somebody else's site.

import { isCount, isRecord, text } from './guards';
import { toPresence, toSync } from './frames';
import { toMessages, toSummary, type Json, type Message, type ServerFrame, type Summary } from './protocol';

export class ApiError extends Error {
  constructor(
    /** 0: no answer came */
    readonly status: number,
    readonly code: string,
    message: string,
    /** Worth trying again after this long; 0: not said */
    readonly retryAfterMs = 0,
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

export interface Session {
  readonly userId: string;
  readonly deviceId: string;
  readonly websocketUrl: string;
  readonly sessionToken: string;
  readonly expiresAt: string;
}

const TIMEOUT_MS = 15_000;

export const headersFor = (bearer: string | null, accept = 'application/json'): Record<string, string> => ({
  Accept: accept,
  ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}),
});

/** What an answer that is no success says; a proxy's own page has no code of the contract. */
export async function readRefusal(response: Response): Promise<ApiError> {
  const answer: unknown = await response.json().catch(() => null);
  const problem = isRecord(answer) ? answer : {};
  const said = text(problem.detail) ?? text(problem.title) ?? `The server answered ${response.status}.`;
  const after = Number(response.headers.get('Retry-After') ?? 0) * 1000;
  const retryAfterMs = isCount(problem.retryAfterMs) ? problem.retryAfterMs : isCount(after) ? after : 0;
  return new ApiError(response.status, text(problem.code) ?? `http_${response.status}`, said, retryAfterMs);
}

async function call(
  method: string,
  path: string,
  bearer: string | null,
  body?: unknown,
  signal: AbortSignal = AbortSignal.timeout(TIMEOUT_MS),
): Promise<Record<string, unknown>> {
  const json: Record<string, string> = body === undefined ? {} : { 'Content-Type': 'application/json' };
  const headers = { ...headersFor(bearer), ...json };
  try {
    const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
    if (!response.ok) throw await readRefusal(response);
    const answer: unknown = await response.json();
    return isRecord(answer) ? answer : {};
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError(0, 'network', 'The server cannot be reached.');
  }
}

const id = encodeURIComponent;
const unexpected = (): ApiError => new ApiError(502, 'unexpected_answer', 'The server gave an unexpected answer.');

export async function devToken(userId: string): Promise<string> {
  const { token } = await call('POST', 'dev/token', null, { userId });
  if (typeof token !== 'string') throw unexpected();
  return token;
}

export async function bootstrap(accessToken: string, deviceId: string): Promise<Session> {
  const answer = await call('POST', 'v1/sessions/bootstrap', accessToken, { deviceId, platform: 'web' });
  const userId = text(answer.userId);
  const sessionToken = text(answer.sessionToken);
  if (!userId || !sessionToken) throw unexpected();
  return {
    userId,
    sessionToken,
    deviceId: text(answer.deviceId) ?? deviceId,
    websocketUrl: text(answer.websocketUrl) ?? 'v1/connect',
    expiresAt: text(answer.expiresAt) ?? '',
  };
}

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
  readonly done: boolean;
}

export async function getHistory(bearer: string, conversationId: string, beforeSeq: number, limit: number): Promise<HistoryPage> {
  const path = `v1/conversations/${id(conversationId)}/messages?beforeSeq=${beforeSeq}&limit=${limit}`;
  const answer = await call('GET', path, bearer);
  const messages = toMessages(answer.messages);
  // An empty page that promises more would be asked for for ever.
  return { messages, done: !isCount(answer.nextBeforeSeq) || messages.length === 0 };
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
