// The transports of a signed-in tab, put together from what they share.

import { socketUrl } from '../address';
import { getPresence, getSync, type PresenceFrame, type SyncPage } from '../api/talk';
import type { ClientFrame } from '../protocol';
import type { Signed } from '../session';
import { PollTransport } from './poll';
import { SseTransport } from './sse';
import type { Hello, Listener, Transport, TransportName } from './transport';
import { WebSocketTransport } from './websocket';

export interface Tab {
  /** Who the tab is by now. */
  signed(): Signed;
  /** The position up to which the state is complete. */
  since(): string | undefined;
  asking(): void;
  /** By HTTP; answered by frames. */
  command(frame: ClientFrame): boolean;
}

export function openTransport(tab: Tab, name: TransportName, listener: Listener): Transport {
  const { asking, command } = tab;
  const hello = (): Hello => {
    const { sessionToken, deviceId } = tab.signed();
    return { type: 'hello', sessionToken, deviceId, since: tab.since() };
  };
  const sync = (since: string | undefined, waitSeconds = 0, signal?: AbortSignal): Promise<SyncPage> =>
    getSync(tab.signed().sessionToken, { since, waitSeconds }, signal);
  const presence = (userIds: readonly string[]): Promise<readonly PresenceFrame[]> =>
    getPresence(tab.signed().sessionToken, userIds);
  const visible = (): boolean => document.visibilityState === 'visible';
  switch (name) {
    case 'websocket': {
      const socket = new WebSocket(socketUrl(tab.signed().websocketUrl, document.baseURI));
      return new WebSocketTransport(socket, hello, listener);
    }
    case 'sse':
      return new SseTransport(
        { hello, fetch: (...request) => fetch(...request), sync: (since) => sync(since), command, presence, visible },
        listener,
      );
    case 'poll':
      return new PollTransport({ userId: tab.signed().userId, hello, asking, sync, command, presence, visible }, listener);
  }
}
