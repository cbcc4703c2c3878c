// Server-Sent Events: the frames of a socket over one long answer. What the page has to say goes
// by requests of its own.

import { ApiError, headersFor, readRefusal } from '../api/call';
import type { PresenceFrame, SyncPage } from '../api/talk';
import { closeCodeOf } from '../closes';
import { parseFrame } from '../frames';
import type { ClientFrame } from '../protocol';
import { EventStreamParser } from './event-stream';
import { PresencePoll } from './presence';
import type { Hello, Listener, Transport } from './transport';

/** The server breaks its silence every 20 s. */
export const SILENCE_MS = 45_000;
/** Silent for so long when the person comes back: not worth waiting for. */
const OVERDUE_MS = 25_000;
const PAGES_PAUSE_MS = 200;
const SILENCE = 4408;
const LOST = 1006;

export interface SseDeps {
  hello(): Hello;
  fetch(path: string, init: RequestInit): Promise<Response>;
  /** Messages and cursors, answered by frames. */
  command(frame: ClientFrame): boolean;
  /** A page of what came after `since`. */
  sync(since: string | undefined): Promise<SyncPage>;
  presence(userIds: readonly string[]): Promise<readonly PresenceFrame[]>;
  visible(): boolean;
}

export class SseTransport implements Transport {
  #abort = new AbortController();
  #heardAt = Date.now();
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  #syncing = false;
  readonly #people: PresencePoll;

  constructor(
    private readonly deps: SseDeps,
    private readonly listener: Listener,
  ) {
    const { presence, visible } = deps;
    this.#people = new PresencePoll({ presence, visible, onFrame: (frame) => listener.frame(frame) });
    this.#listen().catch((error: unknown) => {
      this.#end(LOST);
      throw error;
    });
  }

  send(frame: ClientFrame): boolean {
    if (this.#closed) return false;
    if (frame.type === 'sync') void this.#sync(frame);
    else if (frame.type === 'presence.watch') this.#people.watch(frame.userIds);
    else return this.deps.command(frame);
    return true;
  }

  check(): void {
    if (Date.now() - this.#heardAt > OVERDUE_MS) this.#end(SILENCE);
    this.#people.check();
  }

  close(): void {
    this.#people.close();
    clearTimeout(this.#watchdog);
    this.#abort.abort();
  }

  get #closed(): boolean {
    return this.#abort.signal.aborted;
  }

  async #listen(): Promise<void> {
    const { signal } = this.#abort;
    const { sessionToken, since } = this.deps.hello();
    const request: RequestInit = {
      headers: { ...headersFor(sessionToken, 'text/event-stream'), ...(since ? { 'Last-Event-ID': since } : {}) },
      cache: 'no-store',
      signal,
    };
    const response = await this.deps.fetch('v1/stream', request).catch(() => null);
    if (!response) return this.#end(LOST);
    if (!response.ok) {
      const refusal = await readRefusal(response);
      return this.#end(closeCodeOf(refusal), refusal.retryAfterMs);
    }
    // A proxy's own page is no stream.
    if (!response.body || !/^text\/event-stream\b/i.test(response.headers.get('Content-Type') ?? '')) return this.#end(LOST);
    await this.#read(response.body.getReader());
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const parser = new EventStreamParser();
    // The parser takes away the byte order mark.
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    for (;;) {
      this.#alive();
      const piece = await reader.read().catch(() => null);
      if (!piece || piece.done) return this.#end(LOST, parser.retryMs);
      for (const event of parser.push(decoder.decode(piece.value, { stream: true }))) {
        const frame = parseFrame(event.data);
        if (frame && !this.#closed) this.listener.frame(frame);
      }
    }
  }

  /** Events jumped: the pages in between are asked for beside the stream. */
  async #sync({ ref, since }: Extract<ClientFrame, { type: 'sync' }>): Promise<void> {
    if (this.#syncing) return;
    this.#syncing = true;
    try {
      for (let token = since, more = true; more; ) {
        const page = await this.deps.sync(token);
        if (this.#closed) return;
        this.listener.frame(page);
        ({ token, more } = page);
        if (!more) this.listener.frame({ type: 'caughtUp', token: page.token });
        else if (page.conversations.length === 0) await new Promise((later) => setTimeout(later, PAGES_PAUSE_MS));
      }
    } catch (error) {
      if (this.#closed) return;
      const { code, message, retryAfterMs } = error instanceof ApiError ? error : new ApiError(0, 'network', '');
      this.listener.frame({ type: 'error', ref, code, message, retryAfterMs });
    } finally {
      this.#syncing = false;
    }
  }

  #alive(): void {
    this.#heardAt = Date.now();
    clearTimeout(this.#watchdog);
    if (!this.#closed) this.#watchdog = setTimeout(() => this.#end(SILENCE), SILENCE_MS);
  }

  #end(code: number, atLeastMs?: number): void {
    if (this.#closed) return;
    this.close();
    this.listener.ended(code, atLeastMs);
  }
}
