// HTTP of the contract. Every call carries the bearer token: the cookie belongs to whoever signed
// in last in this browser, which need not be the user of this tab. Paths are relative, so that the
// page also works below a path of somebody else's site.

import { isCount, isRecord, text } from './guards';
import { toMessages, toSummary, type Message, type Summary } from './protocol';

export class ApiError extends Error {
  constructor(
    /** 0: no answer came */
    readonly status: number,
    readonly code: string,
    message: string,
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

async function call(method: string, path: string, bearer: string | null, body?: unknown): Promise<Record<string, unknown>> {
  let response: Response;
  let answer: unknown = null;
  try {
    response = await fetch(path, {
      method,
      headers: {
        Accept: 'application/json',
        ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    answer = await response.json().catch(() => null);
  } catch {
    throw new ApiError(0, 'network', 'The server cannot be reached.');
  }
  const record = isRecord(answer) ? answer : {};
  if (!response.ok) {
    const said = text(record.detail) ?? text(record.title);
    throw new ApiError(response.status, text(record.code) ?? `http_${response.status}`, said ?? `The server answered ${response.status}.`);
  }
  return record;
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
