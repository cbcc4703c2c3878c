// The one socket of this tab: hello, heartbeat, and coming back. It knows frames, not what they
// mean for the state; the clock, randomness and the socket itself come from outside.

import { RECONNECT, delayMs } from './backoff';
import { afterClose, type Ending } from './closes';
import { parseFrame } from './frames';
import type { ClientFrame, ServerFrame } from './protocol';

export type LinkState = 'connecting' | 'online' | 'offline';

export interface Link {
  readonly state: LinkState;
  /** Not before this moment (ms since the epoch) will there be another attempt. */
  readonly retryAt?: number;
}

export interface ConnectionDeps {
  /** A new socket to the server; it may throw. */
  open(): WebSocket;
  /** The hello of this attempt; asked for when the socket is open. */
  hello(): ClientFrame;
  onLink(link: Link): void;
  onFrame(frame: ServerFrame): void;
  /** The session is not accepted any more: get another one, or say false. */
  renew(): Promise<boolean>;
  /** The end: it will not reconnect unless started anew. */
  onEnd(ending: Ending): void;
  random(): number;
}

/** From opening the socket to `ready`. */
const HANDSHAKE_MS = 10_000;
/** How long an answer to a ping may take. */
const SILENCE_MS = 10_000;
/** A connection that lived this long clears the memory of failures before it. */
const STABLE_MS = 5_000;
const OPEN = 1;

interface Timers {
  retry?: Timer;
  handshake?: Timer;
  ping?: Timer;
  silence?: Timer;
  stable?: Timer;
  drain?: Timer;
}
type Timer = ReturnType<typeof setTimeout>;

export class Connection {
  #socket: WebSocket | null = null;
  #running = false;
  #ready = false;
  #attempt = 0;
  #renewed = false;
  #netDown = false;
  #timers: Timers = {};

  constructor(private readonly deps: ConnectionDeps) {}

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#attempt = 0;
    this.#renewed = false;
    this.#connect();
  }

  stop(): void {
    this.#running = false;
    this.#drop();
    this.#clear('retry');
  }

  /** False: not ready for it; nothing was sent. */
  send(frame: ClientFrame): boolean {
    if (!this.#ready || this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** The browser says that the network went away or came back. */
  network(up: boolean): void {
    this.#netDown = !up;
    if (!this.#running) return;
    if (!up) {
      this.#drop();
      this.#retry(RECONNECT.capMs);
    } else if (!this.#socket) {
      this.#attempt = 0;
      this.#connect();
    }
  }

  /** The person came back to the page: try at once, or see whether it still lives. */
  nudge(): void {
    if (this.#ready) this.#ping();
    else if (!this.#netDown) this.retryNow();
  }

  retryNow(): void {
    if (this.#running && !this.#socket) this.#connect();
  }

  #connect(): void {
    this.#clear('retry');
    this.#drop();
    this.deps.onLink({ state: 'connecting' });
    let socket: WebSocket;
    try {
      socket = this.deps.open();
    } catch {
      this.#lost(1006);
      return;
    }
    this.#socket = socket;
    // A socket that was given up may still speak; only the present one is listened to.
    const current = (): boolean => this.#socket === socket;
    socket.onopen = () => current() && socket.send(JSON.stringify(this.deps.hello()));
    socket.onmessage = (message: MessageEvent) => current() && this.#heard(message.data);
    socket.onclose = (close: CloseEvent) => current() && this.#lost(close.code);
    this.#timers.handshake = setTimeout(() => this.#lost(1006), HANDSHAKE_MS);
  }

  #heard(raw: unknown): void {
    this.#clear('silence');
    const frame = parseFrame(raw);
    if (!frame) return;
    if (frame.type === 'ready') this.#greeted(frame.heartbeatSeconds * 1000);
    if (frame.type === 'draining') {
      // Stay while it lasts: what is in flight is still answered. Then move, at the moment given.
      this.#clear('drain');
      this.#timers.drain = setTimeout(() => this.#connect(), frame.reconnectAfterMs);
    }
    this.deps.onFrame(frame);
    if (frame.type === 'caughtUp' && this.#ready) {
      this.#renewed = false;
      this.deps.onLink({ state: 'online' });
    }
  }

  #greeted(heartbeatMs: number): void {
    this.#clear('handshake');
    this.#ready = true;
    const beat = (): void => {
      this.#ping();
      this.#timers.ping = setTimeout(beat, heartbeatMs);
    };
    this.#timers.ping = setTimeout(beat, heartbeatMs);
    this.#timers.stable = setTimeout(() => {
      this.#attempt = 0;
    }, STABLE_MS);
  }

  #ping(): void {
    if (!this.send({ type: 'ping' })) return;
    this.#timers.silence ??= setTimeout(() => this.#lost(4408), SILENCE_MS);
  }

  #lost(code: number): void {
    const draining = this.#timers.drain !== undefined;
    this.#drop(draining);
    if (!this.#running) return;
    const next = afterClose(code);
    if (next.do === 'renew' && !this.#renewed) {
      this.#renewed = true;
      void this.#renew();
    } else if (next.do === 'renew') {
      this.#end('signed-out');
    } else if (next.do === 'end') {
      this.#end(next.ending);
    } else if (!draining) {
      const bound = this.#netDown ? RECONNECT.capMs : Math.max(next.atLeastMs, delayMs(RECONNECT, this.#attempt, this.deps.random));
      this.#attempt += 1;
      this.#retry(bound);
    } else {
      this.deps.onLink({ state: 'connecting' });
    }
  }

  async #renew(): Promise<void> {
    this.deps.onLink({ state: 'connecting' });
    let renewed = false;
    try {
      renewed = await this.deps.renew();
    } catch {
      // The server could not be asked: that is no refusal, so the question stays open.
      this.#renewed = false;
      if (this.#running) this.#lost(1006);
      return;
    }
    if (!this.#running) return;
    if (renewed) this.#connect();
    else this.#end('signed-out');
  }

  #retry(afterMs: number): void {
    this.deps.onLink({ state: 'offline', retryAt: Date.now() + afterMs });
    this.#clear('retry');
    this.#timers.retry = setTimeout(() => this.#connect(), afterMs);
  }

  #end(ending: Ending): void {
    this.stop();
    this.deps.onLink({ state: 'offline' });
    this.deps.onEnd(ending);
  }

  #drop(keepDrain = false): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#ready = false;
    for (const name of ['handshake', 'ping', 'silence', 'stable'] as const) this.#clear(name);
    if (!keepDrain) this.#clear('drain');
    if (socket && socket.readyState <= OPEN) socket.close(1000);
  }

  #clear(name: keyof Timers): void {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = undefined;
  }
}
