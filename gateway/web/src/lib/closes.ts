// What a close code asks of the client. 44xx other than 4408, 4409 and 4429: do not come back
// unchanged. Everything else: come back, with patience.

import type { ApiError } from './api/call';

export type Ending =
  /** the session is over */
  | 'signed-out'
  /** this device was unlinked, or the page's origin is not allowed */
  | 'refused'
  /** this page spoke wrongly: a newer one may not */
  | 'outdated';

export type AfterClose =
  | { readonly do: 'reconnect'; readonly atLeastMs: number }
  | { readonly do: 'renew' }
  | { readonly do: 'end'; readonly ending: Ending };

const FLOODING_PAUSE_MS = 5_000;

export function afterClose(code: number): AfterClose {
  switch (code) {
    case 4401:
      return { do: 'renew' };
    case 4403:
      return { do: 'end', ending: 'refused' };
    case 4408:
    case 4409:
      return { do: 'reconnect', atLeastMs: 0 };
    case 4429:
      return { do: 'reconnect', atLeastMs: FLOODING_PAUSE_MS };
    default:
      return code >= 4400 && code < 4500 ? { do: 'end', ending: 'outdated' } : { do: 'reconnect', atLeastMs: 0 };
  }
}

/** An answer over HTTP that is no success, in the words of a close code; only the server's own count. */
export function closeCodeOf({ status, code }: ApiError): number {
  if (status === 401 && code === 'unauthenticated') return 4401;
  if (status === 403 && code === 'forbidden') return 4403;
  if (status === 429) return 4429;
  if (status === 503 && code === 'unavailable') return 4503;
  return 1006;
}
