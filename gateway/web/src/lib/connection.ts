// The tab's connection: it comes back when it is lost, and finds the transport that works here. It
// knows frames, not what they mean for the state; the clock, randomness and the transports
// themselves come from outside.

import { RECONNECT, delayMs } from './backoff';
import { afterClose, type Ending } from './closes';
import type { ClientFrame, ServerFrame } from './protocol';
import { REFUSED, SILENT, better, changed, failed, notYet, upgraded, worked, type Choice } from './transport/chooser';
import { Line } from './transport/line';
import type { Listener, Transport, TransportName } from './transport/transport';

export type LinkState = 'connecting' | 'online' | 'offline';

export interface Link {
  readonly state: LinkState;
  /** What carries it, while online. */
  readonly over?: TransportName;
  /** Not before this moment (ms since the epoch) will there be another attempt. */
  readonly retryAt?: number;
}

export interface ConnectionDeps {
  /** A new transport, which begins at once; it may throw. */
  open(name: TransportName, listener: Listener): Transport;
  /** It has greeted: what comes after the position of its hello is on its way. */
  asking(): void;
  /** Whether the server answers plain HTTP. */
  isThere(): Promise<boolean>;
  /** What this tab learnt about its network. */
  recall(): Choice;
  remember(choice: Choice): void;
  onLink(link: Link): void;
  onFrame(frame: ServerFrame): void;
  /** The session is not accepted any more: get another one, or say false. */
  renew(): Promise<boolean>;
  /** The end: it will not reconnect unless started anew. */
  onEnd(ending: Ending): void;
  random(): number;
}

const ABNORMAL = 1006;
const SILENCE = 4408;

interface Timers {
  retry?: Timer;
  drain?: Timer;
  better?: Timer;
}
type Timer = ReturnType<typeof setTimeout>;

export class Connection {
  #line: Line | null = null;
  /** A better transport, tried beside the one in use. */
  #candidate: Line | null = null;
  #choice: Choice;
  #running = false;
  #attempt = 0;
  #renewed = false;
  #netDown = false;
  #timers: Timers = {};

