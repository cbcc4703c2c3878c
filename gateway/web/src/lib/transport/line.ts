// One attempt with one transport: it greets in time, or it is over; and after a while it counts as
// one that works.

import type { ClientFrame, ServerFrame } from '../protocol';
import type { Listener, Transport, TransportName } from './transport';

/** From opening to `ready`. Nothing is left to fall back on from the last, so that may be slow. */
export const FIRST_FRAME_MS: Readonly<Record<TransportName, number>> = { websocket: 4_000, sse: 4_000, poll: 15_000 };
/** A connection that lived this long clears the memory of failures before it. */
const STABLE_MS = 5_000;
const SILENCE = 4408;
const LOST = 1006;

export interface LineEvents {
  frame(line: Line, frame: ServerFrame): void;
  ended(line: Line, code: number, atLeastMs: number): void;
  stable(line: Line): void;
}

export class Line {
  #transport: Transport | null = null;
  #over = false;
  #greeted = false;
  #stable = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly name: TransportName,
    private readonly events: LineEvents,
  ) {}

  get greeted(): boolean {
    return this.#greeted;
  }

  get ready(): boolean {
    return this.#greeted && !this.#over;
  }

  get stable(): boolean {
    return this.#stable;
  }

  /** `open` may throw. */
  start(open: (name: TransportName, listener: Listener) => Transport): void {
    this.#timer = setTimeout(() => this.#end(SILENCE, 0), FIRST_FRAME_MS[this.name]);
    try {
      this.#transport = open(this.name, {
        frame: (frame) => this.#heard(frame),
        ended: (code, atLeastMs = 0) => this.#end(code, atLeastMs),
      });
    } catch {
      return this.#end(LOST, 0);
    }
    if (this.#over) this.#transport.close();
  }

  send(frame: ClientFrame): boolean {
    return this.ready && this.#transport !== null && this.#transport.send(frame);
  }

  check(): void {
    this.#transport?.check();
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    clearTimeout(this.#timer);
    this.#transport?.close();
  }

  #heard(frame: ServerFrame): void {
    if (this.#over) return;
    if (frame.type === 'ready') {
      clearTimeout(this.#timer);
      this.#greeted = true;
      this.#timer = setTimeout(() => {
        this.#stable = true;
        this.events.stable(this);
      }, STABLE_MS);
    }
    this.events.frame(this, frame);
  }

  #end(code: number, atLeastMs: number): void {
    if (this.#over) return;
    this.close();
    this.events.ended(this, code, atLeastMs);
  }
}
