// The socket: hello, frames both ways, and a heartbeat.

import { parseFrame } from '../frames';
import type { ClientFrame } from '../protocol';
import type { Hello, Listener, Transport } from './transport';

/** How long an answer to a ping may take. */
const SILENCE_MS = 10_000;
const OPEN = 1;
/** The contract's code for a heartbeat missed. */
const SILENCE = 4408;

export class WebSocketTransport implements Transport {
  #closed = false;
  #ready = false;
  #ping: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;

  /** `hello` is asked for when the socket is open. */
  constructor(
    private readonly socket: WebSocket,
    hello: () => Hello,
    private readonly listener: Listener,
  ) {
    // A socket that was given up may still speak.
    socket.onopen = () => !this.#closed && socket.send(JSON.stringify(hello()));
    socket.onmessage = (message: MessageEvent) => !this.#closed && this.#heard(message.data);
    socket.onclose = (close: CloseEvent) => this.#end(close.code);
  }

  send(frame: ClientFrame): boolean {
    if (!this.#ready || this.socket.readyState !== OPEN) return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  check(): void {
    if (!this.send({ type: 'ping' })) return;
    this.#silence ??= setTimeout(() => this.#end(SILENCE), SILENCE_MS);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#ping);
    clearTimeout(this.#silence);
    if (this.socket.readyState <= OPEN) this.socket.close(1000);
  }

  #heard(raw: unknown): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
    const frame = parseFrame(raw);
    if (!frame) return;
    if (frame.type === 'ready') {
      this.#ready = true;
      this.#beat(frame.heartbeatSeconds * 1000);
    }
    this.listener.frame(frame);
  }

  #beat(everyMs: number): void {
    clearTimeout(this.#ping);
    this.#ping = setTimeout(() => {
      this.check();
      this.#beat(everyMs);
    }, everyMs);
  }

  #end(code: number): void {
    if (this.#closed) return;
    this.close();
    this.listener.ended(code);
  }
}
