// Reports how far messages have come and been read. Many in a row become one frame: the first
// starts a short clock, the last one counts.

import type { ClientFrame } from './protocol';

export const COALESCE_MS = 200;

interface Mark {
  delivered: number;
  read: number;
}

export class CursorReports {
  #pending = new Map<string, Mark>();
  #reported = new Map<string, Mark>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flights = new Map<string, { conversationId: string; mark: Mark }>();
  #refs = 0;

  constructor(private readonly send: (frame: ClientFrame) => boolean) {}

  delivered(conversationId: string, throughSeq: number): void {
    this.#note(conversationId, { delivered: throughSeq, read: 0 });
  }

  /** Read implies delivered. */
  read(conversationId: string, throughSeq: number): void {
    this.#note(conversationId, { delivered: throughSeq, read: throughSeq });
  }

  /** A new connection: what the last one swallowed is reported again when it is still true. */
  reset(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#pending.clear();
    this.#reported.clear();
    this.#flights.clear();
  }

  /** The answer to a report: one that the server could not take now is said again later. */
  answered(ref: string | undefined, retryAfterMs?: number): void {
    const flight = this.#flights.get(ref ?? '');
    if (!flight) return;
    this.#flights.delete(ref ?? '');
    if (retryAfterMs === undefined) return;
    this.#reported.delete(flight.conversationId);
    setTimeout(() => this.#note(flight.conversationId, flight.mark), retryAfterMs);
  }

  #note(conversationId: string, mark: Mark): void {
    const done = this.#reported.get(conversationId);
    if (done && mark.read <= done.read && mark.delivered <= done.delivered) return;
    this.#pending.set(conversationId, furthest(this.#pending.get(conversationId), mark));
    this.#timer ??= setTimeout(() => this.#flush(), COALESCE_MS);
  }

  #flush(): void {
    this.#timer = undefined;
    const marks = [...this.#pending];
    this.#pending.clear();
    for (const [conversationId, mark] of marks) {
      const read = mark.read > (this.#reported.get(conversationId)?.read ?? 0);
      // Beyond a read cursor that is still behind, both have to be said.
      if (read) this.#say('cursor.read', conversationId, mark.read);
      if (mark.delivered > mark.read || !read) this.#say('cursor.delivered', conversationId, mark.delivered);
    }
  }

  #say(type: 'cursor.read' | 'cursor.delivered', conversationId: string, throughSeq: number): void {
    const done = this.#reported.get(conversationId);
    const mark = { delivered: throughSeq, read: type === 'cursor.read' ? throughSeq : 0 };
    if (done && mark.read <= done.read && mark.delivered <= done.delivered) return;
    const ref = `cursor-${++this.#refs}`;
    if (!this.send({ type, ref, conversationId, throughSeq })) return;
    this.#reported.set(conversationId, furthest(done, mark));
    this.#flights.set(ref, { conversationId, mark });
  }
}

const furthest = (a: Mark | undefined, b: Mark): Mark => ({
  delivered: Math.max(a?.delivered ?? 0, b.delivered),
  read: Math.max(a?.read ?? 0, b.read),
});
