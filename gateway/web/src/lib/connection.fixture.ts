// For the tests: a connection over sockets and requests that do what the test says.

import { vi } from 'vitest';

import { Connection, type Link } from './connection';
import type { ServerFrame } from './protocol';
import { FIRST_CHOICE, type Choice } from './transport/chooser';
import type { Listener, Transport, TransportName } from './transport/transport';
import { WebSocketTransport } from './transport/websocket';

export class FakeSocket {
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((close: { code: number }) => void) | null = null;

  opens(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  says(frame: Record<string, unknown>): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  greets(): void {
    this.opens();
    this.says({ type: 'ready', userId: 'alice', deviceId: 'dev_1', heartbeatSeconds: 25 });
    this.says({ type: 'caughtUp', token: 't' });
  }
  closes(code: number): void {
    this.readyState = 3;
    this.onclose?.({ code });
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {
    this.readyState = 2;
  }
}

export class FakeHttp implements Transport {
  closed = false;
  checks = 0;
  sent: unknown[] = [];

  constructor(
    readonly name: TransportName,
    readonly listener: Listener,
  ) {}

  greets(): void {
    this.listener.frame({ type: 'ready', userId: 'alice', deviceId: 'dev_1', heartbeatSeconds: 25 });
    this.listener.frame({ type: 'caughtUp', token: 't' });
  }
  send(frame: unknown): boolean {
    return this.sent.push(frame) > 0;
  }
  check(): void {
    this.checks += 1;
  }
  close(): void {
    this.closed = true;
  }
}

export interface Begin {
  renewals?: (boolean | 'unreachable')[];
  /** Whether plain HTTP is answered. */
  there?: boolean;
  recall?: Choice;
}

export function begin({ renewals = [], there = false, recall = FIRST_CHOICE }: Begin = {}) {
  const sockets: FakeSocket[] = [];
  const https: FakeHttp[] = [];
  const links: Link[] = [];
  const frames: ServerFrame[] = [];
  const endings: string[] = [];
  const remembered: Choice[] = [];
  const world = { there, asked: 0, looks: 0 };
  const connection = new Connection({
    open: (name, listener) => {
      if (name === 'websocket') {
        const socket = new FakeSocket();
        sockets.push(socket);
        const hello = () => ({ type: 'hello', sessionToken: 's', deviceId: 'dev_1' }) as const;
        return new WebSocketTransport(socket as unknown as WebSocket, hello, listener);
      }
      const http = new FakeHttp(name, listener);
      https.push(http);
      return http;
    },
    asking: () => (world.asked += 1),
    isThere: async () => {
      world.looks += 1;
      return world.there;
    },
    recall: () => recall,
    remember: (choice) => remembered.push(choice),
    onLink: (link) => links.push(link),
    onFrame: (frame) => frames.push(frame),
    renew: async () => {
      const next = renewals.shift();
      if (next === 'unreachable') throw new Error('unreachable');
      return next ?? false;
    },
    onEnd: (ending) => endings.push(ending),
    random: () => 0.5,
  });
  connection.start();
  const last = (): FakeSocket => sockets.at(-1) as FakeSocket;
  const http = (): FakeHttp => https.at(-1) as FakeHttp;
  return { connection, sockets, https, http, links, frames, endings, remembered, world, last };
}
/** To the moment of the next attempt. */
export const comesBack = (links: Link[]): Promise<unknown> => vi.advanceTimersByTimeAsync(Math.max(0, (links.at(-1)?.retryAt ?? 0) - Date.now()));
export const state = (links: Link[]) => links.at(-1)?.state;
