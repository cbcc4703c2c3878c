// Messages by what they say.

import { isRecord, text } from '../guards';
import type { Message } from '../protocol';
import { toMessage } from '../reading';
import { call } from './call';

export interface Hit {
  readonly message: Message;
  /** plain text around what was found */
  readonly snippet: string;
}

export interface SearchPage {
  /** May be empty although there is more: then not everything was looked at yet. */
  readonly hits: readonly Hit[];
  readonly nextCursor?: string;
}

export interface SearchQuery {
  readonly q: string;
  /** only there */
  readonly conversationId?: string;
  readonly cursor?: string;
}

const TIMEOUT_MS = 15_000;

export async function searchMessages(bearer: string, { q, conversationId, cursor }: SearchQuery, signal: AbortSignal): Promise<SearchPage> {
  const query = new URLSearchParams({ q });
  if (conversationId) query.set('conversationId', conversationId);
  if (cursor) query.set('cursor', cursor);
  const answer = await call('GET', `v1/search?${query}`, bearer, undefined, AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]));
  const hits = (Array.isArray(answer.hits) ? answer.hits : []).filter(isRecord).flatMap((one): Hit[] => {
    const message = toMessage(one.message);
    return message ? [{ message, snippet: text(one.snippet) ?? '' }] : [];
  });
  return { hits, nextCursor: text(answer.nextCursor) };
}
