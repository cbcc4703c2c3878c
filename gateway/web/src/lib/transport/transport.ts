// What carries frames between this page and the server. Three ways, best first; whichever it is,
// the same frames come out of it, so that nothing above needs to know.

import type { ClientFrame, ServerFrame } from '../protocol';

export const TRANSPORTS = ['websocket', 'sse', 'poll'] as const;
export type TransportName = (typeof TRANSPORTS)[number];

export type Hello = Extract<ClientFrame, { type: 'hello' }>;

export interface Listener {
  frame(frame: ServerFrame): void;
  /**
   * It is over, at most once and never after `close`: in the words of a close code (closes.ts),
   * whatever the transport; 1006 and 4408 (silence) may be the transport's own fault.
   */
  ended(code: number, atLeastMs?: number): void;
}

export interface Transport {
  /** False: it cannot carry this now, or not at all. */
  send(frame: ClientFrame): boolean;
  /** The person came back to the page: see whether it still lives. */
  check(): void;
  /** Be quiet from now on. */
  close(): void;
}