  constructor(private readonly deps: ConnectionDeps) {
    this.#choice = deps.recall();
  }

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
    this.#dropCandidate();
    this.#clear('retry');
  }

  /** False: not ready for it; nothing was sent. */
  send(frame: ClientFrame): boolean {
    return this.#line?.send(frame) ?? false;
  }

  /** The browser says that the network went away or came back. */
  network(up: boolean): void {
    this.#netDown = !up;
    if (up) this.#choice = changed(this.#choice, Date.now());
    if (!this.#running) return;
    if (!up) {
      this.#drop();
      this.#dropCandidate();
      this.#retry(RECONNECT.capMs);
    } else if (!this.#line) {
      this.#attempt = 0;
      this.#connect();
    } else if (this.#line.ready) {
      this.#clear('better');
      this.#planBetter();
    }
  }

  /** The person came back to the page: try at once, or see whether it still lives. */
  nudge(): void {
    if (this.#line?.ready) this.#line.check();
    else if (!this.#netDown) this.retryNow();
  }

  retryNow(): void {
    if (this.#running && !this.#line) this.#connect();
  }

  #connect(): void {
    this.#clear('retry');
    this.#drop();
    this.deps.onLink({ state: 'connecting' });
    this.#line = this.#newLine(this.#choice.current);
    this.#line.start(this.deps.open);
  }

  #newLine(name: TransportName): Line {
    return new Line(name, {
      frame: (line, frame) => this.#heard(line, frame),
      ended: (line, code, atLeastMs) => (line === this.#candidate ? this.#candidateFailed(line) : this.#lost(line, code, atLeastMs)),
      stable: (line) => this.#proved(line),
    });
  }

  #heard(line: Line, frame: ServerFrame): void {
    if (frame.type === 'ready') {
      if (line === this.#candidate) this.#adopt(line);
      this.deps.asking();
    }
    if (line !== this.#line) return;
    if (frame.type === 'draining') {
      // Stay while it lasts: what is in flight is still answered. Then move, at the moment given.
      this.#clear('drain');
      this.#timers.drain = setTimeout(() => this.#connect(), frame.reconnectAfterMs);
    }
    this.deps.onFrame(frame);
    if (frame.type === 'caughtUp' && line === this.#line && line.ready) {
      this.#renewed = false;
      this.deps.remember(this.#choice);
      this.deps.onLink({ state: 'online', over: line.name });
      this.#planBetter();
    }
  }

  #proved(line: Line): void {
    if (line !== this.#line) return;
    this.#attempt = 0;
    this.#choice = worked(this.#choice);
    this.deps.remember(this.#choice);
  }

  #lost(line: Line, code: number, atLeastMs: number): void {
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
      const delay = Math.max(next.atLeastMs, atLeastMs, delayMs(RECONNECT, this.#attempt, this.deps.random));
      this.#attempt += 1;
      this.#retry(this.#netDown ? RECONNECT.capMs : delay);
      if (speaksAgainst(line, code)) void this.#weigh(line, code === SILENCE ? SILENT : REFUSED);
    } else {
      this.deps.onLink({ state: 'connecting' });
    }
  }

  /** Only when the server is there is it the transport that failed. */
  async #weigh({ name }: Line, weight: number): Promise<void> {
    const there = await this.deps.isThere();
    if (!there || !this.#running || this.#netDown || this.#line?.ready || this.#choice.current !== name) return;
    this.#choice = failed(this.#choice, weight, Date.now(), this.deps.random);
    if (this.#choice.current === name) return;
    this.#attempt = 0;
    this.#connect();
  }

  async #renew(): Promise<void> {
    this.deps.onLink({ state: 'connecting' });
    let renewed = false;
    try {
      renewed = await this.deps.renew();
    } catch {
      // The server could not be asked: that is no refusal, so the question stays open.
      this.#renewed = false;
      if (this.#running) this.#retry(delayMs(RECONNECT, this.#attempt++, this.deps.random));
      return;
    }
    if (!this.#running) return;
    if (renewed) this.#connect();
    else this.#end('signed-out');
  }

  /** While a fallback does its work, the better ones are tried beside it, so that nobody waits for it. */
  #planBetter(): void {
    if (this.#timers.better !== undefined || this.#candidate || better(this.#choice).length === 0) return;
    const inMs = Math.max(0, (this.#choice.betterAt ?? 0) - Date.now());
    this.#timers.better = setTimeout(() => {
      this.#clear('better');
      if (this.#line?.ready) this.#try(better(this.#choice)[0]);
    }, inMs);
  }

  #try(name: TransportName | undefined): void {
    if (!name) {
      this.#choice = notYet(this.#choice, Date.now(), this.deps.random);
      this.deps.remember(this.#choice);
      if (this.#line?.ready) this.#planBetter();
      return;
    }
    this.#candidate = this.#newLine(name);
    this.#candidate.start(this.deps.open);
  }

  #candidateFailed({ name }: Line): void {
    this.#candidate = null;
    const all = better(this.#choice);
    if (this.#running) this.#try(all[all.indexOf(name) + 1]);
  }

  /** It greeted, so it takes over; both begin where the state is, so nothing is lost or doubled. */
  #adopt(line: Line): void {
    this.#candidate = null;
    this.#clear('retry');
    this.#drop();
    this.#line = line;
    this.#choice = upgraded(this.#choice, line.name, Date.now(), this.deps.random);
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
    this.#line?.close();
    this.#line = null;
    if (!keepDrain) this.#clear('drain');
  }

  #dropCandidate(): void {
    this.#candidate?.close();
    this.#candidate = null;
    this.#clear('better');
  }

  #clear(name: keyof Timers): void {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = undefined;
  }
}

/** An end that may be the transport's own fault: silence, or a cut before it has lasted a while. */
function speaksAgainst(line: Line, code: number): boolean {
  if (code === SILENCE) return true;
  return code < 4000 && !line.stable && (code === ABNORMAL || !line.greeted);
}
