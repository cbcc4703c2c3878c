// Exponential backoff with full jitter: anything between nothing and the bound is as likely, so
// that many clients cut off together do not come back together.

export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

export const RECONNECT: Backoff = { baseMs: 500, capMs: 30_000 };
export const RESEND: Backoff = { baseMs: 1_000, capMs: 20_000 };

/** `attempt` counts from 0; `random` gives [0, 1). */
export function delayMs({ baseMs, capMs }: Backoff, attempt: number, random: () => number): number {
  return Math.floor(random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30)));
}
