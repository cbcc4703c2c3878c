// One request of the contract. Every call carries the bearer token: the cookie belongs to whoever signed
// in last in this browser, which need not be the user of this tab. Paths are relative, so that the
// page also works below a path of somebody else's site.

import { isCount, isRecord, text } from '../guards';

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

export async function call(
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

export const id = encodeURIComponent;
export const unexpected = (): ApiError => new ApiError(502, 'unexpected_answer', 'The server gave an unexpected answer.');
