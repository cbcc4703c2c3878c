// What a page without a socket has to say, by a request each. The answers are put as the frames
// that a socket would have brought, so the outbox and the cursors need not know the difference.

import { ApiError } from '../api/call';
import type { Accepted, Outgoing } from '../api/talk';
import type { ClientFrame, ServerFrame } from '../protocol';

export interface CommandDeps {
  message(conversationId: string, message: Outgoing): Promise<Accepted>;
  cursor(conversationId: string, which: 'read' | 'delivered', throughSeq: number): Promise<void>;
  onFrame(frame: ServerFrame): void;
}

type Send = Extract<ClientFrame, { type: 'message.send' }>;

/**
 * They belong to the tab, not to a transport: one that is under way when the transport changes is
 * still answered.
 */
export class HttpCommands {
  #stopped = false;

  constructor(private readonly deps: CommandDeps) {}

  stop(): void {
    this.#stopped = true;
  }

  /** False: there is no request for this, or it is the transport's own. */
  send(frame: ClientFrame): boolean {
    if (this.#stopped) return false;
    switch (frame.type) {
      case 'message.send':
        void this.#answer(frame.ref, this.#message(frame));
        return true;
      case 'cursor.read':
      case 'cursor.delivered': {
        const { ref, conversationId, throughSeq } = frame;
        const done = this.deps.cursor(conversationId, frame.type === 'cursor.read' ? 'read' : 'delivered', throughSeq);
        void this.#answer(ref, done.then((): ServerFrame => ({ type: 'ack', ref })));
        return true;
      }
      case 'hello':
      case 'typing':
      case 'presence.watch':
      case 'sync':
      case 'ping':
        return false;
    }
  }

  async #message({ ref, conversationId, clientMessageId, body, replyTo }: Send): Promise<ServerFrame> {
    const accepted = await this.deps.message(conversationId, { clientMessageId, body, replyTo });
    return { type: 'message.ack', ref, clientMessageId, conversationId, ...accepted };
  }

  async #answer(ref: string, answer: Promise<ServerFrame>): Promise<void> {
    const frame = await answer.catch((error: unknown) => refusal(ref, error));
    if (!this.#stopped) this.deps.onFrame(frame);
  }
}

/** Only a refusal of the request itself is final; whatever else went wrong may go well next time. */
function refusal(ref: string, error: unknown): ServerFrame {
  const { status, code, message, retryAfterMs } = error instanceof ApiError ? error : new ApiError(0, 'unknown', String(error));
  const final = status >= 400 && status < 500 && ![401, 408, 425, 429].includes(status);
  return { type: 'error', ref, code: final ? code : 'unavailable', message, retryAfterMs: final ? 0 : retryAfterMs };
}
